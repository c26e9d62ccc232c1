// Texts of `fields`: any bytes, read as a plain implementation reads them or refused as it does.
#include <memory>

#include "input.hpp"
#include "plain.hpp"
#include "writer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::unique_ptr<char[]> exact(new char[size]);
    std::memcpy(exact.get(), data, size);
    const std::string_view text(exact.get(), size);

    const auto paths = fuzz::plain_paths(text);
    std::string wanted;
    if (paths) {
        for (const fuzz::Path& path : fuzz::distinct_paths(*paths)) {
            for (std::size_t i = 0; i < path.size(); i++) {
                wanted += (i > 0 ? "." : "") + fuzz::plain_string(path[i]);
            }
            wanted += ",";
        }
    }
    const fuzz::Result got = fuzz::write([&] { return fuzz::fast.paths(64, text); });
    switch (got.kind) {
        case fuzz::Result::Kind::Text:
            fuzz::expect("fields", got.text, paths ? wanted : "an error");
            break;
        case fuzz::Result::Kind::Nothing:
            fuzz::expect("fields", "everything",
                         !paths           ? "an error"
                         : paths->empty() ? "everything"
                                          : wanted);
            break;
        case fuzz::Result::Kind::Refused:
            if (paths) {
                fuzz::fail("fields", fuzz::refusal, wanted);
            }
            if (fuzz::refusal.rfind("invalid fields \"", 0) != 0) {
                fuzz::fail("fields", fuzz::refusal, "another error");
            }
    }
    return 0;
}

// Strings, bytes and bits of any content and length, beside a plain implementation.
#include <cstdio>
#include <memory>

#include "input.hpp"
#include "plain.hpp"
#include "writer.hpp"

using fuzz::Writer;

namespace {

constexpr char digits[] = "0123456789abcdef";

std::string plain_hex(std::string_view bytes) {
    std::string text;
    for (char c : bytes) {
        text += digits[static_cast<unsigned char>(c) >> 4];
        text += digits[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

std::string plain_bits(std::string_view bytes, std::size_t count) {
    std::string text = "\"";
    for (std::size_t i = 0; i < count; i++) {
        text += (static_cast<unsigned char>(bytes[i / 8]) & (0x80U >> i % 8)) != 0 ? '1' : '0';
    }
    return text + '"';
}

// Near the largest size a text is written or refused; too much is never asked for.
void check_limit(std::string_view text, const std::string& wanted, std::size_t limit) {
    fuzz::size_limit = limit;
    const std::size_t most = wanted.size() + 6 * 1024 + 64;
    for (const Writer* writer : {&fuzz::fast, &fuzz::portable}) {
        const fuzz::Result got = fuzz::write([&] { return writer->string(16, text); });
        if (got.kind == fuzz::Result::Kind::Text) {
            fuzz::expect("a text near the limit", got.text, wanted);
        } else {
            fuzz::expect("a text near the limit", fuzz::refusal, "the JSON document is too large");
            if (most <= limit) {
                fuzz::fail("a text within the limit", fuzz::refusal, wanted);
            }
        }
        if (got.kind == fuzz::Result::Kind::Text && wanted.size() > limit) {
            fuzz::fail("a text above the limit", got.text, "an error");
        }
    }
    fuzz::size_limit = fuzz::largest_limit;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::size_t capacity = 1 + input.below(65536);
    const unsigned repeated = input.below(8) == 0 ? 1 + input.below(200) : 1;
    const std::size_t limit = 16 + input.below(65536);
    const std::string once = input.rest();
    std::string all;
    for (unsigned i = 0; i < repeated; i++) {
        all += once;
    }
    // Behind the last byte is nothing.
    const std::unique_ptr<char[]> exact(new char[all.size()]);
    std::memcpy(exact.get(), all.data(), all.size());
    const std::string_view text(exact.get(), all.size());

    const std::string wanted = fuzz::plain_string(text);
    fuzz::expect_both(
        "a string", [&](const Writer& writer) { return writer.string(capacity, text); }, wanted);
    check_limit(text, wanted, limit);
    const std::string hex = plain_hex(text);
    fuzz::expect_both(
        "a bytea", [&](const Writer& writer) { return writer.bytea(capacity, text); },
        "\"\\\\x" + hex + "\"");
    const std::size_t bits = text.size() * 8 - (text.empty() ? 0 : capacity % 8);
    fuzz::expect_both(
        "bits", [&](const Writer& writer) { return writer.bits(capacity, text, bits); },
        plain_bits(text, bits));
    if (text.size() >= 16) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data()) + text.size() - 16;
        const std::string last = hex.substr(hex.size() - 32);
        fuzz::expect_both(
            "a uuid", [&](const Writer& writer) { return writer.uuid(capacity, bytes); },
            "\"" + last.substr(0, 8) + "-" + last.substr(8, 4) + "-" + last.substr(12, 4) + "-" +
                last.substr(16, 4) + "-" + last.substr(20) + "\"");
    }
    return 0;
}

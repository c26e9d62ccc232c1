// wire::explain_channel_binding leaves alone what is not that one error, and what it makes of that
// one is a message again.
#include "wire/error_response.hpp"

#include <cstdint>
#include <string>

#include "expect.hpp"
#include "input.hpp"
#include "wire/scanner.hpp"

using muster::wire::MessageStart;
using muster::wire::Scanner;

namespace {

// An error with random fields, the ones looked for among them.
std::string make_error(fuzz::Input& input) {
    static constexpr const char* fields[] = {"SFATAL", "C28000", "Rread_client_final_message",
                                             "Mchannel binding"};
    std::string body;
    const std::uint8_t there = input.number<std::uint8_t>();
    for (unsigned i = 0; i < 4; ++i) {
        if ((there >> i & 1) != 0)
            body.append(fields[i]).push_back('\0');
    }
    body += input.rest();
    body.push_back('\0');
    std::string message = "E";
    muster::wire::append_uint32(
        message, static_cast<std::uint32_t>(body.size() + 4) - (there >> 4 == 15 ? 1 : 0));
    return message + body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::string bytes = input.below(2) == 0 ? input.rest() : make_error(input);
    const fuzz::Exactly exact(bytes);
    const std::string explained = muster::wire::explain_channel_binding(exact.view());
    if (explained == bytes)
        return 0;
    fuzz::expect(explained.size() > bytes.size(), "something was added");
    fuzz::expect(explained.compare(5, bytes.size() - 6, bytes, 5, bytes.size() - 6) == 0,
                 "nothing was taken away");
    fuzz::expect(explained.back() == bytes.back(), "the end is the end");
    Scanner scanner;
    int messages = 0;
    const bool in_step = scanner.feed(
        explained, [&](const MessageStart& message) { messages += message.type == 'E'; });
    fuzz::expect(in_step && scanner.at_boundary() && messages == 1, "it is one message");
    return 0;
}

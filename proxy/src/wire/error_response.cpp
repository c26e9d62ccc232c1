#include "wire/error_response.hpp"

#include "wire/bytes.hpp"

namespace muster::wire {
namespace {

void append_field(std::string& body, char code, std::string_view text) {
    if (text.empty())
        return;
    body.push_back(code);
    body.append(text.substr(0, text.find('\0')));
    body.push_back('\0');
}

}  // namespace

std::string encode(const Fatal& error, std::string_view severity) {
    std::string body;
    append_field(body, 'S', severity);
    append_field(body, 'V', severity);
    append_field(body, 'C', error.sqlstate);
    append_field(body, 'M', error.message);
    append_field(body, 'H', error.hint);
    body.push_back('\0');

    std::string message(1, 'E');
    append_uint32(message, static_cast<std::uint32_t>(body.size() + 4));
    return message + body;
}

// The routine is the server's only one with this SQLSTATE for it, and unlike the text it is the
// same in all languages.
std::string explain_channel_binding(std::string_view bytes) {
    using namespace std::string_view_literals;
    std::string explained(bytes);
    if (bytes.size() < 6 || bytes[0] != 'E' || read_uint32(bytes.data() + 1) + 1 != bytes.size() ||
        bytes.find("\0C28000\0"sv) == bytes.npos ||
        bytes.find("\0Rread_client_final_message\0"sv) == bytes.npos)
        return explained;
    std::string hint;
    append_field(
        hint, 'H',
        "The proxy in between has a certificate of its own. Have it and the server present "
        "the same certificate, or let the client set channel_binding=disable.");
    explained.insert(explained.size() - 1, hint);
    std::string length;
    append_uint32(length, static_cast<std::uint32_t>(explained.size() - 1));
    return explained.replace(1, length.size(), length);
}

}  // namespace muster::wire

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

std::string encode(const Fatal& error) {
    std::string body;
    append_field(body, 'S', "FATAL");
    append_field(body, 'V', "FATAL");
    append_field(body, 'C', error.sqlstate);
    append_field(body, 'M', error.message);
    append_field(body, 'H', error.hint);
    body.push_back('\0');

    std::string message(1, 'E');
    append_uint32(message, static_cast<std::uint32_t>(body.size() + 4));
    return message + body;
}

}  // namespace muster::wire

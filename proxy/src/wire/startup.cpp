#include "wire/startup.hpp"

#include "wire/bytes.hpp"

namespace muster::wire::startup {
namespace {

// Request codes, chosen by PostgreSQL to look like protocol versions 1234.x.
constexpr std::uint32_t cancel_code = 1234u << 16 | 5678u;
constexpr std::uint32_t ssl_code = 1234u << 16 | 5679u;
constexpr std::uint32_t gssenc_code = 1234u << 16 | 5680u;

// Process id and key: 4 + 4 bytes, and up to 256 bytes of key since protocol 3.2.
constexpr std::size_t min_cancel_length = 16;
constexpr std::size_t max_cancel_length = 12 + 256;

// Takes the string up to the next NUL off `rest`; false if there is no NUL.
bool take_string(std::string_view& rest, std::string_view& string) {
    const auto end = rest.find('\0');
    if (end == std::string_view::npos)
        return false;
    string = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return true;
}

// Checks that `options` is pairs of strings closed by an empty name as the very last byte.
const char* mistake_in_options(std::string_view options) {
    std::string_view name, value;
    for (;;) {
        if (!take_string(options, name))
            return "invalid startup packet layout: expected terminator as last byte";
        if (name.empty())
            break;
        if (!take_string(options, value))
            return "invalid startup packet layout: parameter without a value";
    }
    return options.empty() ? nullptr : "invalid startup packet layout: data behind the terminator";
}

Packet malformed(const char* mistake) {
    Packet packet;
    packet.kind = Kind::malformed;
    packet.mistake = mistake;
    return packet;
}

}  // namespace

std::string_view Packet::parameter(std::string_view wanted) const {
    std::string_view rest = options, name, value;
    while (take_string(rest, name) && !name.empty() && take_string(rest, value)) {
        if (name == wanted)
            return value;
    }
    return {};
}

Packet parse(std::string_view bytes) {
    if (bytes.size() < 4)
        return {};
    const std::size_t length = read_uint32(bytes.data());
    if (length < min_length || length > max_length)
        return malformed("invalid length of startup packet");
    if (bytes.size() < length)
        return {};

    Packet packet;
    packet.length = length;
    const std::uint32_t code = read_uint32(bytes.data() + 4);
    packet.major = static_cast<std::uint16_t>(code >> 16);
    packet.minor = static_cast<std::uint16_t>(code & 0xffff);
    const auto body = bytes.substr(8, length - 8);

    if (code == ssl_code || code == gssenc_code) {
        if (!body.empty())
            return malformed("invalid length of encryption request");
        packet.kind = code == ssl_code ? Kind::ssl_request : Kind::gssenc_request;
    } else if (code == cancel_code) {
        if (length < min_cancel_length || length > max_cancel_length)
            return malformed("invalid length of cancel request");
        packet.kind = Kind::cancel;
    } else if (packet.major != 3) {
        packet.kind = Kind::unsupported;
    } else {
        if (const char* mistake = mistake_in_options(body))
            return malformed(mistake);
        packet.kind = Kind::startup;
        packet.options = body;
    }
    return packet;
}

}  // namespace muster::wire::startup

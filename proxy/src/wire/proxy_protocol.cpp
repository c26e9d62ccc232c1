#include "wire/proxy_protocol.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

#include "config/network.hpp"

namespace muster::wire::proxy_protocol {
namespace {

namespace ip = boost::asio::ip;
using std::string_view;

constexpr string_view signature_1{"PROXY "};
constexpr std::size_t max_length_1 = 107;  // with CR LF, as the specification has it

constexpr string_view signature_2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t fixed_length_2 = 16;

Header malformed() {
    return {Kind::malformed, 0, {}};
}

// Whether one is the beginning of the other.
bool agree(string_view a, string_view b) {
    const auto n = std::min(a.size(), b.size());
    return a.substr(0, n) == b.substr(0, n);
}

// Takes the word up to the next space, or all there is, off `rest`.
string_view take_word(string_view& rest) {
    const auto end = std::min(rest.find(' '), rest.size());
    const auto word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return word;
}

bool is_port(string_view word) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), port);
    return error == std::errc() && end == word.data() + word.size() && port <= 65535 &&
           (word.size() == 1 || word.front() != '0');
}

std::optional<ip::address> read_address(string_view word, bool v4) {
    boost::system::error_code error;
    const auto address = ip::make_address(std::string(word), error);
    if (error || address.is_v4() != v4)
        return std::nullopt;
    return address;
}

// "PROXY TCP4 192.0.2.7 198.51.100.1 56324 6433\r\n"
Header parse_1(string_view bytes) {
    const auto line_end = bytes.substr(0, max_length_1).find("\r\n");
    if (line_end == string_view::npos)
        return bytes.size() >= max_length_1 ? malformed() : Header();
    string_view rest = bytes.substr(signature_1.size(), line_end - signature_1.size());
    Header header{Kind::header, line_end + 2, {}};
    const auto family = take_word(rest);
    if (family == "UNKNOWN")
        return header;
    const bool v4 = family == "TCP4";
    if (!v4 && family != "TCP6")
        return malformed();
    const auto source = read_address(take_word(rest), v4);
    const auto destination = read_address(take_word(rest), v4);
    const auto source_port = take_word(rest);
    if (!source || !destination || !is_port(source_port) || !is_port(rest))
        return malformed();
    header.client = config::unmapped(*source);
    return header;
}

template <class Address>
ip::address address_at(string_view bytes) {
    typename Address::bytes_type raw;
    std::memcpy(raw.data(), bytes.data(), raw.size());
    return config::unmapped(Address(raw));
}

// Signature, version and command, family and transport, length; addresses and ports; and TLVs,
// which are passed over.
Header parse_2(string_view bytes) {
    if (bytes.size() < fixed_length_2)
        return {};
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned version = byte(12) >> 4, command = byte(12) & 0xf;
    const unsigned family = byte(13);
    const std::size_t rest = static_cast<std::size_t>(byte(14)) << 8 | byte(15);
    if (version != 2 || command > 1 || fixed_length_2 + rest > max_length)
        return malformed();
    std::size_t addresses = 0;
    switch (family) {
        case 0x00:  // UNSPEC
            break;
        case 0x11:  // TCP over IPv4
            addresses = 12;
            break;
        case 0x21:  // TCP over IPv6
            addresses = 36;
            break;
        case 0x31:  // Unix stream socket
            addresses = 216;
            break;
        default:  // LOCAL's family means nothing
            if (command == 1)
                return malformed();
    }
    if (command == 1 && rest < addresses)
        return malformed();
    if (bytes.size() < fixed_length_2 + rest)
        return {};
    Header header{Kind::header, fixed_length_2 + rest, {}};
    if (command == 1 && family == 0x11)
        header.client = address_at<ip::address_v4>(bytes.substr(fixed_length_2));
    else if (command == 1 && family == 0x21)
        header.client = address_at<ip::address_v6>(bytes.substr(fixed_length_2));
    return header;
}

}  // namespace

Header parse(string_view bytes) {
    if (bytes.empty())
        return {};
    if (agree(bytes, signature_1))
        return bytes.size() < signature_1.size() ? Header() : parse_1(bytes);
    if (agree(bytes, signature_2))
        return parse_2(bytes);
    return malformed();
}

}  // namespace muster::wire::proxy_protocol

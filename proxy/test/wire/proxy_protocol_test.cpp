// wire::proxy_protocol: the header of load balancers.
#include "wire/proxy_protocol.hpp"

#include <string>

#include <boost/test/unit_test.hpp>

using namespace muster::wire;
using proxy_protocol::Kind;
using proxy_protocol::parse;

namespace {

const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);

// A version 2 header; `command` has the version, too.
std::string header(int command, int family, const std::string& rest) {
    return signature + static_cast<char>(command) + static_cast<char>(family) +
           static_cast<char>(rest.size() >> 8) + static_cast<char>(rest.size() & 0xff) + rest;
}

const std::string ipv4("\xc0\x00\x02\x07\x0a\x00\x00\x01\x30\x39\x19\x21", 12);
const std::string ipv6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x07" +
                         std::string(16, '\1') + std::string("\x30\x39\x19\x21", 4);

std::string client(const std::string& bytes) {
    const auto parsed = parse(bytes);
    if (parsed.kind == Kind::incomplete)
        return "incomplete";
    if (parsed.kind == Kind::malformed)
        return "malformed";
    return parsed.client ? parsed.client->to_string() : "none";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(proxy_headers)

BOOST_AUTO_TEST_CASE(version_1_is_a_line) {
    BOOST_TEST(client("PROXY TCP4 192.0.2.7 198.51.100.1 56324 6433\r\n") == "192.0.2.7");
    BOOST_TEST(client("PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n") == "2001:db8::7");
    BOOST_TEST(client("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n") == "192.0.2.7");
    BOOST_TEST(client("PROXY UNKNOWN\r\n") == "none");
    BOOST_TEST(client("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n") == "none");
    const std::string line = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 6433\r\n";
    BOOST_TEST(parse(line + "more").length == line.size());
}

BOOST_AUTO_TEST_CASE(version_1_is_strict) {
    for (const char* line :
         {"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
          "PROXY TCP4 192.0.2.7 198.51.100.1 56324 \r\n",
          "PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n", "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n",
          "PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", "PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n",
          "PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
          "PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
          "PROXY TCP4 192.0.2.7 198.51.100.1 -1 2\r\n",
          "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
          "PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n", "PROXY \r\n", "PROXY\r\n", "PROXX", "proxy ",
          "GET / HTTP/1.1\r\n", "\x16\x03\x01"})
        BOOST_TEST(client(line) == "malformed", line);
    // 107 bytes and no more.
    const std::string longest = "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n";
    BOOST_TEST(longest.size() == 107u);
    BOOST_TEST(client(longest) == "none");
    BOOST_TEST(client("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n") == "malformed");
    BOOST_TEST(client("PROXY UNKNOWN " + std::string(93, 'x')) == "malformed");
}

BOOST_AUTO_TEST_CASE(version_2_is_binary) {
    BOOST_TEST(client(header(0x21, 0x11, ipv4)) == "192.0.2.7");
    BOOST_TEST(client(header(0x21, 0x21, ipv6)) == "2001:db8::7");
    BOOST_TEST(client(header(0x21, 0x31, std::string(216, 'a'))) == "none");
    BOOST_TEST(client(header(0x21, 0x00, "")) == "none");
    BOOST_TEST(client(header(0x20, 0x00, "")) == "none");  // LOCAL
    BOOST_TEST(client(header(0x20, 0x11, ipv4)) == "none");
    BOOST_TEST(client(header(0x20, 0xff, "what")) == "none");
    // Type-length-values behind the addresses are passed over.
    const std::string tlv("\x01\x00\x02h2\x04\x00\x00", 8);
    const auto parsed = parse(header(0x21, 0x11, ipv4 + tlv) + "more");
    BOOST_TEST(parsed.client->to_string() == "192.0.2.7");
    BOOST_TEST(parsed.length == 16 + 12 + tlv.size());
}

BOOST_AUTO_TEST_CASE(version_2_is_strict) {
    BOOST_TEST(client(header(0x11, 0x11, ipv4)) == "malformed");  // another version
    BOOST_TEST(client(header(0x31, 0x11, ipv4)) == "malformed");
    BOOST_TEST(client(header(0x22, 0x11, ipv4)) == "malformed");  // another command
    BOOST_TEST(client(header(0x21, 0x12, ipv4)) == "malformed");  // UDP
    BOOST_TEST(client(header(0x21, 0x41, ipv4)) == "malformed");
    BOOST_TEST(client(header(0x21, 0x11, ipv4.substr(1))) == "malformed");
    BOOST_TEST(client(header(0x21, 0x21, ipv4)) == "malformed");
    BOOST_TEST(client(header(0x21, 0x31, ipv6)) == "malformed");
    BOOST_TEST(client(header(0x21, 0x11, ipv4 + std::string(4096 - 28, 'x'))) == "192.0.2.7");
    BOOST_TEST(client(header(0x21, 0x11, ipv4 + std::string(4096 - 27, 'x'))) == "malformed");
    BOOST_TEST(client(header(0x21, 0x11, std::string(65535, 'x')).substr(0, 16)) == "malformed");
    std::string broken = header(0x21, 0x11, ipv4);
    broken[11] = 'x';
    BOOST_TEST(client(broken) == "malformed");
}

// Every beginning of a header is incomplete, and a wrong byte is told as soon as it is there.
BOOST_AUTO_TEST_CASE(headers_may_come_in_pieces) {
    for (const auto& whole : {std::string("PROXY TCP4 192.0.2.7 198.51.100.1 56324 6433\r\n"),
                              header(0x21, 0x11, ipv4), header(0x21, 0x21, ipv6 + "tlv")}) {
        for (std::size_t n = 0; n < whole.size(); ++n)
            BOOST_TEST(client(whole.substr(0, n)) == "incomplete", n);
        BOOST_TEST(parse(whole).length == whole.size());
    }
    for (std::size_t n = 0; n < signature.size(); ++n)
        BOOST_TEST(client(signature.substr(0, n) + "?") == "malformed");
}

BOOST_AUTO_TEST_SUITE_END()

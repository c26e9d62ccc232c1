// wire::startup: the untyped packets that begin a connection, and the errors that answer them.
#include "wire/startup.hpp"

#include <limits>
#include <string>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "wire/bytes.hpp"
#include "wire/error_response.hpp"

using namespace muster::wire;
using startup::Kind;
using startup::parse;
namespace data = boost::unit_test::data;

namespace {

constexpr std::uint32_t version_3_0 = 3u << 16;
constexpr std::uint32_t ssl = 80877103;
constexpr std::uint32_t gssenc = 80877104;
constexpr std::uint32_t cancel = 80877102;

std::string packet(std::uint32_t code, const std::string& body = {}) {
    std::string bytes;
    append_uint32(bytes, static_cast<std::uint32_t>(8 + body.size()));
    append_uint32(bytes, code);
    return bytes + body;
}

// A body of startup options; each `|` stands for a NUL.
std::string options(std::string text) {
    for (char& c : text) {
        if (c == '|')
            c = '\0';
    }
    return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(startup_packets)

BOOST_AUTO_TEST_CASE(a_startup_message_has_version_and_parameters) {
    const auto bytes =
        packet(version_3_0, options("user|muster_app|database|muster|_pq_.x|1|options||"
                                    "|")) +
        "more";
    const auto parsed = parse(bytes);
    BOOST_TEST((parsed.kind == Kind::startup));
    BOOST_TEST(parsed.length == bytes.size() - 4);
    BOOST_TEST(parsed.major == 3);
    BOOST_TEST(parsed.minor == 0);
    BOOST_TEST(parsed.parameter("user") == "muster_app");
    BOOST_TEST(parsed.parameter("database") == "muster");
    BOOST_TEST(parsed.parameter("_pq_.x") == "1");
    BOOST_TEST(parsed.parameter("options") == "");
    BOOST_TEST(parsed.parameter("muster") == "");  // a value, not a name
}

BOOST_AUTO_TEST_CASE(later_minor_versions_pass) {
    const auto parsed = parse(packet(version_3_0 + 2, options("user|a||")));
    BOOST_TEST((parsed.kind == Kind::startup));
    BOOST_TEST(parsed.minor == 2);
}

BOOST_AUTO_TEST_CASE(every_prefix_is_incomplete) {
    const auto bytes = packet(version_3_0, options("user|a|database|b||"));
    for (std::size_t n = 0; n < bytes.size(); ++n)
        BOOST_TEST((parse({bytes.data(), n}).kind == Kind::incomplete), "after " << n << " bytes");
    BOOST_TEST((parse(bytes).kind == Kind::startup));
}

BOOST_AUTO_TEST_CASE(encryption_requests_are_eight_bytes) {
    BOOST_TEST((parse(packet(ssl)).kind == Kind::ssl_request));
    BOOST_TEST((parse(packet(gssenc)).kind == Kind::gssenc_request));
    BOOST_TEST(parse(packet(ssl) + "x").length == 8);
    BOOST_TEST((parse(packet(ssl, "x")).kind == Kind::malformed));
    BOOST_TEST((parse(packet(gssenc, "x")).kind == Kind::malformed));
}

BOOST_AUTO_TEST_CASE(a_cancel_request_has_a_key_of_4_to_256_bytes) {
    BOOST_TEST((parse(packet(cancel, std::string(7, 'k'))).kind == Kind::malformed));
    BOOST_TEST((parse(packet(cancel, std::string(8, 'k'))).kind == Kind::cancel));
    BOOST_TEST((parse(packet(cancel, std::string(4 + 256, 'k'))).kind == Kind::cancel));
    BOOST_TEST((parse(packet(cancel, std::string(4 + 257, 'k'))).kind == Kind::malformed));
}

BOOST_DATA_TEST_CASE(the_length_is_checked_as_soon_as_it_is_known,
                     data::make({0u, 4u, 7u, 10001u, 0x16030100u, 0x47455420u, 0x7fffffffu,
                                 0x80000000u, 0xffffffffu})) {
    std::string bytes;
    append_uint32(bytes, sample);
    BOOST_TEST((parse(bytes).kind == Kind::malformed));
}

BOOST_AUTO_TEST_CASE(the_longest_packet_is_ten_thousand_bytes) {
    const auto body = options("user|") + std::string(10000 - 8 - 5 - 2, 'u') + options("||");
    BOOST_TEST((parse(packet(version_3_0, body)).kind == Kind::startup));
    BOOST_TEST((parse(packet(version_3_0, "u" + body)).kind == Kind::malformed));
}

BOOST_DATA_TEST_CASE(other_protocols_are_not_spoken,
                     data::make({0u, 1u << 16, 2u << 16, 4u << 16, 1234u << 16})) {
    BOOST_TEST((parse(packet(sample, options("user|a||"))).kind == Kind::unsupported));
}

BOOST_DATA_TEST_CASE(parameters_are_pairs_closed_by_a_terminator,
                     data::make({"", "u", "user|", "user|a", "user|a|", "user|a|x", "user||",
                                 "user|a|x||", "|x", "user|a||x", "user|a|||"})) {
    BOOST_TEST((parse(packet(version_3_0, options(sample))).kind == Kind::malformed));
}

BOOST_AUTO_TEST_CASE(no_parameters_at_all_are_well_formed) {
    BOOST_TEST((parse(packet(version_3_0, options("|"))).kind == Kind::startup));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(error_responses)

BOOST_AUTO_TEST_CASE(fields_are_in_postgresqls_encoding) {
    const auto body = options("SFATAL|VFATAL|C53300|Msorry|HWait.||");
    std::string expected = "E";
    append_uint32(expected, static_cast<std::uint32_t>(body.size() + 4));
    BOOST_TEST(encode({"53300", "sorry", "Wait."}) == expected + body);
}

BOOST_AUTO_TEST_CASE(a_nul_cannot_end_a_field_early) {
    const auto message = encode({"08P01", std::string_view("a\0b", 3)});
    BOOST_TEST(message.substr(5) == options("SFATAL|VFATAL|C08P01|Ma||"));
}

BOOST_AUTO_TEST_SUITE_END()

// wire::Scanner: where messages begin.
#include "wire/scanner.hpp"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

using namespace muster::wire;
namespace data = boost::unit_test::data;

namespace {

std::string message(char type, const std::string& body = {}) {
    std::string bytes(1, type);
    append_uint32(bytes, static_cast<std::uint32_t>(4 + body.size()));
    return bytes + body;
}

struct Seen {
    char type;
    std::size_t body;
    char first;
    bool operator==(const Seen&) const = default;
};

// Feeds `stream` in chunks whose sizes `next_size` gives.
template <class NextSize>
std::vector<Seen> scan(Scanner& scanner, std::string_view stream, NextSize next_size) {
    std::vector<Seen> seen;
    while (!stream.empty()) {
        const auto n = std::min<std::size_t>(next_size(), stream.size());
        scanner.feed(stream.substr(0, n), [&](const MessageStart& m) {
            seen.push_back({m.type, m.body, m.first});
        });
        stream.remove_prefix(n);
    }
    return seen;
}

// The bodies, each put together from what was told of it.
template <class NextSize>
std::vector<std::string> bodies(std::string_view stream, NextSize next_size) {
    Scanner scanner;
    std::vector<std::string> told;
    while (!stream.empty()) {
        const auto n = std::min<std::size_t>(next_size(), stream.size());
        scanner.feed(
            stream.substr(0, n), [&](const MessageStart& m) { told.emplace_back(m.head); },
            [&](std::string_view more) { told.back() += more; });
        stream.remove_prefix(n);
    }
    return told;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scanner)

BOOST_AUTO_TEST_CASE(messages_are_found_wherever_the_chunks_end) {
    const auto stream = message('Q', std::string("select 1\0", 9)) + message('S') +
                        message('Z', "I") + message('d', std::string(100000, 'x')) +
                        message('Z', "T") + message('H');
    const std::vector<Seen> expected{{'Q', 9, 's'},      {'S', 0, '\0'}, {'Z', 1, 'I'},
                                     {'d', 100000, 'x'}, {'Z', 1, 'T'},  {'H', 0, '\0'}};
    std::mt19937 random(7);
    for (std::size_t size = 1; size < 40; ++size) {
        Scanner fixed, varied;
        BOOST_TEST((scan(fixed, stream, [&] { return size; }) == expected), "chunks of " << size);
        BOOST_TEST((scan(varied, stream, [&] { return 1 + random() % (size * 20); }) == expected));
        BOOST_TEST(
            (bodies(stream, [&] { return size; }) == bodies(stream, [&] { return 200000; })));
        BOOST_TEST(fixed.at_boundary());
        BOOST_TEST(varied.at_boundary());
    }
}

BOOST_AUTO_TEST_CASE(a_boundary_lies_only_between_messages) {
    const auto stream = message('d', "abc");
    Scanner scanner;
    BOOST_TEST(scanner.at_boundary());
    for (std::size_t i = 0; i < stream.size(); ++i) {
        scanner.feed(stream.substr(i, 1), [](const MessageStart&) {});
        BOOST_TEST(scanner.at_boundary() == (i + 1 == stream.size()), "after byte " << i);
    }
}

BOOST_AUTO_TEST_CASE(a_body_is_announced_with_its_first_byte) {
    Scanner scanner;
    int announced = 0;
    const auto count = [&](const MessageStart&) { ++announced; };
    const auto stream = message('Z', "E");
    scanner.feed(stream.substr(0, 5), count);
    BOOST_TEST(announced == 0);
    scanner.feed(stream.substr(5), count);
    BOOST_TEST(announced == 1);
}

BOOST_DATA_TEST_CASE(a_wrong_length_loses_the_stream_for_good,
                     data::make({0u, 3u, 0x80000000u, 0xffffffffu})) {
    std::string bad = "Q";
    append_uint32(bad, sample);
    Scanner scanner;
    BOOST_TEST(!scanner.feed(bad, [](const MessageStart&) { BOOST_ERROR("not a message"); }));
    BOOST_TEST(!scanner.feed(message('S'), [](const MessageStart&) { BOOST_ERROR("lost"); }));
    BOOST_TEST(!scanner.at_boundary());
}

BOOST_AUTO_TEST_CASE(the_longest_message_is_followed_to_its_end) {
    std::string header = "d";
    append_uint32(header, 0x7fffffff);
    Scanner scanner;
    std::size_t body = 0;
    BOOST_TEST(scanner.feed(header + "x", [&](const MessageStart& m) { body = m.body; }));
    BOOST_TEST(body == 0x7ffffffbu);
    const std::string chunk(1 << 20, 'x');
    for (std::size_t left = body - 1; left > 0;) {
        const auto n = std::min(left, chunk.size());
        scanner.feed(std::string_view(chunk).substr(0, n),
                     [](const MessageStart&) { BOOST_ERROR("inside a body"); });
        left -= n;
    }
    BOOST_TEST(scanner.at_boundary());
}

BOOST_AUTO_TEST_SUITE_END()

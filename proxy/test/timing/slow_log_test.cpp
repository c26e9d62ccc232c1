// The slow-query log: what a line holds, that it is one line of JSON, and what bounds it.
#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "harness/json.hpp"
#include "servers/process.hpp"
#include "timing/slow_log.hpp"

using namespace muster;
using namespace muster::timing;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
        lines.push_back(text.substr(begin, end - begin));
    }
    BOOST_TEST(begin == text.size());  // every line has its end
    return lines;
}

SlowQuery some() {
    SlowQuery query;
    query.name = "slow";
    query.text = "select f($1)";
    query.client = "192.0.2.1";
    query.request_id = "r-1";
    query.status = "success";
    query.run = {.duration = 1234567us, .rows = 3, .bytes = 99};
    return query;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(slow_log)

BOOST_AUTO_TEST_CASE(a_line_says_which_statement_and_how_long) {
    const auto moment = std::chrono::system_clock::time_point(1764072000123ms);
    const std::string line = slow_query_line(moment, some());
    BOOST_TEST(line ==
               R"j({"time":"2025-11-25T12:00:00.123Z","event":"slow_query","door":"http",)j"
               R"j("name":"slow","duration_ms":1234.567,"rows":3,"bytes":99,"status":"success",)j"
               R"j("client":"192.0.2.1","request_id":"r-1","text":"select f($1)"})j");
}

BOOST_AUTO_TEST_CASE(whatever_the_texts_hold_it_is_one_line_of_json) {
    std::string all;
    for (int c = 0; c < 256; ++c) {
        all += static_cast<char>(c);
    }
    SlowQuery query = some();
    const std::string text = "select 1 -- \"\\\n\t\xe2\x82\xac " + all;
    query.text = text;
    query.name = all;
    query.sqlstate = "57014";
    const std::string line = slow_query_line(std::chrono::system_clock::now(), query);
    BOOST_TEST(line.find('\n') == std::string::npos);
    const test::Json json = test::Json::parse(line);
    BOOST_TEST(json["sqlstate"].text() == "57014");
    BOOST_TEST(json["text"].text().substr(0, 20) == "select 1 -- \"\\\n\t\xe2\x82\xac ");
}

BOOST_AUTO_TEST_CASE(so_many_a_second_and_the_rest_is_counted) {
    LinesPerSecond rate(3);
    const TimePoint begin = Clock::now();
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(rate.admit(begin + i * 1ms));
    }
    BOOST_TEST(!rate.admit(begin + 4ms));
    BOOST_TEST(!rate.admit(begin + 999ms));
    BOOST_TEST(rate.admit(begin + 1s));
    BOOST_TEST(rate.take_suppressed() == 2U);
    BOOST_TEST(rate.take_suppressed() == 0U);
}

BOOST_AUTO_TEST_CASE(lines_go_to_the_file_and_to_a_new_one_after_it_was_renamed) {
    const test::Sandbox sandbox;
    const auto file = sandbox.path() / "slow.log";
    const auto renamed = sandbox.path() / "slow.log.1";
    {
        SlowLog log(LineWriter::open(file.string()).value(), 100);
        log.write(some());
        test::wait_until("the first line", [&] { return !test::read_file(file).empty(); });
        std::filesystem::rename(file, renamed);
        log.reopen();
        test::wait_until("the new file", [&] { return std::filesystem::exists(file); });
        log.write(some());
        BOOST_TEST(log.queries() == 2U);
        BOOST_TEST(log.suppressed() == 0U);
    }
    BOOST_TEST(lines_of(test::read_file(renamed)).size() == 1U);
    BOOST_TEST(lines_of(test::read_file(file)).size() == 1U);
}

BOOST_AUTO_TEST_CASE(what_is_left_out_is_told_with_the_next_line) {
    const test::Sandbox sandbox;
    const auto file = sandbox.path() / "slow.log";
    {
        SlowLog log(LineWriter::open(file.string()).value(), 2);
        for (int i = 0; i < 10; ++i) {
            log.write(some());
        }
        BOOST_TEST(log.queries() == 10U);
        // A second may have passed meanwhile.
        const auto left_out = log.suppressed();
        BOOST_TEST(left_out <= 8U);
        BOOST_TEST(left_out > 0U);
        test::wait_until("another second", [&] {
            log.write(some());
            return log.queries() - log.suppressed() > 10 - left_out;
        });
    }
    std::uint64_t told = 0;
    for (const std::string& line : lines_of(test::read_file(file))) {
        const test::Json json = test::Json::parse(line);
        if (json["event"].text() == "slow_queries_suppressed") {
            told += std::stoull(json["queries"].text());
        }
    }
    BOOST_TEST(told > 0U);
}

BOOST_AUTO_TEST_CASE(without_a_writer_queries_are_counted) {
    SlowLog log(nullptr, 1);
    log.write(some());
    log.write(some());
    log.reopen();
    BOOST_TEST(log.queries() == 2U);
    BOOST_TEST(log.suppressed() == 0U);
}

BOOST_AUTO_TEST_CASE(a_place_that_cannot_be_opened_is_an_error) {
    const auto opened = LineWriter::open("/nonexistent/slow.log");
    BOOST_REQUIRE(!opened);
    BOOST_TEST(opened.error() ==
               "cannot open \"/nonexistent/slow.log\": No such file or directory");
}

// A pipe that nobody reads: whoever logs goes on, what waits is bounded, and the end comes.
BOOST_AUTO_TEST_CASE(nobody_waits_for_a_reader_that_is_stuck) {
    const test::Sandbox sandbox;
    const std::string pipe = sandbox.path() / "pipe";
    BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    BOOST_REQUIRE(reader >= 0);
    std::size_t taken = 0;
    {
        const auto writer = LineWriter::open(pipe, 100 * 1024).value();
        const std::string line(1023, 'x');
        while (writer->write(line)) {
            ++taken;
            BOOST_REQUIRE(taken < 10000);
        }
    }
    BOOST_TEST(taken >= 100U);
    ::close(reader);
}

BOOST_AUTO_TEST_SUITE_END()

// The tests' own tools: the JSON reader is strict, and nothing is left behind by a test that dies.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/json.hpp"
#include "servers/process.hpp"

using namespace muster::test;
namespace data = boost::unit_test::data;

BOOST_AUTO_TEST_SUITE(harness)

BOOST_AUTO_TEST_CASE(json_is_read_as_it_is_written) {
    const auto json =
        Json::parse(R"( {"a":[1,-2.50e+3,true,null,{}],"b":"x\"\\\/\n\u00e9\ud83d\ude00"} )");
    BOOST_TEST(json.size() == 2u);
    BOOST_TEST(json["a"][1] == "-2.50e+3");
    BOOST_TEST(json["a"][2] == "true");
    BOOST_TEST(json["a"][3].is_null());
    BOOST_TEST(json["a"][4].is_object());
    BOOST_TEST(json["b"] == "x\"\\/\n\xc3\xa9\xf0\x9f\x98\x80");
    BOOST_TEST(json.dump().find(R"({"a":[1,-2.50e+3,true,null,{}],"b":)") == 0u);
    BOOST_CHECK_THROW(json["c"], std::runtime_error);
}

BOOST_AUTO_TEST_CASE(documents_differ_in_type_and_order) {
    BOOST_TEST(Json::parse("[1]") == Json::parse(" [ 1 ] "));
    BOOST_TEST(Json::parse("[1]") != Json::parse("[\"1\"]"));
    BOOST_TEST(Json::parse("[1]") != Json::parse("[1.0]"));
    BOOST_TEST(Json::parse(R"({"a":1,"b":2})") != Json::parse(R"({"b":2,"a":1})"));
}

BOOST_DATA_TEST_CASE(what_is_no_json_is_refused,
                     data::make({"", "{", "[1,]", "{\"a\":}", "{\"a\" 1}", "01", "1.", "+1", "nul",
                                 "\"\\x\"", "\"\t\"", "\"\\ud800\"", "\"", "[1] 2", "{a:1}"})) {
    BOOST_CHECK_THROW(Json::parse(sample), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_killed_test_leaves_no_directory) {
    const Sandbox evidence;
    const auto farewell = evidence.path() / "farewell";
    const auto place = evidence.path() / "place";
    const pid_t child = ::fork();
    if (child == 0) {
        const Sandbox sandbox({"sh", "-c", "pwd > \"$0\"", farewell.string()});
        std::FILE* file = std::fopen(place.c_str(), "w");
        std::fputs(sandbox.path().c_str(), file);
        std::fclose(file);
        ::raise(SIGKILL);
    }
    int status = 0;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST(WIFSIGNALED(status));
    const auto path = read_file(place);
    BOOST_REQUIRE(!path.empty());
    wait_until("the directory to go", [&] { return !std::filesystem::exists(path); });
    BOOST_TEST(read_file(farewell) == path + "\n");
}

// A server that outlives a connection of the test's would keep it open.
BOOST_AUTO_TEST_CASE(children_inherit_no_descriptor) {
    int ends[2];
    BOOST_REQUIRE(::pipe(ends) == 0);
    const Sandbox sandbox;
    Process process({"sleep", "600"}, sandbox.path() / "log", SIGKILL);
    ::close(ends[1]);
    pollfd end{ends[0], POLLIN, 0};
    wait_until("the end of the pipe", [&] { return ::poll(&end, 1, 0) == 1; });
    BOOST_TEST(process.running());
    ::close(ends[0]);
}

BOOST_AUTO_TEST_SUITE_END()

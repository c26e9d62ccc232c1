// What muster-proxy says to a configuration that is wrong, and to a database that is not there yet.
#include <algorithm>
#include <csignal>
#include <fstream>

#include <sys/wait.h>

#include "end_to_end/support.hpp"

using namespace muster::test;

namespace {

// The shipped configuration with the stack's addresses, and one thing changed.
class Variant {
  public:
    explicit Variant(const Stack& stack) : command_(stack.proxy_command()) {
        for (std::size_t i = 0; i + 1 < command_.size(); ++i) {
            if (command_[i] == "--config") {
                text_ = read_file(command_[i + 1]);
                command_[i + 1] = file().string();
            }
        }
        BOOST_REQUIRE(!text_.empty());
    }

    // Puts `replacement` in place of the only line that contains `part`; returns its number.
    int change(const std::string& part, const std::string& replacement) {
        const auto at = text_.find(part);
        BOOST_REQUIRE(at != std::string::npos);
        BOOST_REQUIRE(text_.find(part, at + 1) == std::string::npos);
        const auto begin = text_.rfind('\n', at) + 1;
        const auto end = text_.find('\n', at);
        text_.replace(begin, end - begin, replacement);
        return line_of(begin);
    }

    // Puts lines behind everything; returns the number of the first.
    int append(const std::string& lines) {
        const auto begin = text_.size();
        text_ += lines;
        return line_of(begin);
    }

    // Runs the proxy with it and expects exit code 2; returns what it said.
    std::string refusal() const {
        std::ofstream(file()) << text_;
        const auto log = sandbox_.path() / "log";
        Process process(command_, log, SIGKILL);
        const int status = process.wait();
        BOOST_TEST(WIFEXITED(status));
        BOOST_TEST(WEXITSTATUS(status) == 2);
        return read_file(log);
    }

    std::string place(int line) const { return file().string() + ":" + std::to_string(line) + ":"; }

  private:
    std::filesystem::path file() const { return sandbox_.path() / "proxy.toml"; }
    int line_of(std::size_t at) const {
        return 1 + static_cast<int>(std::count(
                       text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    }

    Sandbox sandbox_;
    std::vector<std::string> command_;
    std::string text_;
};

void check(const std::string& said, const std::string& place, const std::string& named) {
    BOOST_TEST(said.find(place) != std::string::npos, said);
    BOOST_TEST(said.find(named) != std::string::npos, said);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(configuration)

BOOST_AUTO_TEST_CASE(an_unknown_key_is_refused) {
    Variant variant(shared_stack());
    const int line = variant.change("startup_timeout", "startup_timeuot = \"10s\"");
    check(variant.refusal(), variant.place(line), "startup_timeuot");
}

BOOST_AUTO_TEST_CASE(a_wrong_type_is_refused) {
    Variant variant(shared_stack());
    const int line = variant.change("max_connections = 10000", "max_connections = \"many\"");
    check(variant.refusal(), variant.place(line), "max_connections");
}

BOOST_AUTO_TEST_CASE(broken_toml_is_refused) {
    Variant variant(shared_stack());
    const int line = variant.append("[[route]\n");
    check(variant.refusal(), variant.place(line), "");
}

BOOST_AUTO_TEST_CASE(a_parameter_that_the_call_does_not_use_is_refused) {
    Variant variant(shared_stack());
    const int line = variant.append(
        "\n[[route]]\nname = \"odd\"\nmatch = \"GET /odd\"\n"
        "params = { colour = { type = \"int\" } }\ncall = \"muster.tools_json()\"\n");
    const auto said = variant.refusal();
    // The route begins in the second line of what was added; the message is about one of its lines.
    bool placed = false;
    for (int i = 1; i <= 5; ++i)
        placed = placed || said.find(variant.place(line + i)) != std::string::npos;
    BOOST_TEST(placed, said);
    BOOST_TEST(said.find("colour") != std::string::npos, said);
}

BOOST_AUTO_TEST_CASE(a_call_of_no_existing_function_is_refused) {
    Variant variant(shared_stack());
    const int line = variant.append(
        "\n[[route]]\nname = \"odd\"\nmatch = \"GET /odd\"\ncall = \"muster.no_such_thing()\"\n");
    const auto said = variant.refusal();
    bool placed = false;
    for (int i = 1; i <= 4; ++i)
        placed = placed || said.find(variant.place(line + i)) != std::string::npos;
    BOOST_TEST(placed, said);
    BOOST_TEST(said.find("no_such_thing") != std::string::npos, said);
    BOOST_TEST(said.find("odd") != std::string::npos, said);
}

BOOST_AUTO_TEST_CASE(a_taken_port_is_named) {
    const auto& stack = shared_stack();
    const Sandbox sandbox;
    const auto log = sandbox.path() / "log";
    Process second(stack.proxy_command(), log, SIGKILL);
    const int status = second.wait();
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 1);
    BOOST_TEST(read_file(log).find(std::to_string(stack.port("http"))) != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

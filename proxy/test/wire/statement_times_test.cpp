// wire::StatementTimes: which statements messages run, however they are cut, and how time is
// shared.
#include "wire/statement_times.hpp"

#include <map>
#include <memory>
#include <string>

#include <boost/test/unit_test.hpp>

#include "wire/scanner.hpp"

using namespace muster;
using namespace muster::wire;
using namespace std::chrono_literals;

namespace {

std::string message(char type, const std::string& body = {}) {
    std::string bytes(1, type);
    append_uint32(bytes, static_cast<std::uint32_t>(4 + body.size()));
    return bytes + body;
}

// Strings with their NULs.
template <class... Strings>
std::string strings(const Strings&... all) {
    return ((std::string(all) + '\0') + ...);
}

std::string parse(const std::string& name, const std::string& sql) {
    return message('P', strings(name, sql) + std::string(2, '\0'));
}
std::string bind(const std::string& portal, const std::string& name) {
    return message('B', strings(portal, name) + std::string(6, '\0'));
}
std::string execute(const std::string& portal = "") {
    return message('E', strings(portal) + std::string(4, '\0'));
}
std::string query(const std::string& sql) {
    return message('Q', strings(sql));
}
std::string complete(const std::string& tag) {
    return message('C', strings(tag));
}
std::string error(const std::string& state) {
    return message('E', strings("SERROR", "VERROR", "C" + state, "Mno") + '\0');
}
const std::string ready = message('Z', "I");
const std::string end_sync = message('S');

// A session without sockets, whose streams are cut into chunks of a size.
class Played {
  public:
    explicit Played(std::size_t chunk = 1 << 20) : chunk_(chunk) {
        timing_ = std::move(timing::Timing::make(
                                [] {
                                    config::Config config;
                                    config.log.slow_query = "off";
                                    return config;
                                }(),
                                registry_, 1))
                      .value();
        table_ = std::make_unique<timing::StatementTable>(*timing_, 0);
        times_ = std::make_unique<StatementTimes>(*table_, "192.0.2.1");
        pipeline_.from_server('Z', 'I', [](const Pipeline::End&) {});
    }
    Played& client(const std::string& bytes) {
        each(bytes, [&](std::string_view chunk) {
            times_->client_read_begins(Clock::now());
            BOOST_REQUIRE(from_client_.feed(
                chunk, [&](const MessageStart& m) { times_->from_client(pipeline_, m); },
                [&](std::string_view more) { times_->more_from_client(pipeline_, more); }));
        });
        return *this;
    }
    Played& server(const std::string& bytes) {
        each(bytes, [&](std::string_view chunk) {
            BOOST_REQUIRE(from_server_.feed(
                chunk, [&](const MessageStart& m) { times_->from_server(pipeline_, m); },
                [&](std::string_view more) { times_->more_from_server(pipeline_, more); }));
            times_->server_read_ends();
        });
        return *this;
    }
    void lose_server() { times_->server_lost(pipeline_); }

    // "calls/errors/rows" by the text of the statement, or the name of a class.
    std::map<std::string, std::string> figures() const {
        std::map<std::string, std::string> all;
        for (const auto& one : timing_->statements().read())
            all[one.text.empty() ? one.name : one.text] = std::to_string(one.times.total) + '/' +
                                                          std::to_string(one.errors) + '/' +
                                                          std::to_string(one.rows);
        return all;
    }
    std::uint64_t bytes() const {
        std::uint64_t sum = 0;
        for (const auto& one : timing_->statements().read())
            sum += one.bytes;
        return sum;
    }

  private:
    template <class Feed>
    void each(std::string_view bytes, Feed&& feed) {
        for (; !bytes.empty(); bytes.remove_prefix(std::min(chunk_, bytes.size())))
            feed(bytes.substr(0, chunk_));
    }

    std::size_t chunk_;
    metrics::Registry registry_;
    std::unique_ptr<timing::Timing> timing_;
    std::unique_ptr<timing::StatementTable> table_;
    std::unique_ptr<StatementTimes> times_;
    Pipeline pipeline_;
    Scanner from_client_;
    Scanner from_server_;
};

using Figures = std::map<std::string, std::string>;

std::string show(const Figures& figures) {
    std::string all;
    for (const auto& [text, counts] : figures)
        all += text + " = " + counts + "\n";
    return all;
}

void check(const Played& played, const Figures& expected) {
    BOOST_TEST(show(played.figures()) == show(expected));
}

std::vector<long> shared(const std::vector<int>& arrived, int free, int now) {
    const auto at = [](int ms) { return TimePoint(std::chrono::hours(1) + ms * 1ms); };
    std::vector<Timed> queries;
    for (const int ms : arrived)
        queries.push_back({at(ms)});
    share_time(queries, at(free), at(now));
    std::vector<long> durations;
    for (const auto& one : queries)
        durations.push_back(
            std::chrono::duration_cast<std::chrono::milliseconds>(one.duration).count());
    return durations;
}

using Shares = std::vector<long>;

}  // namespace

BOOST_AUTO_TEST_SUITE(statement_times)

BOOST_AUTO_TEST_CASE(time_begins_at_arrival_or_when_the_server_is_free) {
    BOOST_TEST((shared({10}, 0, 100) == Shares{90}));
    BOOST_TEST((shared({10}, 40, 100) == Shares{60}));
    // What ends at one moment shares equally, but has not been longer than it was there.
    BOOST_TEST((shared({0, 0, 0}, 0, 90) == Shares{30, 30, 30}));
    BOOST_TEST((shared({0, 80}, 0, 100) == Shares{80, 20}));
    BOOST_TEST((shared({0, 40}, 0, 100) == Shares{50, 50}));
    BOOST_TEST((shared({0, 90, 95}, 20, 100) == Shares{65, 10, 5}));
    BOOST_TEST((shared({0, 100}, 0, 100) == Shares{100, 0}));
}

BOOST_AUTO_TEST_CASE(queries_and_executes_have_their_statements) {
    Played played;
    played.client(query("select 1")).server(complete("SELECT 1") + ready);
    played.client(parse("", "select a from t where b = $1") + bind("", "") + execute() + end_sync)
        .server(message('1') + message('2') + complete("SELECT 3") + ready);
    played.client(query("insert into t values (1); insert into t values (2)"))
        .server(complete("INSERT 0 1") + complete("INSERT 0 1") + ready);
    check(played, {{"select $1", "1/0/1"},
                   {"select a from t where b = $1", "1/0/3"},
                   {"insert into t values ($1); insert into t values ($2)", "1/0/2"}});
}

BOOST_AUTO_TEST_CASE(prepared_statements_and_portals_lead_to_the_text) {
    Played played;
    played.client(parse("one", "select one") + parse("two", "select two") + end_sync)
        .server(message('1') + message('1') + ready);
    played.client(bind("", "one") + execute() + bind("p", "two") + bind("q", "one") + execute("p") +
                  execute("q") + end_sync);
    played.server(message('2') + complete("SELECT 1") + message('2') + message('2') +
                  message('D', std::string(10, 'x')) + message('s') + complete("SELECT 5") + ready);
    check(played, {{"select one", "2/0/6"}, {"select two", "1/0/1"}});
    BOOST_TEST(played.bytes() == 10u);
    // The name gets another statement; then it is closed, or all are deallocated.
    played
        .client(message('C', "S" + strings("one")) + parse("one", "select three") +
                bind("", "one") + execute() + end_sync)
        .server(message('3') + message('1') + message('2') + complete("SELECT 1") + ready);
    played.client(query("DISCARD ALL")).server(complete("DISCARD ALL") + ready);
    played.client(bind("", "two") + execute() + end_sync)
        .server(message('2') + complete("SELECT 1") + ready);
    check(played, {{"select one", "2/0/6"},
                   {"select two", "1/0/1"},
                   {"select three", "1/0/1"},
                   {"DISCARD ALL", "1/0/0"},
                   {"other", "1/0/1"}});
}

BOOST_AUTO_TEST_CASE(errors_are_those_of_the_statement_that_has_them) {
    Played played;
    played.client(query("select a")).server(error("42703") + ready);
    // In the Bind of the second of three: it has failed, the third was not run.
    played.client(parse("", "select b") + bind("", "") + execute() + parse("", "select c") +
                  bind("", "") + execute() + parse("", "select d") + bind("", "") + execute() +
                  end_sync);
    played.server(message('1') + message('2') + complete("SELECT 1") + message('1') +
                  error("22012") + ready);
    check(played, {{"select a", "1/1/0"}, {"select b", "1/0/1"}, {"select c", "1/1/0"}});
    played.client(query("select e"));
    played.lose_server();
    BOOST_TEST(played.figures()["select e"] == "1/1/0");
}

BOOST_AUTO_TEST_CASE(copies_and_calls_are_classes) {
    Played played;
    played.client(query("copy t from stdin")).server(message('G', std::string(3, '\0')));
    played.client(message('d', "a\n") + message('c')).server(complete("COPY 1") + ready);
    played.client(query("begin; copy t to stdout"))
        .server(complete("BEGIN") + message('H', std::string(3, '\0')) + message('d', "abc") +
                message('c') + complete("COPY 4") + ready);
    played.client(message('F', std::string(10, '\0')))
        .server(message('V', std::string(4, '\xff')) + ready);
    played.client(query("listen a")).server(complete("LISTEN") + ready);
    played.client(query("START_REPLICATION 0/0"))
        .server(message('W', std::string(3, '\0')) + complete("COPY 0") + ready);
    check(played, {{"copy", "2/0/5"},
                   {"function_call", "1/0/0"},
                   {"listen", "1/0/0"},
                   {"replication", "1/0/0"}});
    BOOST_TEST(played.bytes() == 3u);
}

// The same conversation in chunks of all sizes: the same statements with the same figures.
BOOST_AUTO_TEST_CASE(wherever_the_chunks_end) {
    const std::string long_sql =
        "insert into long_one (a, b) values (1, '" + std::string(5000, 'x') + "')";
    const std::string longer_sql = "select '" + std::string(20000, 'y') + "' from longer_one";
    const std::string client =
        parse("name", "select a from t where b = 'x'") + bind("portal", "name") +
        execute("portal") + parse("", long_sql) + bind("", "") + execute() + end_sync +
        query("select b from u where c = 2") + query(longer_sql) + query(long_sql) +
        query("select bad") + message('C', "S" + strings("name"));
    const std::string server =
        message('1') + message('2') + message('D', "row") + complete("SELECT 1") + message('1') +
        message('2') + complete("INSERT 0 12345") + ready + message('T', "x") +
        message('D', std::string(3000, 'r')) + complete("SELECT 1") + ready +
        complete("SELECT 77") + ready + complete("INSERT 0 3") + ready + error("57014") + ready;
    Played whole;
    whole.client(client).server(server);
    const auto expected = whole.figures();
    BOOST_TEST(expected.size() == 5u);
    BOOST_TEST(expected.at("insert into long_one (a, b) values ($1, $2)") == "2/0/12348");
    for (const std::size_t size : {1, 2, 3, 5, 7, 64, 100, 1000, 8192, 8193, 16384}) {
        Played cut(size);
        cut.client(client).server(server);
        BOOST_TEST(show(cut.figures()) == show(expected), size);
        BOOST_TEST(cut.bytes() == whole.bytes());
    }
}

BOOST_AUTO_TEST_CASE(names_are_bounded) {
    Played played;
    for (int i = 0; i < 5000; ++i)
        played.client(parse("n" + std::to_string(i), "select 1") + end_sync)
            .server(message('1') + ready);
    played.client(bind("", "n4999") + execute() + end_sync)
        .server(message('2') + complete("SELECT 1") + ready);
    BOOST_TEST(played.figures()["select $1"] == "1/0/1");
}

BOOST_AUTO_TEST_SUITE_END()

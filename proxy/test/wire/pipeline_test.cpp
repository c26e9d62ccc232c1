// wire::Pipeline: which requests are outstanding, and how each ends.
#include "wire/pipeline.hpp"

#include <string>
#include <string_view>
#include <utility>

#include <boost/test/unit_test.hpp>

using namespace muster::wire;

namespace {

struct Played {
    Pipeline pipeline;
    std::string ends;  // "1Q+ 2E- 3E/ ": the tag, the type, and done, failed or skipped
};

// Plays a script whose items are `>X`, a message of type X from the client, and `<X`, one from the
// server; `<Z` has the transaction status behind it. Queries are numbered from 1.
Played play(std::string_view script) {
    Played played;
    std::uint64_t next = 1;
    for (std::size_t i = 0; i + 1 < script.size(); ++i) {
        if (script[i] == ' ')
            continue;
        const bool client = script[i] == '>';
        const char type = script[++i];
        if (client) {
            next += played.pipeline.from_client(type, {next, {}});
            continue;
        }
        const char status = type == 'Z' ? script[++i] : '\0';
        played.pipeline.from_server(type, status, [&](const Pipeline::End& end) {
            constexpr std::string_view marks = "+-/";
            played.ends += std::to_string(end.tag.statement) + end.type +
                           marks[static_cast<std::size_t>(end.outcome)] + ' ';
        });
    }
    return played;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pipeline)

// `>` from the client, `<` from the server, in the order in which the door sees them.
const std::pair<const char*, bool> scripts[] = {
    {"", false},
    {"<R >p <R <S <K", false},
    {"<R >p <R <K <ZI", true},
    {"<ZI >Q", false},
    {"<ZI >Q <T <D <C", false},
    {"<ZI >Q <T <D <C <ZI", true},
    {"<ZI >Q <C <ZT", false},
    {"<ZI >Q <C <ZT >Q <E <ZE >Q <C <ZI", true},
    {">Q <ZI", false},  // sent before the login was through
    {">Q <ZI <C <ZI", true},
    {"<ZI <N <A <S", true},  // messages of the server's own accord
    // Several requests at once.
    {"<ZI >Q >Q <ZI", false},
    {"<ZI >Q >Q <ZI <ZI", true},
    {"<ZI >F <V <ZI", true},
    // Extended protocol: outstanding from the first message to the answer to Sync.
    {"<ZI >P", false},
    {"<ZI >P >B >E >H <1 <2 <C", false},
    {"<ZI >P >B >E >S <1 <2 <C <ZI", true},
    {"<ZI >P >B >E >S >P <1 <2 <C <ZI", false},
    {"<ZI >P >B >E >S >B >E >S <1 <2 <C <ZI <2 <C <ZI", true},
    {"<ZI >P >B >E >S <E <ZI", true},
    // COPY FROM STDIN by Query, also with Syncs that the server ignores, and with an error.
    {"<ZI >Q <G >d >d", false},
    {"<ZI >Q <G >d >d >c", false},
    {"<ZI >Q <G >d >S >H >d >c <C <ZI", true},
    {"<ZI >Q <G >d >f <E <ZI", true},
    {"<ZI >Q >d >c <G <C <ZI", true},  // all sent without waiting for the server to take it
    {"<ZI >Q <G >d <E <ZI >d >c", true},
    {"<ZI >Q <G >d <E >c <ZI", true},
    {"<ZI >Q <G >d <E <ZI >c >Q", false},
    {"<ZI >Q <G >d <E <ZI >c >Q <C <ZI", true},
    // A Sync among the data is ignored, or answered if the data before it had an error.
    {"<ZI >Q >d >S <G >c <C <ZI", true},
    {"<ZI >Q >d >S <G <E <ZI", false},
    {"<ZI >Q >d >S <G <E <ZI <ZI", true},
    {"<ZI >Q <G >d >S <E <ZI", false},
    {"<ZI >Q <G >d >S <E <ZI <ZI", true},
    {"<ZI >Q <G >d >S <E <ZI >Q <C <ZI", true},
    {"<ZI >Q >d >Q <G <E <ZI", false},
    {"<ZI >Q >d >Q <G <E <ZI <C <ZI", true},
    {"<ZI >P >B >E >d >S <1 <2 <G >d >S <E <ZI", false},
    {"<ZI >P >B >E >d >S <1 <2 <G >d >S <E <ZI <ZI >Q <C <ZI", true},
    // The same in the extended protocol: the Sync before the data is not answered.
    {"<ZI >P >B >E >S <G >d >c", false},
    {"<ZI >P >B >E >S <1 <2 <G >d >c >S", false},
    {"<ZI >P >B >E >S <1 <2 <G >d >c >S <C <ZI", true},
    {"<ZI >P >B >E >S >d >c >S <1 <2 <G <C <ZI", true},
    {"<ZI >P >B >E <1 <2 <G >d >c >S <C <ZI", true},
    {"<ZI >P >B >E >S <1 <2 <G >d <E >c >S <ZI", true},
    // What a failed sequence swallows has no answer of its own.
    {"<ZI >P >Q >S <E", false},
    {"<ZI >P >Q >S <E <ZI", true},
    {"<ZI >P >B >E <E >P >Q >F", false},
    {"<ZI >P >B >E <E >P >Q >F >S <ZI", true},
    {"<ZI >P >B >E >S <1 <2 <C <E <ZI", true},  // the commit fails
    {"<ZI >P >B >E >S >P >B >E >S <E <ZI <1 <2 <C", false},
    {"<ZI >P >B >E >S >P >B >E >S <E <ZI <1 <2 <C <ZI", true},
    // A Sync among copy data that has an error: of what follows it is unclear what is answered.
    {"<ZI >Q <G >S >d <E <ZI >S >P <ZI <E >S >P >Q <ZI <1 <E <ZI >Q >E >S <E <ZT >E <E >Q >Q <ZT "
     "<D <C >Q <N <E <ZI <N <E <ZI",
     false},
    // COPY TO STDOUT and a replication stream end like any query.
    {"<ZI >Q <H <d <d", false},
    {"<ZI >Q <H <d <c <C <ZI", true},
    {"<ZI >Q <W <d >d >d <d >c", false},
    {"<ZI >Q <W <d >d >c <c <C <ZI", true},
};

BOOST_AUTO_TEST_CASE(idle_means_that_nothing_would_be_missed) {
    for (const auto& [script, idle] : scripts)
        BOOST_TEST(play(script).pipeline.idle() == idle, script);
}

// The script, how its queries have ended and how many have not.
struct Ends {
    const char* script;
    const char* ends;
    std::size_t outstanding;
};
const Ends ends[] = {
    {"<ZI >Q", "", 1},
    {"<ZI >Q <T <D <C", "", 1},
    {"<ZI >Q <T <D <C <ZI", "1Q+ ", 0},
    {"<ZI >Q <C <C <E <ZI", "1Q- ", 0},
    {"<ZI >Q >Q >Q <E <ZI <C <ZI", "1Q- 2Q+ ", 1},
    {"<ZI >F <V <ZI", "1F+ ", 0},
    {"<ZI >F <E <ZI", "1F- ", 0},
    {">Q <ZI", "", 1},  // the first ReadyForQuery answers the startup message
    {">Q <ZI <C <ZI", "1Q+ ", 0},
    // Each Execute ends by itself, before its Sync.
    {"<ZI >P >B >D >E >S <1 <2 <T <D <C", "1E+ ", 0},
    {"<ZI >P >D >S <1 <t <n <ZI >B >E >S <2 <C <ZI", "1E+ ", 0},
    {"<ZI >P >B >E >H <1 <2 <s >E >H <s >E >S <C <ZI", "1E+ 2E+ 3E+ ", 0},
    {"<ZI >P >B >E >S <1 <2 <I <ZI", "1E+ ", 0},
    {"<ZI >B >E >B >E >B >E >S <2 <C <2 <C", "1E+ 2E+ ", 1},
    {"<ZI >C >B >E >S <3 <2 <C <ZI", "1E+ ", 0},
    // An error skips the rest of its sequence, and nothing of the next.
    {"<ZI >B >E >B >E >B >E >S >B >E >S <2 <C <2 <E", "1E+ 2E- 3E/ ", 1},
    {"<ZI >B >E >B >E >B >E >S >B >E >S <2 <C <2 <E <ZI <2 <C <ZI", "1E+ 2E- 3E/ 4E+ ", 0},
    {"<ZI >P >B >E >S <E <ZI", "1E/ ", 0},
    {"<ZI >P >Q >F >S <E <ZI", "1Q/ 2F/ ", 0},
    {"<ZI >P >B >E >H <E >B >E >Q >S >Q <ZI <C <ZI", "1E/ 2Q+ ", 0},
    {"<ZI >B >E >S >Q <2 <C <E <ZI <C <ZI", "1E+ 2Q+ ", 0},  // the commit fails
    // A Query in an unfinished sequence.
    {"<ZI >P >B >Q <1 <2 <C <ZI >S <ZI", "1Q+ ", 0},
    // COPY.
    {"<ZI >Q <G >d >c <C <ZI", "1Q+ ", 0},
    {"<ZI >Q <G >d >f <E <ZI", "1Q- ", 0},
    {"<ZI >Q <H <d <d <c <C <ZI", "1Q+ ", 0},
    {"<ZI >P >B >E >S <1 <2 <G >d >c >S <C <ZI", "1E+ ", 0},
    {"<ZI >P >B >E >S <1 <2 <G >d <E >c >S <ZI", "1E- ", 0},
    {"<ZI >P >B >E >d >c >S >B >E >S <1 <2 <G <C <ZI <2 <C <ZI", "1E+ 2E+ ", 0},
    {"<ZI >P >B >E >d >c >S >Q <1 <2 <E <ZI <C <ZI", "1E- 2Q+ ", 0},  // refused before it began
    {"<ZI >Q >d >c >Q <E <ZI <C <ZI", "1Q- 2Q+ ", 0},
    // Messages of the server's own accord end nothing.
    {"<ZI >Q <N <A <S <N", "", 1},
    {"<ZI <E", "", 0},
};

BOOST_AUTO_TEST_CASE(each_query_ends_once_and_in_order) {
    for (const auto& [script, expected, outstanding] : ends) {
        const auto played = play(script);
        BOOST_TEST(played.ends == expected, script << ": " << played.ends);
        BOOST_TEST(played.pipeline.outstanding() == outstanding, script);
    }
}

BOOST_AUTO_TEST_CASE(a_boundary_lies_between_sequences_of_the_client) {
    const std::pair<const char*, bool> boundaries[] = {
        {"<ZI", true},
        {"<ZI >Q", true},
        {"<ZI >P", false},
        {"<ZI >P >B >S", true},
        {"<ZI >P >H", false},
        {"<ZI >P >H <E", false},
        {"<ZI >P >H <E >S", true},
        {"<ZI >Q <G", false},
        {"<ZI >Q <G >d >c", true},
        {"<ZI >P >Q", true},
    };
    for (const auto& [script, boundary] : boundaries)
        BOOST_TEST(play(script).pipeline.at_boundary() == boundary, script);
}

BOOST_AUTO_TEST_CASE(the_status_is_the_last_one_told) {
    BOOST_TEST(play("<R").pipeline.status() == '\0');
    BOOST_TEST(play("<ZI >Q <C <ZT").pipeline.status() == 'T');
    BOOST_TEST(play("<ZI >Q <C <ZT >Q <E <ZE").pipeline.status() == 'E');
}

BOOST_AUTO_TEST_CASE(queries_are_counted_where_they_begin) {
    Pipeline pipeline;
    std::string counted;
    for (const char type : std::string("pPBDEHSQFCXdcf")) {
        if (pipeline.from_client(type))
            counted += type;
    }
    BOOST_TEST(counted == "EQF");
}

BOOST_AUTO_TEST_CASE(what_a_lost_server_has_not_answered_is_told_in_order) {
    auto played = play("<ZI >P >B >E >S >Q <1 <2");
    played.pipeline.name_last(7);
    std::string told;
    const auto note = [&](const Pipeline::End& end) {
        told += std::to_string(end.tag.statement) + end.type;
    };
    played.pipeline.abandon(note);
    BOOST_TEST(told == "1E7Q");
    BOOST_TEST(played.pipeline.outstanding() == 0u);
    played.pipeline.name_last(8);  // nothing to name
    played.pipeline.abandon(note);
    BOOST_TEST(told == "1E7Q");
}

BOOST_AUTO_TEST_CASE(a_long_pipeline_is_followed_to_its_end) {
    auto pipeline = play("<ZI").pipeline;
    std::uint64_t sent = 0, ended = 0;
    const auto expect_next = [&](const Pipeline::End& end) {
        BOOST_REQUIRE(end.tag.statement == ended++);
    };
    for (int round = 0; round < 100; ++round) {
        for (int i = 0; i < 1000; ++i) {
            for (const char type : std::string_view("PBES"))
                sent += pipeline.from_client(type, {sent, {}});
        }
        for (int i = 0; i < 1000; ++i) {
            for (const char type : std::string_view("12C"))
                pipeline.from_server(type, '\0', expect_next);
            pipeline.from_server('Z', 'I', expect_next);
        }
        BOOST_TEST(pipeline.idle());
    }
    BOOST_TEST(ended == 100000u);
}

BOOST_AUTO_TEST_CASE(endless_pipelining_is_bounded) {
    auto pipeline = play("<ZI").pipeline;
    std::size_t ended = 0;
    for (int i = 0; i < 200000; ++i)
        pipeline.from_client('Q');
    for (int i = 0; i < 200000; ++i)
        pipeline.from_server('Z', 'I', [&](const Pipeline::End&) { ++ended; });
    BOOST_TEST(ended < 100000u);
    BOOST_TEST(!pipeline.idle());
}

BOOST_AUTO_TEST_SUITE_END()

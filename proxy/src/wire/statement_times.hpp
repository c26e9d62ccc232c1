// How long each of a session's statements takes, and which it is: what goes through the door, read
// for timing.
//
// A statement's time begins when the door has read its Query or Execute, but not before the one
// before it has ended, and ends when the door has read what ends it: an Execute's CommandComplete,
// EmptyQueryResponse, PortalSuspended or error, a Query's ReadyForQuery. So in a pipeline each is
// timed by itself, as far as the server lets it be seen: answers that it has kept back and sends at
// once, as it does up to a Sync or Flush, share the time that they took together in equal parts,
// none of them more than it was there for. What a limit holds back is not read and so not timed; a
// client that does not take its answer is.
//
// SQL text is in Query and Parse only, of which at most max_hashed bytes are looked at: where they
// lie in the buffer, or in a copy if they come in pieces. An Execute leads there by its portal and
// the prepared statement, whose names are kept as hashes, in bounded numbers.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/asio.hpp"
#include "timing/statement_table.hpp"
#include "wire/pipeline.hpp"
#include "wire/scanner.hpp"

namespace muster::wire {

// Bytes of a statement that tell it from others.
inline constexpr std::size_t max_hashed = 8192;

// A query that has ended, as far as time is concerned.
struct Timed {
    TimePoint arrived;
    std::chrono::nanoseconds duration{0};
};

// Gives queries that ended at one moment, `now`, their durations: they are in order, at least one,
// and before `free` the server was busy with others.
void share_time(std::vector<Timed>& queries, TimePoint free, TimePoint now);

class StatementTimes {
  public:
    // `table` is of the session's thread and outlives this; `client` is who the log is told.
    StatementTimes(timing::StatementTable& table, std::string client)
        : table_(table), client_(std::move(client)) {}

    // A message of the client that is now read, told to `pipeline` too; returns what that says.
    bool from_client(Pipeline& pipeline, const MessageStart& message);
    void more_from_client(Pipeline& pipeline, std::string_view piece);

    // A message of the server, told to `pipeline` too.
    void from_server(Pipeline& pipeline, const MessageStart& message) {
        switch (message.type) {
            case 'D':  // DataRow
                ++data_rows_;
                bytes_ += message.body;
                break;
            case 'd':  // CopyData
                bytes_ += message.body;
                break;
            default:
                other_from_server(pipeline, message);
        }
    }
    void more_from_server(Pipeline& pipeline, std::string_view piece);
    // The server is gone.
    void server_lost(Pipeline& pipeline);

    // To be called at the beginning of each read of the client, and the end of each of the server:
    // the clock is read once for all that it brought.
    void client_read_begins(TimePoint now) { client_now_ = now; }
    void server_read_ends() {
        if (!ended_.empty())
            record_ended();
    }

  private:
    using Ref = timing::StatementTable::Ref;
    using Names = std::unordered_map<std::uint64_t, Ref>;  // by the name's hash

    // The beginning of a message's body, when the chunk did not have as much of it as is wanted.
    struct Partial {
        char type = '\0';    // NUL: there is none
        bool query = false;  // it began one
        std::size_t wanted = 0;
        std::string bytes;

        // Takes what it wants of a piece; true if that was the last.
        bool take(std::string_view piece);
    };
    struct Ended {
        Ref statement;
        timing::Run run;
        std::array<char, 5> sqlstate;  // NUL: none
    };

    Ref read_client(char type, std::string_view body);
    Ref find(std::string_view text, bool prepared);
    void parse(std::string_view body);
    void bind(std::string_view body);
    void close(std::string_view body);
    Ref execute(std::string_view body);

    void other_from_server(Pipeline& pipeline, const MessageStart& message);
    void read_server(char type, std::string_view body);
    void tell(Pipeline& pipeline, char type, char first);
    void on_end(const Pipeline::End& end, bool& blamed);
    void record_ended();

    timing::StatementTable& table_;
    const std::string client_;
    TimePoint client_now_{};  // of the read that is under way
    TimePoint free_{};        // when the last query ended
    Ref unnamed_;             // the unnamed prepared statement, and
    Ref portal_;              // the unnamed portal
    Names prepared_;
    Names portals_;
    Partial from_client_;
    Partial from_server_;
    // Of the query at the head.
    std::uint64_t rows_ = 0;       // by its tags
    std::uint64_t data_rows_ = 0;  // sent
    std::uint64_t bytes_ = 0;
    std::array<char, 5> sqlstate_{};
    char copies_ = '\0';  // CopyInResponse, CopyOutResponse or CopyBothResponse

    // In the read that is under way.
    std::vector<Ended> ended_;
    std::vector<Timed> times_;
};

}  // namespace muster::wire

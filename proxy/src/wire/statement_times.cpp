#include "wire/statement_times.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <utility>

namespace muster::wire {
namespace {

using timing::StatementKind;
using timing::StatementTable;

// Prepared statements, and portals, that a session's names are kept of. Beyond it some are
// forgotten, and their runs count among the others.
constexpr std::size_t max_names = 1000;

// Bytes that are looked at of messages without SQL: names of PostgreSQL's have 63.
constexpr std::size_t max_names_length = 1024;
constexpr std::size_t max_tag_length = 64;
constexpr std::size_t max_error_length = 256;  // severity, severity again, SQLSTATE

std::size_t wanted_of(char type, std::size_t body) {
    return std::min(body, type == 'Q'   ? max_hashed + 1
                          : type == 'P' ? max_names_length + max_hashed + 1
                                        : max_names_length);
}

// Takes the string up to the next NUL, or all there is, off `rest`.
std::string_view take_string(std::string_view& rest) {
    const auto end = std::min(rest.find('\0'), rest.size());
    const auto string = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return string;
}

std::uint64_t packed(StatementTable::Ref ref) {
    return std::bit_cast<std::uint64_t>(ref);
}

// The number at the end of a command tag, 0 if there is none.
std::uint64_t rows_of(std::string_view body) {
    const auto tag = take_string(body);
    const auto space = tag.rfind(' ');
    std::uint64_t rows = 0;
    if (space != std::string_view::npos)
        std::from_chars(tag.data() + space + 1, tag.data() + tag.size(), rows);
    return rows;
}

// The SQLSTATE of an ErrorResponse.
std::array<char, 5> sqlstate_of(std::string_view body) {
    std::array<char, 5> state{};
    while (!body.empty() && body.front() != '\0') {
        const char field = body.front();
        body.remove_prefix(1);
        const auto value = take_string(body);
        if (field == 'C' && value.size() == state.size()) {
            std::copy(value.begin(), value.end(), state.begin());
            break;
        }
    }
    return state;
}

// Keeps `ref` under a name; of too many another is forgotten.
template <class Names>
void keep(Names& names, std::string_view name, StatementTable::Ref ref) {
    if (names.size() >= max_names)
        names.erase(names.begin());
    names.insert_or_assign(timing::hash_of(name), ref);
}

// What is kept under a name, all others if nothing is.
template <class Names>
StatementTable::Ref kept(const Names& names, std::string_view name) {
    const auto found = names.find(timing::hash_of(name));
    return found == names.end() ? StatementTable::Ref() : found->second;
}

}  // namespace

void share_time(std::vector<Timed>& queries, TimePoint free, TimePoint now) {
    auto left = now - std::max(queries.front().arrived, free);
    // From the last, which was there for the shortest time.
    for (std::size_t i = queries.size(); i-- > 0;) {
        const auto there = now - std::max(queries[i].arrived, free);
        queries[i].duration = std::min(left / static_cast<std::int64_t>(i + 1), there);
        left -= queries[i].duration;
    }
}

bool StatementTimes::Partial::take(std::string_view piece) {
    if (type == '\0')
        return false;
    bytes.append(piece.substr(0, wanted - bytes.size()));
    return bytes.size() == wanted;
}

bool StatementTimes::from_client(Pipeline& pipeline, const MessageStart& message) {
    const char type = message.type;
    switch (type) {
        case 'Q':  // Query
        case 'P':  // Parse
        case 'B':  // Bind
        case 'C':  // Close
        case 'E':  // Execute
            break;
        case 'F':  // FunctionCall
            return pipeline.from_client(
                type, {packed(StatementTable::all_of(StatementKind::function_call)), client_now_});
        default:
            return pipeline.from_client(type);
    }
    const auto wanted = wanted_of(type, message.body);
    const bool whole = message.head.size() >= wanted;
    const auto statement = whole ? read_client(type, message.head.substr(0, wanted)) : Ref();
    const bool query = pipeline.from_client(
        type, type == 'Q' || type == 'E' ? Pipeline::Tag{packed(statement), client_now_}
                                         : Pipeline::Tag());
    if (!whole)
        from_client_ = {type, query, wanted, std::string(message.head)};
    return query;
}

void StatementTimes::more_from_client(Pipeline& pipeline, std::string_view piece) {
    if (!from_client_.take(piece))
        return;
    const auto message = std::exchange(from_client_, {});
    const auto statement = read_client(message.type, message.bytes);
    if (message.query)
        pipeline.name_last(packed(statement));
}

// Takes note of a message of which `body` is all that is wanted; the statement, if it runs one.
StatementTimes::Ref StatementTimes::read_client(char type, std::string_view body) {
    Ref statement;
    switch (type) {
        case 'Q':
            statement = find(body, false);
            break;
        case 'E':
            statement = execute(body);
            break;
        case 'P':
            parse(body);
            return {};
        case 'B':
            bind(body);
            return {};
        default:
            close(body);
            return {};
    }
    if (table_.kind(statement) == StatementKind::deallocate_all)
        prepared_.clear();
    return statement;
}

// The statement whose text `text` begins with; without a NUL it goes on.
StatementTimes::Ref StatementTimes::find(std::string_view text, bool prepared) {
    const auto end = text.find('\0');
    const auto sql = text.substr(0, std::min(end, max_hashed));
    const bool cut = end == std::string_view::npos || end > max_hashed;
    return prepared ? table_.find_prepared(sql, cut) : table_.find(sql, cut);
}

void StatementTimes::parse(std::string_view body) {
    const auto name = take_string(body);
    const auto statement = find(body, true);
    if (name.empty())
        unnamed_ = statement;
    else
        keep(prepared_, name, statement);
}

void StatementTimes::bind(std::string_view body) {
    const auto portal = take_string(body);
    const auto name = take_string(body);
    const auto statement = name.empty() ? unnamed_ : kept(prepared_, name);
    if (portal.empty())
        portal_ = statement;
    else
        keep(portals_, portal, statement);
}

void StatementTimes::close(std::string_view body) {
    if (body.empty())
        return;
    const char what = body.front();
    body.remove_prefix(1);
    (what == 'S' ? prepared_ : portals_).erase(timing::hash_of(take_string(body)));
}

StatementTimes::Ref StatementTimes::execute(std::string_view body) {
    const auto portal = take_string(body);
    return portal.empty() ? portal_ : kept(portals_, portal);
}

void StatementTimes::other_from_server(Pipeline& pipeline, const MessageStart& message) {
    switch (message.type) {
        case 'C':    // CommandComplete
        case 'E': {  // ErrorResponse
            const auto wanted =
                std::min(message.body, message.type == 'C' ? max_tag_length : max_error_length);
            if (message.head.size() < wanted) {
                from_server_ = {message.type, false, wanted, std::string(message.head)};
                return;
            }
            read_server(message.type, message.head.substr(0, wanted));
            break;
        }
        case 'G':  // CopyInResponse
        case 'H':  // CopyOutResponse
        case 'W':  // CopyBothResponse
            copies_ = message.type;
            break;
        case 's':  // PortalSuspended
            rows_ += data_rows_;
            break;
        default:
            break;
    }
    tell(pipeline, message.type, message.first);
}

void StatementTimes::more_from_server(Pipeline& pipeline, std::string_view piece) {
    if (!from_server_.take(piece))
        return;
    const auto message = std::exchange(from_server_, {});
    read_server(message.type, message.bytes);
    tell(pipeline, message.type, message.bytes.front());
}

void StatementTimes::read_server(char type, std::string_view body) {
    if (type == 'C')
        rows_ += rows_of(body);
    else
        sqlstate_ = sqlstate_of(body);
}

void StatementTimes::tell(Pipeline& pipeline, char type, char first) {
    // An error before an Execute, in its Parse or Bind, is that Execute's.
    bool blamed = type != 'E';
    pipeline.from_server(type, first, [&](const Pipeline::End& end) { on_end(end, blamed); });
    if (type == 'Z') {
        sqlstate_ = {};
        if (first == 'I' && !portals_.empty())
            portals_.clear();  // they end with their transaction
    }
}

void StatementTimes::server_lost(Pipeline& pipeline) {
    bool blamed = false;
    pipeline.abandon([&](const Pipeline::End& end) { on_end(end, blamed); });
    server_read_ends();
}

// What the server has discarded unread was not run, but for the one that is to be blamed.
void StatementTimes::on_end(const Pipeline::End& end, bool& blamed) {
    const bool failed = end.outcome == Pipeline::Outcome::failed || !blamed;
    blamed = true;
    if (end.outcome == Pipeline::Outcome::skipped && !failed)
        return;
    const auto statement = copies_ == '\0'  ? std::bit_cast<Ref>(end.tag.statement)
                           : copies_ == 'W' ? StatementTable::all_of(StatementKind::replication)
                                            : StatementTable::all_of(StatementKind::copy);
    ended_.push_back({statement, {.rows = rows_, .bytes = bytes_, .failed = failed}, sqlstate_});
    times_.push_back({end.tag.arrived});
    rows_ = data_rows_ = bytes_ = 0;
    sqlstate_ = {};
    copies_ = '\0';
}

void StatementTimes::record_ended() {
    const auto now = Clock::now();
    share_time(times_, free_, now);
    free_ = now;
    for (std::size_t i = 0; i < ended_.size(); ++i) {
        auto& [statement, run, state] = ended_[i];
        run.duration = times_[i].duration;
        const std::string_view sqlstate{state.data(), state[0] == '\0' ? 0 : state.size()};
        table_.record(statement, run, {client_, sqlstate});
    }
    ended_.clear();
    times_.clear();
}

}  // namespace muster::wire

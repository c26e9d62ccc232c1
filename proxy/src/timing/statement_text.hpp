// What is said of a statement that came as SQL text: a name for labels, what kind it is, and its
// text without any value. Pure, but for normalized_text(), which is slow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace muster::timing {

// Longest text that is kept of a statement, in bytes.
inline constexpr std::size_t max_text = 4096;

// What a door does differently for some statements.
enum class StatementKind : std::uint8_t {
    query,
    deallocate_all,  // DEALLOCATE ALL, DISCARD ALL: prepared statements are no more
    // Those whose duration says nothing of the server, or that have no text, are one class each.
    copy,
    listen,         // LISTEN, UNLISTEN
    replication,    // commands of the streaming replication protocol
    function_call,  // of a function by its number: large objects, for one
};
constexpr bool is_class(StatementKind kind) {
    return kind >= StatementKind::copy;
}
std::string_view name_of(StatementKind kind);

// Of the first of the statements in `sql`; never function_call.
StatementKind kind_of(std::string_view sql);

// A name of letters, digits and underscores, such as "select_pgbench_accounts_1f0a2b3c": the first
// word, the first table, and half of the statement's hash. At most 64 bytes.
std::string statement_name(std::string_view sql, std::uint64_t hash);

// The tokens of `sql` with each value in place of which a parameter could stand as one: $1, $2, or
// the next number if there are parameters. Comments are left out, and whitespace is one space. An
// ellipsis stands where it is too long or, with `cut`, the text has been cut off.
std::string masked_text(std::string_view sql, bool cut = false);

// As PostgreSQL's parser sees it (libpg_query): its constants replaced, and then what it has left,
// in commands such as COMMENT and NOTIFY, as masked_text() does. masked_text() alone for what does
// not parse or is not UTF-8. Takes from 3 us to milliseconds.
std::string normalized_text(const std::string& sql);

}  // namespace muster::timing

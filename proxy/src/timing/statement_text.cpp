// Reading the tokens, and asking libpg_query.
#include "timing/statement_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <pg_query.h>
#include <spdlog/fmt/fmt.h>

#include "runtime/json.hpp"
#include "timing/sql_lexer.hpp"

namespace muster::timing {
namespace {

using Kind = SqlLexer::Kind;

constexpr std::size_t max_name_part = 40;

// An unquoted word as the server knows it.
std::string lowered(std::string_view word) {
    std::string lower(word);
    for (char& c : lower) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    }
    return lower;
}

bool is_plain(std::string_view word) {
    return !word.empty() && word.size() <= max_name_part &&
           std::all_of(word.begin(), word.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_';
           });
}

std::string_view unquoted(std::string_view word) {
    return word.starts_with('"') && word.size() >= 2 ? word.substr(1, word.size() - 2) : word;
}

// The first words, in lower case, whatever brackets they are in.
template <std::size_t N>
std::array<std::string, N> first_words(std::string_view sql) {
    std::array<std::string, N> words;
    SqlLexer lexer(sql);
    Kind kind = lexer.next();
    while (kind == Kind::mark) {
        kind = lexer.next();
    }
    for (std::string& word : words) {
        if (kind != Kind::word) {
            break;
        }
        word = lowered(lexer.text());
        kind = lexer.next();
    }
    return words;
}

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// The first name behind a word that a table's name follows, without its schema.
std::string first_table(std::string_view sql) {
    constexpr std::array<std::string_view, 5> before{"from", "into", "update", "table", "call"};
    constexpr std::array<std::string_view, 5> between{"only", "if", "not", "exists", "select"};
    SqlLexer lexer(sql);
    Kind kind = lexer.next();
    while (kind != Kind::end) {
        if (kind != Kind::word || !is_one_of(lowered(lexer.text()), before)) {
            kind = lexer.next();
            continue;
        }
        do {
            kind = lexer.next();
        } while (kind == Kind::word && is_one_of(lowered(lexer.text()), between));
        std::string name;
        while (kind == Kind::word || kind == Kind::quoted) {
            name = kind == Kind::word ? lowered(lexer.text()) : std::string(unquoted(lexer.text()));
            kind = lexer.next();
            if (kind != Kind::mark || lexer.text() != ".") {
                break;
            }
            kind = lexer.next();
        }
        if (!name.empty()) {
            return name;
        }
    }
    return {};
}

// The highest number of a parameter, 0 without one.
std::uint32_t last_parameter(std::string_view sql) {
    std::uint32_t last = 0;
    SqlLexer lexer(sql);
    for (Kind kind = lexer.next(); kind != Kind::end; kind = lexer.next()) {
        std::uint32_t number = 0;
        if (kind == Kind::parameter) {
            std::from_chars(lexer.begin() + 1, lexer.end(), number);
        }
        last = std::max(last, number);
    }
    return last;
}

}  // namespace

std::string_view name_of(StatementKind kind) {
    constexpr std::array<std::string_view, 6> names{"query",  "deallocate_all", "copy",
                                                    "listen", "replication",    "function_call"};
    return names[static_cast<std::size_t>(kind)];
}

StatementKind kind_of(std::string_view sql) {
    constexpr std::array<std::string_view, 9> replication{
        "identify_system",   "timeline_history",       "create_replication_slot",
        "base_backup",       "alter_replication_slot", "drop_replication_slot",
        "start_replication", "read_replication_slot",  "upload_manifest"};
    const auto words = first_words<3>(sql);
    const std::string& verb = words[0];
    if (verb == "copy") {
        return StatementKind::copy;
    }
    if (verb == "listen" || verb == "unlisten") {
        return StatementKind::listen;
    }
    if (verb == "deallocate") {
        const std::string& what = words[1] == "prepare" ? words[2] : words[1];
        return what == "all" ? StatementKind::deallocate_all : StatementKind::query;
    }
    if (verb == "discard" && words[1] == "all") {
        return StatementKind::deallocate_all;
    }
    return is_one_of(verb, replication) ? StatementKind::replication : StatementKind::query;
}

std::string statement_name(std::string_view sql, std::uint64_t hash) {
    const std::string verb = first_words<1>(sql)[0];
    const std::string table = first_table(sql);
    return fmt::format("{}{}{}_{:08x}",
                       is_plain(verb) ? std::string_view(verb).substr(0, 14) : "sql",
                       is_plain(table) ? "_" : "", is_plain(table) ? table : "", hash >> 32);
}

std::string masked_text(std::string_view sql, bool cut) {
    std::uint32_t next = last_parameter(sql);
    std::string text;
    SqlLexer lexer(sql);
    const char* behind = sql.data();
    bool value = false;
    for (Kind kind = lexer.next(); kind != Kind::end; kind = lexer.next()) {
        const bool string_goes_on = value && kind == Kind::string;
        if (!string_goes_on && lexer.begin() != behind && !text.empty()) {
            text += ' ';
        }
        behind = lexer.end();
        value = kind == Kind::number || kind == Kind::string;
        if (string_goes_on) {
            continue;
        }
        if (text.size() > max_text) {
            break;
        }
        if (value) {
            text += '$' + std::to_string(++next);
        } else {
            text += lexer.text();
        }
    }
    const bool too_long = text.size() > max_text;
    if (too_long) {
        text.resize(max_text);
        // Not within a character.
        while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) {
            text.pop_back();
        }
        if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0) {
            text.pop_back();
        }
    }
    if (cut || too_long) {
        text += "…";
    }
    return text;
}

std::string normalized_text(const std::string& sql) {
    if (!is_utf8(sql) || sql.find('\0') != std::string::npos) {
        return masked_text(sql);
    }
    const PgQueryNormalizeResult result = pg_query_normalize(sql.c_str());
    std::string text = masked_text(result.error == nullptr && result.normalized_query != nullptr
                                       ? std::string_view(result.normalized_query)
                                       : std::string_view(sql));
    pg_query_free_normalize_result(result);
    return text;
}

}  // namespace muster::timing

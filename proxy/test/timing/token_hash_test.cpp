// What tells statements apart: the lexer's corners, what counts and what does not, and agreement
// with PostgreSQL's own parser.
#include "timing/token_hash.hpp"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <pg_query.h>

#include "timing/sql_lexer.hpp"

using namespace muster::timing;
namespace data = boost::unit_test::data;

namespace {

// The tokens with their kinds: "w:select n:1".
std::string tokens(std::string_view sql) {
    constexpr std::string_view letters = "ewqnspom";  // by SqlLexer::Kind
    std::string all;
    SqlLexer lexer(sql);
    for (auto kind = lexer.next(); kind != SqlLexer::Kind::end; kind = lexer.next()) {
        all += all.empty() ? "" : " ";
        all += letters[static_cast<std::size_t>(kind)];
        all += ':';
        all += lexer.text();
    }
    return all;
}

// libpg_query's fingerprint; 0 if it does not parse.
std::uint64_t fingerprint(const std::string& sql) {
    const PgQueryFingerprintResult result = pg_query_fingerprint(sql.c_str());
    const std::uint64_t print = result.error == nullptr ? result.fingerprint : 0;
    pg_query_free_fingerprint_result(result);
    return print;
}

// Statements of all sorts, in which # stands for a number and % for a string.
const std::vector<std::string> corpus{
    "select #",
    "SELECT abalance FROM pgbench_accounts WHERE aid = #",
    "UPDATE pgbench_accounts SET abalance = abalance + # WHERE aid = #",
    "UPDATE pgbench_tellers SET tbalance = tbalance + # WHERE tid = #",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (#, #, #, #, "
    "CURRENT_TIMESTAMP)",
    "select * from agents where name = %",
    "select * from agents where name <> %",
    "select * from agents where name like % and id > #",
    "select * from agents where name like % or id > #",
    "select a.id, g.goal_text from agents a join goals g on g.agent_id = a.id where a.status = %",
    "select a.id, g.goal_text from agents a left join goals g on g.agent_id = a.id where a.status "
    "= %",
    "select configuration->>% from agents where configuration @> %",
    "select configuration->% from agents where configuration @> %",
    "select count(*) from events",
    "select count(*) from events where at > now() - interval %",
    "select sum(n), max(n) from t group by k having sum(n) > # order by # limit # offset #",
    "select x from t where k in (#, #, #)",
    "select x from t where k not in (#, #, #)",
    "select x from t where k = any(array[#, #])",
    "select x from t where k between # and #",
    "select x from t where k is null",
    "select x from t where k is not null",
    "select x from t where k is true",
    "select case when a > # then % else % end from t",
    "with r as (select id from agents where status = %) select * from r where id in (select #)",
    "delete from t where a = # and b = %",
    "delete from t where a = # returning *",
    "insert into t (a, b) values (#, %), (#, %), (#, %)",
    "insert into t (a, b) values (#, %) on conflict (a) do update set b = excluded.b",
    "insert into t (a, b) values (#, %) on conflict do nothing",
    "insert into t (a) select x from u where y = #",
    "select f(#, %)",
    "select f(#)",
    "select g(#)",
    "select \"Order\" from \"Shop\" where \"Id\" = #",
    "select order_ from shop where id = #",
    "select cast(% as date), %::date",
    "begin",
    "commit",
    "rollback",
    "begin isolation level serializable",
    "set work_mem = %",
    "set search_path = %",
    "show work_mem",
    "select a from t for update",
    "select a from t for update skip locked",
    "create table x (a int not null default #)",
    "drop table x",
    "truncate t",
    "explain select # from t",
    "select a[#] from t",
    "select a[#:#] from t",
    "select (#, %) = (#, %)",
    "select x from t where (a, b) in ((#, %), (#, %))",
    "select nullif(a, %), coalesce(b, #) from t",
    "select a || % from t",
    "select a - # from t",
    "select -a from t",
    "select $1::int + #",
    "values (#, %), (#, %)",
    "select row_number() over (partition by a order by b) from t",
    "select a from t union select b from u",
    "select a from t union all select b from u",
    "select E'a' || %",
    "lock table t in share mode",
    "declare c cursor for select # from t",
    "fetch next from c",
    "execute p(#, %)",
    "prepare p as select #",
};

std::string pick(std::mt19937& random, const std::vector<std::string>& from) {
    return from[random() % from.size()];
}

// The statement with other values, other whitespace and other comments.
std::string vary(const std::string& statement, std::mt19937& random) {
    const std::vector<std::string> numbers{"0", "1", "42", "3.14", ".5", "1e10", "7", "-3", "1E-2"};
    const std::vector<std::string> strings{"''",   "'a'",        "'it''s'",    "'-- no'",
                                           "'/*'", "E'\\'x'",    "$$q'$$",     "$a$ $$ $a$",
                                           "'($'", "U&'\\0041'", "'a' \n 'b'", "'\xc3\xa9'"};
    const std::vector<std::string> blanks{" ",         "\n", "  ", "\t", " /* a /* b */ 'c */ ",
                                          " -- it's\n"};
    std::string sql;
    char before = '\0';  // the last that is not blank
    for (const char c : statement) {
        if (c == '#') {
            // A sign is part of the number only where nothing but an operand can stand.
            const bool signs = std::string_view("(,=<>+-").find(before) != std::string_view::npos;
            const std::string number = pick(random, numbers);
            sql += number[0] == '-' && !signs ? "5" : number;
        } else if (c == '%') {
            sql += pick(random, strings);
        } else if (c == ' ') {
            sql += random() % 4 == 0 ? pick(random, blanks) : " ";
        } else {
            sql += c;
        }
        before = c == ' ' ? before : c;
    }
    return sql;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(token_hashes)

const std::pair<const char*, const char*> lexed[] = {
    {"", ""},
    {" \t\r\n\f\v", ""},
    {"select 1", "w:select n:1"},
    {"a1_$b \xc3\xa9t\xc3\xa9", "w:a1_$b w:\xc3\xa9t\xc3\xa9"},
    // Numbers.
    {"1.5 .5 5. 1e3 1e-3 1.e+3 0x1F 1_000", "n:1.5 n:.5 n:5. n:1e3 n:1e-3 n:1.e+3 n:0x1F n:1_000"},
    {"1..2", "n:1 m:. n:.2"},
    {"1-2", "n:1 o:- n:2"},
    {"0x1e-1", "n:0x1e o:- n:1"},
    {"t.a", "w:t m:. w:a"},
    // Strings and what looks like them.
    {"'' 'a' 'it''s' 'a\\'", "s:'' s:'a' s:'it''s' s:'a\\'"},
    {"E'a\\'b' e'\\\\' E'''a'", "s:E'a\\'b' s:e'\\\\' s:E'''a'"},
    {"b'01' X'fe' n'a' U&'\\0041'", "s:b'01' s:X'fe' s:n'a' s:U&'\\0041'"},
    {"u&\"a\"\"b\" u & a U& 'a'", "q:u&\"a\"\"b\" w:u o:& w:a w:U o:& s:'a'"},
    {"a'b' ee'c'", "w:a s:'b' w:ee s:'c'"},
    {"'open", "s:'open"},
    {"E'open\\", "s:E'open\\"},
    {"\"a b\" \"\"\"\" \"open", "q:\"a b\" q:\"\"\"\" q:\"open"},
    // Dollars.
    {"$$a$$ $x$a$$b$x$", "s:$$a$$ s:$x$a$$b$x$"},
    {"$1 $12+$3", "p:$1 p:$12 o:+ p:$3"},
    {"$$open", "s:$$open"},
    {"$a b", "m:$ w:a w:b"},
    {"$", "m:$"},
    {"a$1$ 1$", "w:a$1$ n:1 m:$"},
    // Comments.
    {"a--b\nc", "w:a w:c"},
    {"a--b", "w:a"},
    {"a/*b/*c*/d*/e", "w:a w:e"},
    {"a/*b/*c*/", "w:a"},
    {"a/ *b", "w:a o:/ o:* w:b"},
    // Operators, cut as PostgreSQL cuts them.
    {"a<>b", "w:a o:<> w:b"},
    {"a->>'b'", "w:a o:->> s:'b'"},
    {"a=-1", "w:a o:= o:- n:1"},
    {"a@-1", "w:a o:@- n:1"},
    {"a*-- c\nb", "w:a o:* w:b"},
    {"a+/*c*/b", "w:a o:+ w:b"},
    {"2*-+3", "n:2 o:* o:- o:+ n:3"},
    {"a::int", "w:a m:: m:: w:int"},
    {"f(a=>1)", "w:f m:( w:a o:=> n:1 m:)"},
    {"\x01", "m:\x01"},
};
BOOST_AUTO_TEST_CASE(tokens_are_cut_as_postgresql_cuts_them) {
    for (const auto& [sql, expected] : lexed) {
        BOOST_TEST(tokens(sql) == expected);
    }
}

const std::pair<const char*, const char*> alike[] = {
    {"select 1", "select 'a'"},
    {"select 1", "select $1"},
    {"select 1", "  SELECT\n/* a */ 2 ; -- b"},
    {"select 1", "select 1;;"},
    {"select 'a'", "select 'a'\n'b'"},
    {"select $$a$$", "select 1.5e3"},
    {"a = 1", "a = -1"},
    {"a + 5", "a + - 5"},
    {"f(1)", "f(+1)"},
    {"f(1)", "f(null)"},
    {"a = 1", "a = TRUE"},
    {"values (1, null)", "values (false, 'x')"},
    {"x in (1)", "x in (1, 2, 3)"},
    {"x in ($1)", "x in ($1,$2)"},
    {"x in ('a'::uuid) and y", "x in ('a'::uuid, 'b'::uuid) and y"},
    {"x in ((1, 2)) and y", "x in ((1, 2), (3, 4)) and y"},
    {"array[1]", "array[1, 2]"},
    {"insert into t values (1, 'a')", "insert into t values (1, 'a'), (2, 'b')"},
    {"insert into t values (1) returning a", "insert into t values (1), (2) returning a"},
    {"with v as (values (1)) select 1", "with v as (values (1), (2)) select 1"},
    {"x in (values (1)) or y", "x in (values (1), (2)) or y"},
    {"x in (select a from t where b in (1)) or y", "x in (select a from t where b in (1, 2)) or y"},
    {"tablename_of_many_letters", "TableName_OF_many_letters"},
};
BOOST_AUTO_TEST_CASE(what_does_not_tell_statements_apart) {
    for (const auto& [a, b] : alike) {
        BOOST_TEST(token_hash(a) == token_hash(b), a << " and " << b);
    }
}

const std::pair<const char*, const char*> different[] = {
    {"", "select"},
    {"select a", "select b"},
    {"select a", "select \"a\""},
    {"select \"a\"", "select \"A\""},
    {"select a, b", "select ab"},
    {"abcdefgh i", "abcdefghi"},
    {"abcdefghi", "abcdefgh"},
    {"a_b", "a b"},
    {"a -1", "a + 1"},
    {"a - b", "a + b"},
    {"a = - b", "a = b"},
    {"a < b", "a <= b"},
    {"a is null", "a is not null"},
    {"a is null", "a is true"},
    {"f(1)", "f(1, 2)"},
    {"f(1)", "g(1)"},
    {"x in (1)", "x in (a)"},
    {"x in (1)", "x in (1) and y"},
    {"x in (select 1)", "x in (1)"},
    {"insert into t values (1)", "insert into t values (1, 2)"},
    {"insert into t values (1), (2)", "insert into t values (1), (a)"},
    {"insert into t values (1) returning a", "insert into t values (1)"},
    {"select 1; select 2", "select 1"},
    {"select (1)", "select 1"},
    {"\xc3\xa9", "\xe3\xa9"},
};
BOOST_AUTO_TEST_CASE(what_tells_statements_apart) {
    for (const auto& [a, b] : different) {
        BOOST_TEST(token_hash(a) != token_hash(b), a << " and " << b);
    }
}

BOOST_AUTO_TEST_CASE(the_number_in_every_version_is_the_same) {
    // Labels in the metrics have it: a change of the algorithm renames every statement.
    BOOST_TEST(token_hash("select 1") == token_hash("SELECT 2"));
    BOOST_TEST(token_hash("") != 0u);
}

// Values, whitespace and comments do not count, in statements of all sorts; and what PostgreSQL's
// parser tells apart has another hash.
BOOST_AUTO_TEST_CASE(agreement_with_postgresqls_parser_on_a_corpus) {
    std::mt19937 random(20261125);
    std::map<std::uint64_t, std::uint64_t> prints;  // by hash
    std::size_t parsed = 0;
    for (const std::string& statement : corpus) {
        const std::string first = vary(statement, random);
        const std::uint64_t hash = token_hash(first);
        for (int i = 0; i < 200; ++i) {
            const std::string sql = vary(statement, random);
            BOOST_REQUIRE_MESSAGE(token_hash(sql) == hash, first << "\n and \n" << sql);
            if (i < 10) {
                const std::uint64_t print = fingerprint(sql);
                BOOST_REQUIRE_MESSAGE(print != 0, "does not parse: " << sql);
                ++parsed;
                const auto known = prints.try_emplace(hash, print).first;
                BOOST_TEST(known->second == print, sql << "\n and \n" << first);
            }
        }
    }
    BOOST_TEST(parsed == corpus.size() * 10);
    BOOST_TEST(prints.size() == corpus.size());
}

// A word goes as far as its characters do, wherever it ends among the eight bytes looked at at
// once.
BOOST_AUTO_TEST_CASE(words_end_behind_their_last_character) {
    const auto belongs = [](int c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '$' || c >= 0x80;
    };
    for (const char inside : {'b', 'Z', '7', '_', '$', '\xff'}) {
        for (std::size_t length = 1; length < 20; ++length) {
            for (int c = 0; c < 256; ++c) {
                const std::string sql = "a" + std::string(length - 1, inside) +
                                        static_cast<char>(c) + " and so on and on";
                SqlLexer lexer(sql);
                BOOST_REQUIRE((lexer.next() == SqlLexer::Kind::word));
                BOOST_TEST_REQUIRE((lexer.text().size() > length) == belongs(c), sql);
            }
        }
    }
}

// Any bytes have a hash, which depends on them alone: not on what lies before or behind.
BOOST_AUTO_TEST_CASE(any_bytes_anywhere_in_memory) {
    std::mt19937 random(7);
    const std::string_view alphabet = "aE$'\"\\-/*+ \n(),;.:1e[]U&inx\xc3\x01";
    for (int i = 0; i < 20000; ++i) {
        std::string sql;
        for (std::size_t n = random() % 40; n > 0; --n) {
            sql += alphabet[random() % alphabet.size()];
        }
        const std::string copy = "'" + sql + "' in values $$";
        const std::string_view inside = std::string_view(copy).substr(1, sql.size());
        // A block of its own size, so that a sanitizer sees a step beyond it.
        const std::vector<char> exact(sql.begin(), sql.end());
        const std::uint64_t hash = token_hash({exact.data(), exact.size()});
        BOOST_REQUIRE(hash == token_hash(inside));
        BOOST_REQUIRE(token_hash(sql, true) == token_hash(inside, true));
    }
}

BOOST_AUTO_TEST_CASE(a_long_statement_counts_by_what_is_whole) {
    // Wherever a list of values is cut, it is the same statement.
    std::string sql = "insert into t (a, b) values ";
    for (int i = 0; i < 500; ++i) {
        sql += (i > 0 ? ", (" : "(") + std::to_string(i * 7919) + ", 'value " + std::to_string(i) +
               "')";
    }
    const std::uint64_t hash = token_hash(sql.substr(0, 4000), true);
    for (std::size_t length = 4001; length < 4100; ++length) {
        BOOST_TEST(token_hash(std::string_view(sql).substr(0, length), true) == hash, length);
    }
    // A word that is cut does not count.
    BOOST_TEST(token_hash("select abc", true) == token_hash("select abcdef", true));
    BOOST_TEST(token_hash("select a, abc", true) != token_hash("select b, abc", true));
    // Deep nesting ends.
    std::string deep = "select ";
    for (int i = 0; i < 3000; ++i) {
        deep += "x in (1, (";
    }
    BOOST_TEST(token_hash(deep) != 0u);
}

BOOST_AUTO_TEST_SUITE_END()

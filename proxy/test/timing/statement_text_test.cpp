// Names, kinds and texts of statements: never a value in any of them.
#include "timing/statement_text.hpp"

#include <string>
#include <utility>

#include <boost/test/unit_test.hpp>

#include "runtime/json.hpp"

using namespace muster::timing;

BOOST_AUTO_TEST_SUITE(statement_texts)

const std::pair<const char*, const char*> names[] = {
    {"SELECT abalance FROM pgbench_accounts WHERE aid = 1", "select_pgbench_accounts_01234567"},
    {"insert into \"Shop\".Orders values (1)", "insert_orders_01234567"},
    {"update only public.t set a = 1", "update_t_01234567"},
    {"(select 1)", "select_01234567"},
    {"select * from (select 1 from u) x", "select_u_01234567"},
    {"select * from muster.agents_json(1)", "select_agents_json_01234567"},
    {"create table if not exists x (a int)", "create_x_01234567"},
    {"select 1 from \"a b\"", "select_01234567"},
    {"begin", "begin_01234567"},
    {"", "sql_01234567"},
    {"'secret'", "sql_01234567"},
    {"select 'x' from 'secret'", "select_01234567"},
    {"s\xc3\xa9lect 1", "sql_01234567"},
};
BOOST_AUTO_TEST_CASE(a_name_says_what_and_of_which_table) {
    for (const auto& [sql, name] : names) {
        BOOST_TEST(statement_name(sql, 0x0123456789abcdef) == name);
    }
    const std::string long_one =
        statement_name("abcdefghijklmnopqrstuvwxyz from " + std::string(40, 'a'), 1);
    BOOST_TEST(long_one.size() <= 64u);
}

BOOST_AUTO_TEST_CASE(kinds_are_told_by_the_first_words) {
    using Kind = StatementKind;
    const std::pair<const char*, Kind> kinds[] = {
        {"select 1", Kind::query},
        {"/* x */ COPY t FROM STDIN", Kind::copy},
        {"copy (select 1) to stdout", Kind::copy},
        {"LISTEN a", Kind::listen},
        {"unlisten *", Kind::listen},
        {"notify a, 'b'", Kind::query},
        {"START_REPLICATION SLOT s LOGICAL 0/0", Kind::replication},
        {"IDENTIFY_SYSTEM", Kind::replication},
        {"DEALLOCATE ALL", Kind::deallocate_all},
        {"deallocate prepare all", Kind::deallocate_all},
        {"deallocate a", Kind::query},
        {"deallocate \"all\"", Kind::query},
        {"discard all;", Kind::deallocate_all},
        {"discard plans", Kind::query},
        {"", Kind::query},
    };
    for (const auto& [sql, kind] : kinds) {
        BOOST_TEST((kind_of(sql) == kind), sql);
    }
}

BOOST_AUTO_TEST_CASE(a_masked_text_has_no_values) {
    BOOST_TEST(masked_text("SELECT a,\n  1 -- one\nFROM t WHERE b='x' /* y */ AND c = $3") ==
               "SELECT a, $4 FROM t WHERE b=$5 AND c = $3");
    BOOST_TEST(masked_text("select 'a'\n'secret', E'\\'secret'") == "select $1, $2");
    BOOST_TEST(masked_text("select 'secret") == "select $1");
    BOOST_TEST(masked_text("select 12", true) == "select $1…");
    // Too long: cut at a character.
    const std::string wide = masked_text("select \"" + std::string(max_text - 12, 'a') +
                                         "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"");
    BOOST_TEST(wide.size() <= max_text + 3);
    BOOST_TEST(muster::is_utf8(wide));
    BOOST_TEST(wide.ends_with("…"));
}

const std::pair<const char*, const char*> normalized[] = {
    {"SELECT 'secret', 5 FROM t", "SELECT $1, $2 FROM t"},
    {"alter role x password 'secret'", "alter role x password $1"},
    {"create user x encrypted password 'secret' valid until '2030-01-01'",
     "create user x encrypted password $1 valid until $2"},
    {"create subscription s connection 'password=secret' publication p",
     "create subscription s connection $1 publication p"},
    {"create user mapping for u server s options (password 'secret')",
     "create user mapping for u server s options (password $1)"},
    // Those that PostgreSQL's normalisation leaves alone.
    {"notify c, 'secret'", "notify c, $1"},
    {"comment on table t is 'secret'", "comment on table t is $1"},
    {"do $$ begin raise 'secret'; end $$", "do $1"},
    {"create function f() returns int language sql as 'select 4711'",
     "create function f() returns int language sql as $1"},
    {"prepare p as select 4711", "prepare p as select $1"},
    {"copy t from '/secret'", "copy t from $1"},
    // Those that do not parse.
    {"selec 'secret'", "selec $1"},
    {"select 'secret' from", "select $1 from"},
    {"select 'secret", "select $1"},
    {"select 'secret\xff'", "select $1"},
    {"START_REPLICATION SLOT \"s\" LOGICAL 0/0 (proto_version '1')",
     "START_REPLICATION SLOT \"s\" LOGICAL $1/$2 (proto_version $3)"},
};
BOOST_AUTO_TEST_CASE(a_normalized_text_has_no_values) {
    for (const auto& [sql, text] : normalized) {
        BOOST_TEST(normalized_text(sql) == text);
    }
}

BOOST_AUTO_TEST_CASE(deep_nesting_is_no_danger) {
    const std::string deep = "select " + std::string(4000, '(') + "4711" + std::string(4000, ')');
    const std::string text = normalized_text(deep);
    BOOST_TEST(text.find("4711") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

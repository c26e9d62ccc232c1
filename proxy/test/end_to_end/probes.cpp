#include "end_to_end/probes.hpp"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "end_to_end/support.hpp"

namespace muster::test {
namespace {

constexpr const char* functions = R"(
create schema probe;
grant usage on schema probe to public;
create function probe.fail(code text, message text) returns json language plpgsql as $$
begin raise exception using errcode = code, message = coalesce(message, 'm'), hint = 'A hint.'; end $$;
create function probe.sleep(ms int) returns json language sql volatile as $$
  select to_json(pg_sleep(ms / 1000.0)::text) $$;
create function probe.answer(code int, out body json, out status int, out location text)
language sql as $$ select '{}'::json, code, '/probe/there' $$;
create function probe.answer(sent json, code int, out body json, out status int, out location text)
language sql as $$ select sent, code, '/probe/there' $$;
create function probe.big(size int) returns json language sql as $$ select to_json(repeat('x', size)) $$;
create function probe.two() returns setof json language sql as $$ values ('1'::json), ('2') $$;
)";

constexpr const char* routes = R"toml(
[[route]]
name = "probe_fail"
match = "GET /probe/fail/{code}"
call = "probe.fail($code, $message)"
[[route]]
name = "probe_sleep"
match = "GET /probe/sleep/{ms}"
call = "probe.sleep($ms::int)"
[[route]]
name = "probe_answer"
match = "GET /probe/answer/{code}"
call = "probe.answer($code::int)"
[[route]]
name = "probe_take"
match = "POST /probe/answer/{code}"
call = "probe.answer($body::json, $code::int)"
[[route]]
name = "probe_big"
match = "GET /probe/big/{size}"
call = "probe.big($size::int)"
[[route]]
name = "probe_two"
match = "GET /probe/two"
call = "probe.two()"
)toml";

}  // namespace

std::string owner_value(const std::string& sql) {
    return pg_value(pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN")), sql);
}

std::string premium_key() {
    return "X-API-Key: " +
           owner_value("select muster.create_api_key('" + fresh_name("probe") + "', 'premium')") +
           "\r\n";
}

std::vector<std::string> command_with_probes(const std::string& lines) {
    static const Sandbox sandbox;
    static int files = 0;
    static const bool made = [] {
        pg_exec(pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN")), functions);
        return true;
    }();
    auto command = shared_stack().proxy_command();
    const auto option = std::find(command.begin(), command.end(), "--config");
    if (!made || command.end() - option < 2)
        throw std::runtime_error("the stack's proxy has no --config");
    const std::string file = sandbox.path() / ("proxy" + std::to_string(++files) + ".toml");
    std::ofstream(file) << read_file(option[1]) << routes << lines;
    option[1] = file;
    return command;
}

}  // namespace muster::test

// Runs check_routes() to its end before there is a runtime.
#include "http/start_check.hpp"

#include "http/route_check.hpp"
#include "runtime/runtime.hpp"

namespace muster::http {
namespace {

constexpr std::chrono::seconds check_deadline{10};

}  // namespace

Task<StartCheck> check_start(net::io_context& context, const config::Config& config) {
    StartCheck check;
    auto connection = co_await postgres::Connection::connect(
        context, config.database.conninfo, Clock::now() + config.database.connect_timeout);
    if (!connection) {
        check.reason = connection.error().message;
        co_return check;
    }
    auto found =
        co_await check_routes(*connection.value(), config.routes, Clock::now() + check_deadline);
    if (!found) {
        check.reason = found.error().message;
        co_return check;
    }
    check.reached = true;
    for (const RouteMistake& mistake : found.value()) {
        check.mistakes.push_back(config.file + ":" +
                                 std::to_string(config.routes[mistake.route].line) + ": " +
                                 mistake.message);
    }
    co_return check;
}

StartCheck start_check(const config::Config& config) {
    net::io_context context(1);
    StartCheck check;
    check.reason = "the check did not end";
    spawn(context, "the check of routes", [](auto& io, auto& settings, auto& result) -> Task<> {
        result = co_await check_start(io, settings);
    }(context, config, check));
    context.run();
    return check;
}

}  // namespace muster::http

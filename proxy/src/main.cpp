// muster-proxy: reads its configuration, checks it against the database, opens its doors, and
// closes them again when told to.
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "cache/cache.hpp"
#include "config/load.hpp"
#include "http/admin.hpp"
#include "http/door.hpp"
#include "http/start_check.hpp"
#include "limit/limiter.hpp"
#include "metrics/registry.hpp"
#include "push/hub.hpp"
#include "redis/connection.hpp"
#include "relay/metrics.hpp"
#include "relay/relay.hpp"
#include "runtime/runtime.hpp"
#include "runtime/version.hpp"
#include "timing/pgbouncer.hpp"
#include "timing/timing.hpp"
#include "wire/metrics.hpp"
#include "wire/server.hpp"

namespace {

using namespace muster;

constexpr int exit_failed = 1;
constexpr int exit_misconfigured = 2;

// The database's part of the check. Returns whether the routes were found to fit; ends the process
// if they do not.
enum class Fit { yes, no, unknown };

// Asks it; mistakes go to standard error with their lines.
Fit check_routes(const config::Config& config) {
    const http::StartCheck check = http::start_check(config);
    for (const std::string& mistake : check.mistakes) {
        std::cerr << mistake << '\n';
    }
    if (!check.mistakes.empty()) {
        return Fit::no;
    }
    if (!check.reached) {
        spdlog::warn("the routes are not checked yet, the database cannot be reached: {}",
                     check.reason);
        return Fit::unknown;
    }
    return Fit::yes;
}

// Whether Redis lets us in and answers: what /health/ready reports of it.
Task<bool> redis_answers(net::io_context& context, const config::Redis& redis, TimePoint deadline) {
    auto connection =
        co_await redis::Connection::connect(context, redis, "muster-health", deadline);
    if (!connection) {
        co_return false;
    }
    const auto reply = co_await connection.value()->command(deadline, "PING");
    co_return reply.has_value() && reply.value().text() == "PONG";
}

std::vector<net::io_context*> contexts(Runtime& runtime) {
    std::vector<net::io_context*> all;
    for (unsigned i = 0; i < runtime.threads(); ++i) {
        all.push_back(&runtime.context(i));
    }
    return all;
}

int serve(const config::Config& config, bool routes_checked) {
    const http::RedisProbe redis = [&config](net::io_context& context, TimePoint deadline) {
        return redis_answers(context, config.redis, deadline);
    };
    Runtime runtime(config.threads);
    metrics::Registry registry;
    limit::Limiter limiter(runtime.context(0), config.limits, config.redis, registry,
                           runtime.threads());
    const auto timing = timing::Timing::make(config, registry, runtime.threads());
    if (!timing) {
        std::cerr << timing.error() << '\n';
        return exit_failed;
    }
    timing::Pgbouncer pgbouncer(runtime.context(0), config.pgbouncer, registry);
    cache::Cache cache(runtime.context(0), config, registry, runtime.threads());
    push::Hub hub(contexts(runtime), config, registry);
    http::Door door(runtime, config, registry, limiter, *timing.value(), redis, routes_checked,
                    config.cache.enabled ? &cache : nullptr, config.push.enabled ? &hub : nullptr);
    http::Admin admin(runtime, config,
                      {registry, door.ready(),
                       timing.value()->enabled() ? &timing.value()->statements() : nullptr});
    wire::Server wire(contexts(runtime), config.wire);
    wire::publish_metrics(registry, wire);
    relay::Relay relay(runtime.context(0), config.relay, config.redis);
    if (config.relay.enabled) {
        relay::publish_metrics(registry, relay);
    }

    for (const auto& error : {door.start(), admin.start(), wire.start()}) {
        if (error) {
            std::cerr << *error << '\n';
            return exit_failed;
        }
    }
    limiter.start();
    pgbouncer.start();
    if (config.relay.enabled) {
        relay.start();
    }
    if (config.cache.enabled) {
        cache.start();
    }
    if (config.push.enabled) {
        hub.start();
    }
    spdlog::info("ready: http on port {}, admin on port {}, wire on port {}, {} threads",
                 door.port(), admin.port(), wire.port(), runtime.threads());
    const bool graceful = runtime.run(config.shutdown_timeout, [&] {
        door.stop();
        admin.stop();
        limiter.stop();
        pgbouncer.stop();
        cache.stop();
        hub.stop();
        relay.stop();
        wire.stop(Clock::now() + config.shutdown_timeout);
    });
    spdlog::info("stopped");
    return graceful ? 0 : exit_failed;
}

// A relay that waits for another to go is as ready as the one that leads.
Task<http::Readiness> relay_ready(const relay::Stats& stats) {
    http::Readiness ready{.database = stats.postgres_up, .redis = stats.redis_up, .reason = {}};
    if (!ready.database) {
        ready.reason = "the database cannot be reached";
    } else if (!ready.redis) {
        ready.reason = "Redis cannot be reached, or refuses what is published";
    }
    co_return ready;
}

// The relay and the admin door, without the others.
int serve_relay(const config::Config& config) {
    Runtime runtime(1);
    metrics::Registry registry;
    relay::Relay relay(runtime.context(0), config.relay, config.redis);
    relay::publish_metrics(registry, relay);
    http::Admin admin(runtime, config, {registry, [&relay] { return relay_ready(relay.stats()); }});
    if (const auto error = admin.start()) {
        std::cerr << *error << '\n';
        return exit_failed;
    }
    relay.start();
    spdlog::info("ready: the relay, admin on port {}", admin.port());
    const bool graceful = runtime.run(config.shutdown_timeout, [&] {
        admin.stop();
        relay.stop();
    });
    spdlog::info("stopped");
    return graceful ? 0 : exit_failed;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Muster's proxy: HTTP and PostgreSQL doors to a pooled database", "muster-proxy");
    std::string file = "proxy.toml";
    std::vector<std::string> overrides;
    bool check_only = false;
    bool relay_only = false;
    app.add_option("--config", file, "the configuration file")->capture_default_str();
    app.add_option("--set", overrides, "override a setting: section.key=value")
        ->allow_extra_args(false);
    app.add_flag("--check-config", check_only,
                 "check the file, and the routes if the database can be reached, and exit");
    app.add_flag("--relay-only", relay_only,
                 "run the relay and the admin port, without doors, whatever relay.enabled says");
    app.set_version_flag("--version", "muster-proxy " + std::string(version));
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : exit_misconfigured;
    }

    spdlog::set_default_logger(spdlog::stderr_logger_mt("muster"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    const auto config = config::load(file, overrides);
    if (!config) {
        std::cerr << config.error().text() << '\n';
        return exit_misconfigured;
    }
    spdlog::set_level(spdlog::level::from_str(config.value().log.level));
    prepare_process();

    if (relay_only && !check_only) {
        return serve_relay(config.value());
    }
    const Fit fit = check_routes(config.value());
    if (fit == Fit::no) {
        return exit_misconfigured;
    }
    if (check_only) {
        std::cout << file << ": correct"
                  << (fit == Fit::yes ? ", and the routes fit the database" : "") << '\n';
        return 0;
    }
    return serve(config.value(), fit == Fit::yes);
}

// muster-proxy: reads its configuration, checks it against the database, opens its doors, and
// closes them again when told to.
#include <csignal>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/fmt/fmt.h>
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
#include "reload.hpp"
#include "runtime/notify.hpp"
#include "runtime/pid_file.hpp"
#include "runtime/runtime.hpp"
#include "runtime/successor.hpp"
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

// Its series are in `registry` as long as it lives; it ends on the thread that it talks to Redis
// on.
std::shared_ptr<limit::Limiter> make_limiter(Runtime& runtime, const config::Config& config,
                                             metrics::Registry& registry) {
    struct Part {
        Part(Runtime& runtime, const config::Config& config, metrics::Registry& whole)
            : registry(whole),
              limiter(runtime.context(0), config.limits, config.redis, registry,
                      runtime.threads()) {}
        ~Part() { registry.leave(); }
        metrics::Registry registry;
        limit::Limiter limiter;
    };
    net::io_context& home = runtime.context(0);
    const std::shared_ptr<Part> part(new Part(runtime, config, registry), [&home](Part* last) {
        net::post(home, [kept = std::unique_ptr<Part>(last)] {});
    });
    return {part, &part->limiter};
}

// What the command line said.
struct Invocation {
    std::vector<std::string> command;  // all of it
    std::vector<std::string> overrides;
    std::string pid_file;
};

// How long a new process may take until it serves: the check of the routes may wait for a database.
constexpr std::chrono::seconds successor_patience{60};

// Runs from the moment at which all has been started until the process is told to end, or another
// one has taken its place, and then has `stop` end it all. Returns the exit code.
int run(Runtime& runtime, Listeners& listeners, const config::Config& config,
        const Invocation& invocation, const std::string& what,
        const std::function<void(bool replaced)>& stop) {
    bool replaced = false;
    Successor successor(runtime.control(), invocation.command);
    runtime.on_signal(SIGUSR2, [&] {
        successor.start(listeners.open_sockets(), successor_patience, [&] {
            replaced = true;
            runtime.request_stop();
        });
    });
    // Once the runtime has the signals: whoever hears of this may send one.
    std::optional<PidFile> pid_file;
    net::post(runtime.control(), [&] {
        spdlog::info("ready: {}", what);
        pid_file.emplace(invocation.pid_file);
        notify_manager("READY=1\nMAINPID=" + std::to_string(::getpid()));
        tell_predecessor();
    });
    const bool graceful = runtime.run(config.shutdown_timeout, [&] {
        if (!replaced) {
            notify_manager("STOPPING=1");
        }
        successor.abandon();
        stop(replaced);
    });
    spdlog::info("stopped");
    return graceful ? 0 : exit_failed;
}

int serve(const config::Config& config, const Invocation& invocation, bool routes_checked) {
    Listeners listeners = Listeners::handed_over();
    const http::RedisProbe redis = [&config](net::io_context& context, TimePoint deadline) {
        return redis_answers(context, config.redis, deadline);
    };
    Runtime runtime(config.threads);
    metrics::Registry registry;
    const auto first_limiter = make_limiter(runtime, config, registry);
    auto limiter = first_limiter;
    const auto timing = timing::Timing::make(config, registry, runtime.threads());
    if (!timing) {
        std::cerr << timing.error() << '\n';
        return exit_failed;
    }
    const auto access_log = http::AccessLog::open(config.log.access, registry);
    if (!access_log) {
        std::cerr << access_log.error() << '\n';
        return exit_failed;
    }
    timing::Pgbouncer pgbouncer(runtime.context(0), config.pgbouncer, registry);
    cache::Cache cache(runtime.context(0), config, registry, runtime.threads());
    push::Hub hub(contexts(runtime), config, registry);
    http::Door door(runtime, config, registry, *limiter, *timing.value(), redis, routes_checked,
                    config.cache.enabled ? &cache : nullptr, config.push.enabled ? &hub : nullptr,
                    access_log.value().get());
    http::Admin admin(runtime, config,
                      {registry, door.ready(),
                       timing.value()->enabled() ? &timing.value()->statements() : nullptr});
    wire::Server wire(contexts(runtime), config.wire, timing.value().get());
    wire::publish_metrics(registry, wire);
    relay::Relay relay(runtime.context(0), config.relay, config.redis);
    if (config.relay.enabled) {
        relay::publish_metrics(registry, relay);
    }

    Reload reload(runtime, registry, config, invocation.overrides, http::check_start,
                  [&](const config::Config& wanted, const config::Config& running, bool checked) {
                      spdlog::set_level(spdlog::level::from_str(wanted.log.level));
                      timing.value()->set_slow_query(wanted.timing.slow_query);
                      timing.value()->slow_log().reopen();
                      if (access_log.value()) {
                          access_log.value()->reopen();
                      }
                      if (const auto error = wire.reload(wanted.wire)) {
                          spdlog::error("the wire door's settings stay as they were: {}", *error);
                      }
                      if (!(wanted.limits == running.limits)) {
                          limiter->stop();
                          limiter = make_limiter(runtime, wanted, registry);
                          limiter->start();
                      }
                      door.reload(wanted, limiter, checked);
                  });
    runtime.on_signal(SIGHUP, [&reload] { reload.begin(); });

    for (const auto& error :
         {door.start(listeners), admin.start(listeners), wire.start(listeners)}) {
        if (error) {
            std::cerr << *error << '\n';
            return exit_failed;
        }
    }
    listeners.close_unused();
    limiter->start();
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
    const std::string what =
        fmt::format("http on port {}, admin on port {}, wire on port {}, {} threads", door.port(),
                    admin.port(), wire.port(), runtime.threads());
    return run(runtime, listeners, config, invocation, what, [&](bool replaced) {
        door.stop();
        admin.stop();
        limiter->stop();
        pgbouncer.stop();
        cache.stop();
        hub.stop();
        relay.stop();
        wire.stop(Clock::now() + config.shutdown_timeout, replaced);
    });
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
int serve_relay(const config::Config& config, const Invocation& invocation) {
    Listeners listeners = Listeners::handed_over();
    Runtime runtime(1);
    metrics::Registry registry;
    relay::Relay relay(runtime.context(0), config.relay, config.redis);
    relay::publish_metrics(registry, relay);
    http::Admin admin(runtime, config, {registry, [&relay] { return relay_ready(relay.stats()); }});
    // The routes are no business of this process.
    Reload reload(runtime, registry, config, invocation.overrides, nullptr,
                  [](const config::Config& wanted, const config::Config&, bool) {
                      spdlog::set_level(spdlog::level::from_str(wanted.log.level));
                  });
    runtime.on_signal(SIGHUP, [&reload] { reload.begin(); });
    if (const auto error = admin.start(listeners)) {
        std::cerr << *error << '\n';
        return exit_failed;
    }
    listeners.close_unused();
    relay.start();
    return run(runtime, listeners, config, invocation,
               fmt::format("the relay, admin on port {}", admin.port()), [&](bool) {
                   admin.stop();
                   relay.stop();
               });
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Muster's proxy: HTTP and PostgreSQL doors to a pooled database", "muster-proxy");
    std::string file = "proxy.toml";
    std::vector<std::string> overrides;
    std::string pid_file;
    bool check_only = false;
    bool relay_only = false;
    app.add_option("--config", file, "the configuration file")->capture_default_str();
    app.add_option("--set", overrides, "override a setting: section.key=value")
        ->allow_extra_args(false);
    app.add_option("--pid-file", pid_file, "write the process id to this file once it serves");
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

    const Invocation invocation{{argv, argv + argc}, overrides, pid_file};
    if (relay_only && !check_only) {
        return serve_relay(config.value(), invocation);
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
    return serve(config.value(), invocation, fit == Fit::yes);
}

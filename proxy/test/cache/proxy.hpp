// A proxy in the test's own process, with its cache, on a real PostgreSQL and a real Redis.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cache/cache.hpp"
#include "config/load.hpp"
#include "http/door.hpp"
#include "runtime/runtime.hpp"
#include "servers/redis.hpp"
#include "support.hpp"

namespace muster::test {

inline RedisServer& redis_server() {
    static RedisServer server;
    return server;
}

inline config::Config cached_config(const std::string& text, const std::string& database) {
    const Sandbox sandbox;
    const std::string file = sandbox.path() / "proxy.toml";
    std::ofstream(file) << text;
    auto config =
        config::load(file, std::vector<std::string>{"database.conninfo=" +
                                                    test::postgres().socket_conninfo(database)});
    if (!config) {
        throw std::runtime_error(config.error().text());
    }
    config.value().redis = redis_server().tcp();
    return std::move(config).value();
}

class CachedProxy {
  public:
    explicit CachedProxy(config::Config config)
        : config_(std::move(config)),
          runtime_(config_.threads),
          limiter_(runtime_.context(0), unlimited(), config_.redis, registry_, runtime_.threads()),
          cache_(runtime_.context(0), config_, registry_, runtime_.threads()),
          timing_(timing::Timing::make(config_, registry_, runtime_.threads()).value()),
          door_(
              runtime_, config_, registry_, limiter_, *timing_,
              [](net::io_context&, TimePoint) -> Task<bool> { co_return true; }, true, &cache_) {
        if (const auto error = door_.start()) {
            throw std::runtime_error(*error);
        }
        cache_.start();
        thread_ = std::thread([this] {
            runtime_.run(std::chrono::seconds(10), [this] {
                door_.stop();
                cache_.stop();
            });
        });
    }
    ~CachedProxy() {
        runtime_.request_stop();
        thread_.join();
    }
    CachedProxy(const CachedProxy&) = delete;
    CachedProxy& operator=(const CachedProxy&) = delete;

    unsigned short port() const { return door_.port(); }
    // Changes whose messages have had their effect.
    std::uint64_t changes() const { return cache_.feed_counters().changes.value(); }
    bool alive() { return cache_.fence().alive(Clock::now()); }
    std::string metrics() const { return registry_.text(); }
    // The value of one series, named with its labels.
    double metric(const std::string& series) const {
        const std::string text = "\n" + metrics();
        const std::size_t at = text.find("\n" + series + " ");
        return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
    }

  private:
    static config::Limits unlimited() {
        config::Limits limits;
        limits.enabled = false;
        return limits;
    }

    config::Config config_;
    Runtime runtime_;
    metrics::Registry registry_;
    limit::Limiter limiter_;
    cache::Cache cache_;
    std::unique_ptr<timing::Timing> timing_;
    http::Door door_;
    std::thread thread_;
};

}  // namespace muster::test

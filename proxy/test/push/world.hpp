// A proxy with live updates in the test's own process, on a real PostgreSQL with the extension, the
// relay, and a real Redis.
#pragma once

#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "config/load.hpp"
#include "http/door.hpp"
#include "push/client.hpp"
#include "push/hub.hpp"
#include "runtime/runtime.hpp"
#include "servers/http_client.hpp"
#include "support.hpp"

namespace muster::test {

class PushProxy {
  public:
    explicit PushProxy(config::Config config)
        : config_(std::move(config)),
          runtime_(config_.threads),
          limiter_(runtime_.context(0), config_.limits, config_.redis, registry_,
                   runtime_.threads()),
          hub_(contexts(runtime_), config_, registry_),
          timing_(timing::Timing::make(config_, registry_, runtime_.threads()).value()),
          door_(
              runtime_, config_, registry_, limiter_, *timing_,
              [](net::io_context&, TimePoint) -> Task<bool> { co_return true; }, true, nullptr,
              &hub_) {
        if (const auto error = door_.start()) {
            throw std::runtime_error(*error);
        }
        limiter_.start();
        hub_.start();
        thread_ = std::thread([this] {
            graceful_ = runtime_.run(std::chrono::seconds(10), [this] {
                door_.stop();
                limiter_.stop();
                hub_.stop();
            });
        });
    }
    ~PushProxy() { stop(); }
    PushProxy(const PushProxy&) = delete;
    PushProxy& operator=(const PushProxy&) = delete;

    // Returns whether everything ended by itself.
    bool stop() {
        if (thread_.joinable()) {
            runtime_.request_stop();
            thread_.join();
        }
        return graceful_;
    }

    unsigned short port() const { return door_.port(); }
    // The value of one series, named with its labels.
    double metric(const std::string& series) const {
        const std::string text = "\n" + registry_.text();
        const std::size_t at = text.find("\n" + series + " ");
        return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
    }

  private:
    static std::vector<net::io_context*> contexts(Runtime& runtime) {
        std::vector<net::io_context*> all;
        for (unsigned i = 0; i < runtime.threads(); ++i) {
            all.push_back(&runtime.context(i));
        }
        return all;
    }

    config::Config config_;
    Runtime runtime_;
    metrics::Registry registry_;
    limit::Limiter limiter_;
    push::Hub hub_;
    std::unique_ptr<timing::Timing> timing_;
    http::Door door_;
    std::thread thread_;
    bool graceful_ = false;
};

class World {
  public:
    // `more` are further lines of the configuration.
    explicit World(const std::string& more = "", std::uint64_t stream_length = 10'000'000)
        : redis({"--appendonly", "yes", "--appendfsync", "always"}), database(make_database()) {
        relay_ = relay_config(database);
        relay_.stream_length = stream_length;
        session = std::make_unique<Session>(database);
        key = session->value("select muster.create_api_key('reader', scopes => '{read}')");
        relay = std::make_unique<RelayThread>(relay_, redis.tcp());
        wait_until("the first entry", [&] { return stream_length_now() > 0; });
        proxy = another_proxy(more);
    }

    std::unique_ptr<PushProxy> another_proxy(const std::string& more = "", int threads = 2) {
        const Sandbox sandbox;
        const std::string file = sandbox.path() / "proxy.toml";
        std::ofstream(file) << "threads = " << threads << "\n[http]\nlisten = \"127.0.0.1:0\"\n"
                            << more;
        auto config = config::load(
            file, std::vector<std::string>{"database.conninfo=" +
                                           test::postgres().socket_conninfo(database)});
        if (!config) {
            throw std::runtime_error(config.error().text());
        }
        config.value().redis = redis.tcp();
        config.value().limits.enabled = more.find("[limits]") != std::string::npos;
        auto made = std::make_unique<PushProxy>(std::move(config).value());
        wait_until("the hub to listen", [&] { return made->metric("push_connected") == 1; });
        return made;
    }

    std::size_t stream_length_now() const { return stream_length(redis.tcp(), relay_.stream); }
    std::vector<Message> stream() const { return stream_entries(redis.tcp(), relay_.stream); }
    std::string header() const { return "X-API-Key: " + key + "\r\n"; }
    void insert(const std::string& aggregate, const std::string& k) {
        session->run("INSERT INTO things (aggregate, key) VALUES ('" + aggregate + "', '" + k +
                     "')");
    }

    const config::Relay& relay_settings() const { return relay_; }

    RedisServer redis;
    std::string database;
    std::string key;
    std::unique_ptr<Session> session;
    std::unique_ptr<RelayThread> relay;
    std::unique_ptr<PushProxy> proxy;

  private:
    config::Relay relay_;
};

}  // namespace muster::test

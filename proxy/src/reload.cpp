// Load, check, apply.
#include "reload.hpp"

#include <utility>

#include <spdlog/spdlog.h>

#include "config/load.hpp"
#include "config/reload.hpp"
#include "runtime/notify.hpp"

namespace muster {

Reload::Reload(Runtime& runtime, metrics::Registry& registry, const config::Config& running,
               std::vector<std::string> overrides, Check check, Apply apply)
    : runtime_(runtime),
      running_(running),
      overrides_(std::move(overrides)),
      check_(std::move(check)),
      apply_(std::move(apply)) {
    last_.set(1);
    const auto counter = [&](const char* result, const metrics::Counter& which) {
        registry.counter("config_reloads_total", "Readings of the configuration after the start.",
                         {{"result", result}},
                         [&which] { return static_cast<double>(which.value()); });
    };
    counter("success", succeeded_);
    counter("failure", failed_);
    registry.gauge("config_last_reload_successful",
                   "Whether the configuration that is in effect is the file's.", {},
                   [this] { return static_cast<double>(last_.value()); });
}

void Reload::begin() {
    again_ = true;
    if (!reading_) {
        reading_ = true;
        spawn(runtime_.control(), "the reload of the configuration", run());
    }
}

Task<> Reload::run() {
    while (std::exchange(again_, false)) {
        notify_manager("RELOADING=1\nMONOTONIC_USEC=" +
                       std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(
                                          Clock::now().time_since_epoch())
                                          .count()));
        const bool succeeded = co_await reload();
        (succeeded ? succeeded_ : failed_).add();
        last_.set(succeeded ? 1 : 0);
        notify_manager("READY=1");
    }
    reading_ = false;
}

Task<bool> Reload::reload() {
    auto wanted = config::load(running_.file, overrides_);
    if (!wanted) {
        spdlog::error("the configuration stays as it was: {}", wanted.error().text());
        co_return false;
    }
    config::Config& config = wanted.value();
    const auto kept = config::keep_what_needs_restart(config, running_);
    http::StartCheck check;
    if (check_) {
        check = co_await check_(runtime_.control(), config);
    }
    for (const std::string& mistake : check.mistakes) {
        spdlog::error("the configuration stays as it was: {}", mistake);
    }
    if (!check.mistakes.empty()) {
        co_return false;
    }
    if (check_ && !check.reached) {
        spdlog::warn("the routes are not checked yet, the database cannot be reached: {}",
                     check.reason);
    }
    if (runtime_.stopping()) {
        co_return false;
    }
    apply_(config, running_, check.reached);
    running_ = std::move(config);
    for (const std::string& name : kept) {
        spdlog::warn("the change of {} needs a restart", name);
    }
    spdlog::info("the configuration was read again: {} routes", running_.routes.size());
    co_return true;
}

}  // namespace muster

// Reading the clock, and writing down what it said.
#include "http/request_times.hpp"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "http/client_address.hpp"
#include "http/header_value.hpp"

namespace muster::http {
namespace {

using std::chrono::nanoseconds;

std::vector<timing::QueryTimes::Query> queries_of(const config::Config& config,
                                                  const std::vector<std::string>& texts) {
    std::vector<timing::QueryTimes::Query> queries;
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const config::Route& route = config.routes[i];
        queries.push_back({route.name, texts[i], route.slow.value_or(config.timing.slow_query)});
    }
    return queries;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// What Cache-Status says of us, in a word: "hit", or why not: "uri-miss", "stale", "bypass".
std::string_view cache_word(const Response& response) {
    for (const auto& [name, value] : response.headers) {
        if (name == "Cache-Status") {
            std::string_view word = value;
            word.remove_prefix(std::min(word.find("; ") + 2, word.size()));
            word = word.substr(0, word.find(';'));
            return word.starts_with("fwd=") ? word.substr(4) : word;
        }
    }
    return {};
}

bool asks(const Exchange& exchange) {
    return exchange.prefers &&
           prefers(exchange.header("Prefer").value_or(std::string_view()), "server-timing");
}

void append_metric(std::string& out, std::string_view name, nanoseconds duration) {
    out += fmt::format("{}{};dur={:.3f}", out.empty() ? "" : ", ", name,
                       std::chrono::duration<double, std::milli>(duration).count());
}

}  // namespace

bool prefers(std::string_view header, std::string_view preference) {
    while (!header.empty()) {
        const std::size_t comma = std::min(header.find(','), header.size());
        std::string_view one = header.substr(0, comma);
        one = trimmed(one.substr(0, one.find(';')));
        if (equals_ignoring_case(one, preference)) {
            return true;
        }
        header.remove_prefix(std::min(comma + 1, header.size()));
    }
    return false;
}

TimeKeeper::TimeKeeper(const config::Config& config, metrics::Registry& registry,
                       timing::Timing& timing, const std::vector<std::string>& texts,
                       unsigned threads)
    : enabled_(timing.enabled()),
      asked_only_(config.timing.server_timing == "on-request"),
      header_(enabled_ && config.timing.server_timing != "off"),
      trusted_proxies_(config.http.trusted_proxies),
      queries_(registry, timing, queries_of(config, texts), threads) {}

RequestTimes::RequestTimes(TimeKeeper& keeper, unsigned thread, const Exchange& exchange)
    : keeper_(keeper),
      thread_(thread),
      exchange_(exchange),
      wanted_(keeper.header_ && (!keeper.asked_only_ || asks(exchange))) {}

void RequestTimes::asking() {
    if (!keeper_.enabled_) {
        return;
    }
    const TimePoint now = Clock::now();
    if (wanted_) {
        pool_ = pool_.value_or(nanoseconds(0)) + (now - mark_);
    }
    mark_ = now;
}

timing::Outcome RequestTimes::answered(std::size_t route,
                                       const postgres::Outcome<postgres::Rows>& rows) {
    const auto outcome = rows                               ? timing::Outcome::success
                         : rows.error().sqlstate == "57014" ? timing::Outcome::timeout
                                                            : timing::Outcome::error;
    if (!keeper_.enabled_) {
        return outcome;
    }
    timing::Run run{.duration = Clock::now() - mark_, .failed = !rows};
    if (rows) {
        run.rows = static_cast<std::uint64_t>(rows.value().size());
        run.bytes = rows.value().bytes();
    }
    database_ += run.duration;
    if (keeper_.queries_.record(thread_, route, outcome, run)) {
        log_slow(route, outcome, run, rows ? std::string_view() : rows.error().sqlstate);
    }
    return outcome;
}

void RequestTimes::log_slow(std::size_t route, timing::Outcome outcome, const timing::Run& run,
                            std::string_view sqlstate) const {
    const std::string client = client_address(exchange_.peer, exchange_.headers("X-Forwarded-For"),
                                              keeper_.trusted_proxies_)
                                   .to_string();
    timing::SlowQuery slow;
    slow.client = client;
    slow.request_id = exchange_.request_id;
    slow.sqlstate = sqlstate;
    keeper_.queries_.log_slow(route, outcome, run, slow);
}

void RequestTimes::looked() {
    if (wanted_) {
        cache_ = Clock::now() - looking_since_ - pool_.value_or(nanoseconds(0)) - database_;
    }
}

std::string RequestTimes::header(nanoseconds total, const Response& response) const {
    std::string value;
    if (cache_) {
        append_metric(value, "cache", *cache_);
        if (const std::string_view word = cache_word(response); !word.empty()) {
            value += ";desc=\"" + std::string(word) + '"';
        }
    }
    if (pool_) {
        append_metric(value, "pool", *pool_);
        append_metric(value, "db", database_);
    }
    append_metric(value, "total", total);
    return value;
}

}  // namespace muster::http

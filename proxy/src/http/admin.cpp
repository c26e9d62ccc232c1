// The endpoints of the admin door.
#include "http/admin.hpp"

#include <boost/asio/post.hpp>

#include "http/problem.hpp"
#include "http/queries_page.hpp"
#include "http/url.hpp"

namespace muster::http {
namespace {

// Few clients, small requests: the public door's limits, but for the number of connections.
config::Http limits(const config::Config& config) {
    config::Http limits = config.http;
    limits.max_connections = 100;
    return limits;
}

Response refuse_method(const char* allowed) {
    Response refused = respond(405, std::string("this path has the methods ") + allowed);
    refused.headers.emplace_back("Allow", allowed);
    return refused;
}

Response metrics_page(const metrics::Registry& registry) {
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.text = registry.text();
    return response;
}

// The page for browsers, who say that they take HTML; JSON for programs.
Response queries(const timing::Statements& statements, const Exchange& exchange,
                 const Target& target) {
    const std::string* const sort = target.find("sort");
    const std::string* const format = target.find("format");
    const std::string column = sort != nullptr ? *sort : "total";
    if (format != nullptr && *format != "json" && *format != "html") {
        return respond(422, "format must be one of json, html, not \"" + *format + '"');
    }
    QueriesReport report{statements.since(), std::chrono::system_clock::now(), statements.read()};
    if (const auto allowed = sort_statements(report.statements, column)) {
        return respond(422, "sort must be one of " + *allowed + ", not \"" + column + '"');
    }
    const auto accept = exchange.header("Accept").value_or(std::string_view());
    const bool html =
        format != nullptr ? *format == "html" : accept.find("text/html") != std::string_view::npos;
    Response response;
    response.headers.emplace_back("Cache-Control", "no-store");
    response.headers.emplace_back("Vary", "Accept");
    if (html) {
        response.content_type = "text/html; charset=utf-8";
        response.headers.emplace_back("Content-Security-Policy",
                                      "default-src 'none'; style-src 'unsafe-inline'; "
                                      "frame-ancestors 'none'; base-uri 'none'");
        response.text = queries_html(report, column);
    } else {
        response.text = queries_json(report);
    }
    return response;
}

// Nobody is asked for a key here, so a page that an operator happens to look at must not do this.
Response reset(timing::Statements& statements, const Exchange& exchange) {
    if (exchange.header("Origin") || exchange.header("Sec-Fetch-Site")) {
        return respond(403, "this is not for browsers: use curl -X POST");
    }
    statements.reset();
    Response response;
    response.status = 204;
    return response;
}

}  // namespace

Admin::Admin(Runtime& runtime, const config::Config& config, Sources sources)
    : runtime_(runtime), config_(config) {
    server_ = Server::make(
        runtime.context(0), limits(config),
        [sources = std::make_shared<Sources>(std::move(sources))](Exchange& exchange) {
            return handle(*sources, exchange);
        },
        std::make_shared<std::atomic<std::size_t>>(0));
}

Task<Response> Admin::handle(const Sources& sources, Exchange& exchange) {
    const auto target = parse_target(exchange.target);
    if (!target) {
        co_return respond(target.error().status, target.error().detail);
    }
    const auto& segments = target.value().segments;
    if (auto health =
            co_await answer_health(segments, std::string(exchange.method), true, sources.ready)) {
        co_return *std::move(health);
    }
    const std::string path = segments.empty()       ? std::string()
                             : segments.size() == 1 ? segments[0]
                                                    : segments[0] + '/' + segments[1];
    timing::Statements* const statements = segments.size() <= 2 ? sources.statements : nullptr;
    if (path == "metrics") {
        co_return exchange.reads() ? metrics_page(sources.registry) : refuse_method("GET, HEAD");
    }
    if (path == "queries" && statements != nullptr) {
        co_return exchange.reads() ? queries(*statements, exchange, target.value())
                                   : refuse_method("GET, HEAD");
    }
    if (path == "queries/reset" && statements != nullptr) {
        co_return exchange.method == "POST" ? reset(*statements, exchange) : refuse_method("POST");
    }
    co_return respond(
        404, "there is nothing at this path; there are /metrics, " +
                 std::string(sources.statements != nullptr ? "/queries, /queries/reset, " : "") +
                 "/health, /health/live and /health/ready");
}

std::optional<std::string> Admin::start() {
    Listeners listeners;
    return start(listeners);
}

std::optional<std::string> Admin::start(Listeners& listeners) {
    const config::Endpoint& listen = config_.admin.listen;
    const auto sockets = listeners.open("admin", listen.host, listen.port, 1);
    if (!sockets) {
        return "admin.listen: " + sockets.error();
    }
    server_->listen(sockets.value().front());
    server_->start();
    return std::nullopt;
}

void Admin::stop() {
    net::post(runtime_.context(0), [server = server_] { server->stop(); });
}

}  // namespace muster::http

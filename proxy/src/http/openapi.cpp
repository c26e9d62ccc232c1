// The parts of the document, from the smallest to the whole. Texts are JSON already where they are
// put together.
#include "http/openapi.hpp"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "http/cache_plan.hpp"
#include "http/etag.hpp"
#include "runtime/json.hpp"
#include "runtime/version.hpp"

namespace muster::http {
namespace {

using config::CallParameter;
using config::Route;

using Member = std::pair<std::string, std::string>;  // a name, and a value in JSON
using Members = std::vector<Member>;

std::string text(std::string_view value) {
    std::string out;
    append_json_string(out, value);
    return out;
}

std::string object(const Members& members) {
    std::string out = "{";
    for (const auto& [name, value] : members) {
        out += (out.size() > 1 ? "," : "") + text(name) + ':' + value;
    }
    return out + '}';
}

std::string array(const std::vector<std::string>& values) {
    std::string out = "[";
    for (const std::string& value : values) {
        out += (out.size() > 1 ? "," : "") + value;
    }
    return out + ']';
}

std::string reference(std::string_view kind, std::string_view name) {
    return object({{"$ref", text("#/components/" + std::string(kind) + '/' + std::string(name))}});
}

// --- parameters

std::string schema_of(const Route::Parameter& parameter) {
    using Type = Route::Parameter::Type;
    Members members;
    switch (parameter.type) {
        case Type::text:
            members = {{"type", text("string")}};
            break;
        case Type::integer:
            members = {{"type", text("integer")}, {"format", text("int64")}};
            break;
        case Type::boolean:
            members = {{"type", text("boolean")}};
            break;
        case Type::uuid:
            members = {{"type", text("string")}, {"format", text("uuid")}};
            break;
    }
    if (parameter.min) {
        members.emplace_back("minimum", std::to_string(*parameter.min));
    }
    if (parameter.max) {
        members.emplace_back("maximum", std::to_string(*parameter.max));
    }
    if (!parameter.values.empty()) {
        std::vector<std::string> values;
        for (const std::string& value : parameter.values) {
            values.push_back(text(value));
        }
        members.emplace_back("enum", array(values));
    }
    return object(members);
}

std::string parameter(const std::string& name, const char* place, const Route& route,
                      const std::string& called) {
    const auto checked = route.params.find(name);
    Members members{{"name", text(called)}, {"in", text(place)}};
    if (std::string_view(place) == "path") {
        members.emplace_back("required", "true");
    }
    members.emplace_back(
        "schema", schema_of(checked == route.params.end() ? Route::Parameter{} : checked->second));
    return object(members);
}

// The names that a path's parameters have in the document: those of the first route of this shape,
// for paths that differ in these names alone are one path there.
std::vector<std::string> parameter_names(const Route& route) {
    std::vector<std::string> names;
    for (const config::Segment& segment : route.segments) {
        if (segment.parameter) {
            names.push_back(segment.text);
        }
    }
    return names;
}

// "/agents/{}/tools/{}"
std::string shape_of(const Route& route) {
    std::string shape;
    for (const config::Segment& segment : route.segments) {
        shape += '/' + (segment.parameter ? "{}" : segment.text);
    }
    return shape;
}

std::string parameters_of(const Route& route, const std::vector<std::string>& names) {
    std::vector<std::string> list;
    std::set<std::string> seen;
    const std::vector<std::string> own = parameter_names(route);
    for (std::size_t i = 0; i < own.size(); ++i) {
        list.push_back(parameter(own[i], "path", route, names[i]));
        seen.insert(own[i]);
    }
    for (const CallParameter& one : route.compiled.parameters) {
        if (one.body == CallParameter::Body::none && seen.insert(one.name).second) {
            list.push_back(parameter(one.name, "query", route, one.name));
        }
    }
    if (route.cache) {
        list.push_back(reference("parameters", "IfNoneMatch"));
        list.push_back(reference("parameters", "MusterToken"));
    }
    if (route.idempotent) {
        list.push_back(reference("parameters", "IdempotencyKey"));
    }
    list.push_back(reference("parameters", "RequestId"));
    return array(list);
}

// --- answers

std::string headers_of(const std::vector<std::string>& names) {
    Members headers;
    for (const std::string& name : names) {
        headers.emplace_back(name, reference("headers", name));
    }
    return object(headers);
}

std::vector<std::string> usual_headers(bool limited) {
    std::vector<std::string> names{"X-Request-Id"};
    if (limited) {
        names.insert(names.end(), {"RateLimit", "RateLimit-Policy"});
    }
    return names;
}

std::string success_of(const Route& route, bool limited) {
    std::vector<std::string> names = usual_headers(limited);
    if (route.cache) {
        names.insert(names.end(), {"ETag", "Cache-Status"});
    }
    if (!route.writes.empty()) {
        names.emplace_back("Muster-Token");
    }
    if (route.idempotent) {
        names.emplace_back("Idempotency-Replayed");
    }
    if (route.method == "GET") {
        names.emplace_back("Link");
    } else if (route.success != 204) {
        names.emplace_back("Location");
    }
    Members members{{"description", text(route.success == 204 ? "Done" : "The document")},
                    {"headers", headers_of(names)}};
    if (route.success != 204) {
        members.emplace_back("content", R"({"application/json":{"schema":{}}})");
    }
    return object(members);
}

// A status, what it means, and whether it comes with more than the usual headers.
struct Failure {
    unsigned status;
    const char* name;
    const char* description;
    const char* header;  // null: none
};
constexpr Failure failures[] = {
    {400, "BadRequest", "The request is not valid HTTP, or a header of it is not valid", nullptr},
    {401, "Unauthorized", "The API key is missing or not valid", "WWW-Authenticate"},
    {403, "Forbidden", "The API key lacks the scope, or the database refuses the access", nullptr},
    {404, "NotFound", "There is no such thing", nullptr},
    {409, "Conflict", "What is there already stands against it", nullptr},
    {413, "ContentTooLarge", "The body, or what would become of it, is too large", nullptr},
    {415, "UnsupportedMediaType", "The body is not application/json", "Accept"},
    {422, "UnprocessableContent", "A parameter or the body is not acceptable", nullptr},
    {426, "UpgradeRequired", "The path speaks WebSocket, version 13", "Upgrade"},
    {429, "TooManyRequests", "The quota is used up", "Retry-After"},
    {500, "InternalServerError", "The request failed; the log has the reason", nullptr},
    {503, "ServiceUnavailable", "The database cannot serve this now", "Retry-After"},
    {504, "GatewayTimeout", "The database took too long", nullptr},
};

bool can_fail(const Route& route, unsigned status, bool has_body, bool limited) {
    switch (status) {
        case 409:
            return route.method != "GET";
        case 415:
            return has_body;
        case 426:
            return false;
        case 429:
            return limited;
        default:
            return true;
    }
}

std::string failure_responses(bool limited) {
    Members members;
    for (const Failure& failure : failures) {
        std::vector<std::string> names = usual_headers(limited);
        if (failure.header != nullptr) {
            names.emplace_back(failure.header);
        }
        members.emplace_back(
            failure.name,
            object(
                {{"description", text(failure.description)},
                 {"headers", headers_of(names)},
                 {"content", object({{"application/problem+json",
                                      object({{"schema", reference("schemas", "Problem")}})}})}}));
    }
    return object(members);
}

std::string operation(const Route& route, const std::vector<std::string>& names, bool limited) {
    const bool has_body =
        std::any_of(route.compiled.parameters.begin(), route.compiled.parameters.end(),
                    [](const CallParameter& one) { return one.body != CallParameter::Body::none; });
    Members responses{{std::to_string(route.success), success_of(route, limited)}};
    if (route.cache) {
        responses.emplace_back("304", reference("responses", "NotModified"));
    }
    for (const Failure& failure : failures) {
        if (can_fail(route, failure.status, has_body, limited)) {
            responses.emplace_back(std::to_string(failure.status),
                                   reference("responses", failure.name));
        }
    }
    Members members{{"operationId", text(route.name)}};
    if (!route.segments.empty() && !route.segments.front().parameter) {
        members.emplace_back("tags", array({text(route.segments.front().text)}));
    }
    members.emplace_back("parameters", parameters_of(route, names));
    if (has_body) {
        members.emplace_back("requestBody",
                             R"({"required":true,"content":{"application/json":{"schema":{}}}})");
    }
    members.emplace_back("responses", object(responses));
    return object(members);
}

// --- the proxy's own endpoints

std::string own_operation(const char* name, const char* what, bool may_be_unready = false) {
    const auto document = [](const char* description) {
        return object({{"description", text(description)},
                       {"content", R"({"application/json":{"schema":{"type":"object"}}})"}});
    };
    Members responses{{"200", document(what)}};
    if (may_be_unready) {
        responses.emplace_back("503", document("The process is not ready to serve"));
    }
    return object({{"get", object({{"operationId", text(name)},
                                   {"security", "[]"},
                                   {"responses", object(responses)}})}});
}

// Live updates, and the tickets to them.
void add_live(Members& paths, bool limited) {
    const auto failed = [](std::initializer_list<unsigned> statuses) {
        Members responses;
        for (const Failure& failure : failures) {
            if (std::find(statuses.begin(), statuses.end(), failure.status) != statuses.end()) {
                responses.emplace_back(std::to_string(failure.status),
                                       reference("responses", failure.name));
            }
        }
        return responses;
    };
    const auto path = [&](const char* method, const char* name, const char* status,
                          const std::string& success, Members responses) {
        if (limited) {
            responses.emplace_back("429", reference("responses", "TooManyRequests"));
        }
        responses.emplace_back(status, success);
        return object({{method, object({{"operationId", text(name)},
                                        {"tags", array({text("live")})},
                                        {"responses", object(responses)}})}});
    };
    paths.emplace_back(
        "/ws", path("get", "muster_websocket", "101",
                    object({{"description", text("Changes as they are committed, by WebSocket")}}),
                    failed({400, 401, 403, 422, 426, 503})));
    paths.emplace_back(
        "/events/stream",
        path("get", "muster_event_stream", "200",
             object({{"description", text("Changes as they are committed, as server-sent events")},
                     {"content", R"({"text/event-stream":{"schema":{"type":"string"}}})"}}),
             failed({400, 401, 403, 422, 503})));
    paths.emplace_back(
        "/tickets",
        path("post", "muster_ticket", "201",
             object({{"description", text("A ticket for one connection, for 30 s")},
                     {"content", R"({"application/json":{"schema":{"type":"object"}}})"}}),
             failed({401, 403, 503})));
}

// --- the whole

// Each path with its methods, in the order of the routes.
std::string paths_of(const config::Config& config) {
    struct Path {
        std::string text;
        std::vector<std::string> names;
        Members operations;
    };
    std::vector<Path> paths;
    std::map<std::string, std::size_t> by_shape;
    for (const Route& route : config.routes) {
        const auto [place, first] = by_shape.try_emplace(shape_of(route), paths.size());
        if (first) {
            paths.push_back({route.path, parameter_names(route), {}});
        }
        Path& path = paths[place->second];
        std::string method = route.method;
        std::transform(method.begin(), method.end(), method.begin(),
                       [](char c) { return static_cast<char>(c - 'A' + 'a'); });
        path.operations.emplace_back(method, operation(route, path.names, config.limits.enabled));
    }
    Members members{
        {"/", own_operation("muster_root", "What this is, and its endpoints")},
        {"/health", own_operation("muster_health", "The process is alive")},
        {"/health/live", own_operation("muster_live", "The process is alive")},
        {"/health/ready", own_operation("muster_ready", "The process is ready to serve", true)},
        {"/openapi.json", own_operation("muster_openapi", "This document")},
    };
    if (config.push.enabled) {
        add_live(members, config.limits.enabled);
    }
    const auto own = static_cast<std::ptrdiff_t>(members.size());
    for (const Path& path : paths) {
        const bool shadowed =
            std::any_of(members.begin(), members.begin() + own,
                        [&](const Member& one) { return one.first == path.text; });
        if (!shadowed) {
            members.emplace_back(path.text, object(path.operations));
        }
    }
    return object(members);
}

std::string header(const char* description) {
    return object({{"description", text(description)}, {"schema", R"({"type":"string"})"}});
}

std::string header_parameter(const char* name, const char* description) {
    return object({{"name", text(name)},
                   {"in", text("header")},
                   {"description", text(description)},
                   {"schema", R"({"type":"string"})"}});
}

std::string components(const config::Config& config) {
    Members responses{
        {"NotModified",
         object({{"description", text("The answer is the one that If-None-Match names")},
                 {"headers", headers_of({"ETag"})}})}};
    std::string failed = failure_responses(config.limits.enabled);
    return object(
        {{"securitySchemes",
          object({{"apiKey", R"({"type":"apiKey","in":"header","name":"X-API-Key"})"},
                  {"bearer", R"({"type":"http","scheme":"bearer"})"}})},
         {"parameters",
          object({{"IfNoneMatch", header_parameter("If-None-Match",
                                                   "The ETag of an answer that is known already")},
                  {"IdempotencyKey",
                   header_parameter("Idempotency-Key",
                                    "Sent again within 24 hours, the request is answered the same "
                                    "and not carried out again")},
                  {"MusterToken",
                   header_parameter("Muster-Token",
                                    "From the answer to a write that this answer has to show")},
                  {"RequestId",
                   header_parameter("X-Request-Id", "An id of the client's for its request")}})},
         {"headers",
          object(
              {{"X-Request-Id", header("The request's id in the proxy's log")},
               {"RateLimit", header("What is left of the quota, and when it is whole again")},
               {"RateLimit-Policy", header("The quota")},
               {"Retry-After", header("Seconds until a further attempt makes sense")},
               {"WWW-Authenticate", header("How to present a key")},
               {"Accept", header("The media type of bodies")},
               {"Upgrade", header("The protocol that is spoken: websocket")},
               {"ETag", header("Names this answer")},
               {"Cache-Status", header("Whether the answer is a kept one (RFC 9211)")},
               {"Link", header("The following page, as rel=\"next\"; absent on the last one")},
               {"Location", header("Where the new item is, if the route says so")},
               {"Idempotency-Replayed", header("true if this is the answer of an earlier request")},
               {"Muster-Token", header("Sent along with a later read, has it show this write")}})},
         {"responses",
          object(responses).substr(0, object(responses).size() - 1) + ',' + failed.substr(1)},
         {"schemas",
          R"({"Problem":{"type":"object","description":"RFC 9457","required":["type","title","status","detail"],)"
          R"("properties":{"type":{"type":"string","format":"uri-reference"},"title":{"type":"string"},)"
          R"("status":{"type":"integer"},"detail":{"type":"string"},"sqlstate":{"type":"string"},)"
          R"("hint":{"type":"string"}}}})"}});
}

std::string document_of(const config::Config& config) {
    return object({{"openapi", text("3.1.0")},
                   {"info", object({{"title", text("Muster")}, {"version", text(version)}})},
                   {"security", R"([{"apiKey":[]},{"bearer":[]}])"},
                   {"paths", paths_of(config)},
                   {"components", components(config)}});
}

}  // namespace

Response describe_service(const std::vector<config::Route>& routes, bool live) {
    Members endpoints{{"health", text("GET /health")},
                      {"live", text("GET /health/live")},
                      {"ready", text("GET /health/ready")},
                      {"openapi", text("GET /openapi.json")}};
    if (live) {
        endpoints.insert(endpoints.end(), {{"websocket", text("GET /ws")},
                                           {"event_stream", text("GET /events/stream")},
                                           {"tickets", text("POST /tickets")}});
    }
    for (const Route& route : routes) {
        endpoints.emplace_back(route.name, text(route.method + ' ' + route.path));
    }
    Response response;
    response.text = object({{"service", text("muster")},
                            {"version", text(version)},
                            {"status", text("operational")},
                            {"endpoints", object(endpoints)}});
    return response;
}

OpenApi::OpenApi(const config::Config& config)
    : document_(std::make_shared<const std::string>(document_of(config))),
      etag_('"' + digest_text(*document_).substr(0, 32) + '"') {}

Response OpenApi::answer(const Exchange& exchange) const {
    Response response;
    response.headers.emplace_back("ETag", etag_);
    response.headers.emplace_back("Cache-Control", "no-cache");
    const auto known = exchange.header("If-None-Match");
    if (known && none_match_names(*known, etag_)) {
        response.status = 304;
        return response;
    }
    response.view = *document_;
    response.kept = document_;
    return response;
}

}  // namespace muster::http

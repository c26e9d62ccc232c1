// Sources of parameters and the checks of their values.
#include "http/binding.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "cache/origin.hpp"

namespace muster::http {
namespace {

constexpr Oid bytea_type = 17;
constexpr Oid text_type = 25;
constexpr Oid json_type = 114;
constexpr Oid jsonb_type = 3802;

// The body in the binary form of its type: bytes as they are, but for jsonb's version in front.
postgres::Parameter body_parameter(config::CallParameter::Body type, std::string& body) {
    switch (type) {
        case config::CallParameter::Body::jsonb:
            body.insert(body.begin(), '\1');
            return {std::move(body), true, jsonb_type};
        case config::CallParameter::Body::text:
            return {std::move(body), true, text_type};
        case config::CallParameter::Body::bytea:
            return {std::move(body), true, bytea_type};
        case config::CallParameter::Body::json:
        case config::CallParameter::Body::none:
            break;
    }
    return {std::move(body), true, json_type};
}

bool is_uuid(std::string_view value) {
    const bool hyphens = value.size() == 36;
    if (!hyphens && value.size() != 32) {
        return false;
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
        const bool hyphen = hyphens && (i == 8 || i == 13 || i == 18 || i == 23);
        if (hyphen ? value[i] != '-' : std::isxdigit(static_cast<unsigned char>(value[i])) == 0) {
            return false;
        }
    }
    return true;
}

// In lower case and with hyphens.
std::string canonical_uuid(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == '-') {
            continue;
        }
        if (out.size() == 8 || out.size() == 13 || out.size() == 18 || out.size() == 23) {
            out += '-';
        }
        out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return out;
}

std::string integer_range(const config::Route::Parameter& check) {
    if (check.min && check.max) {
        return "an integer from " + std::to_string(*check.min) + " to " +
               std::to_string(*check.max);
    }
    if (check.min) {
        return "an integer of at least " + std::to_string(*check.min);
    }
    if (check.max) {
        return "an integer of at most " + std::to_string(*check.max);
    }
    return "an integer";
}

// A value as shown in a message, cut to a bound.
std::string shown(std::string_view value) {
    constexpr std::size_t most = 100;
    return '"' + std::string(value.substr(0, most)) + (value.size() > most ? "…\"" : "\"");
}

}  // namespace

std::optional<std::string> check_value(const config::Route::Parameter& check, std::string& value) {
    using Type = config::Route::Parameter::Type;
    switch (check.type) {
        case Type::integer: {
            std::int64_t number = 0;
            const char* const end = value.data() + value.size();
            const auto [rest, error] = std::from_chars(value.data(), end, number);
            if (value.empty() || error != std::errc() || rest != end ||
                (check.min && number < *check.min) || (check.max && number > *check.max)) {
                return integer_range(check);
            }
            value = std::to_string(number);
            return std::nullopt;
        }
        case Type::boolean:
            if (value == "true" || value == "True" || value == "1") {
                value = "true";
            } else if (value == "false" || value == "False" || value == "0") {
                value = "false";
            } else {
                return "one of true, false, True, False, 1, 0";
            }
            return std::nullopt;
        case Type::uuid:
            if (!is_uuid(value)) {
                return "a uuid";
            }
            value = canonical_uuid(value);
            return std::nullopt;
        case Type::text:
            break;
    }
    if (check.values.empty() ||
        std::find(check.values.begin(), check.values.end(), value) != check.values.end()) {
        return std::nullopt;
    }
    std::string list = "one of ";
    for (const std::string& one : check.values) {
        list += (&one == &check.values.front() ? "" : ", ") + one;
    }
    return list;
}

BoundCall::BoundCall(const config::Route& route, bool traced)
    : sql_(traced ? "select r.*, " + std::string(cache::Origin::sql) +
                        " from (select) one left join lateral " + route.compiled.sql + " r on true"
                  : "select r.* from " + route.compiled.sql + " r"),
      traced_(traced) {
    for (const config::CallParameter& parameter : route.compiled.parameters) {
        Source source;
        source.name = parameter.name;
        source.body = parameter.body;
        std::size_t index = 0;
        for (const config::Segment& segment : route.segments) {
            if (segment.parameter && segment.text == parameter.name) {
                source.kind = Source::Kind::path;
                source.index = index;
            }
            index += segment.parameter ? 1 : 0;
        }
        if (parameter.body != config::CallParameter::Body::none) {
            source.kind = Source::Kind::body;
            needs_body_ = true;
        }
        if (const auto check = route.params.find(parameter.name); check != route.params.end()) {
            source.check = check->second;
        }
        sources_.push_back(std::move(source));
    }
}

Result<std::vector<postgres::Parameter>, Problem> BoundCall::bind(
    const std::vector<std::string_view>& path_values, const Target& target,
    std::string& body) const {
    std::vector<postgres::Parameter> parameters;
    parameters.reserve(sources_.size());
    for (const Source& source : sources_) {
        if (source.kind == Source::Kind::body) {
            parameters.push_back(body_parameter(source.body, body));
            continue;
        }
        postgres::Parameter parameter;
        if (source.kind == Source::Kind::path) {
            parameter.value = path_values.at(source.index);
        } else if (const std::string* value = target.find(source.name)) {
            parameter.value = *value;
        }
        if (parameter.value && source.check) {
            const std::string given = *parameter.value;
            if (const auto allowed = check_value(*source.check, *parameter.value)) {
                return Problem{
                    422, source.name + " must be " + *allowed + ", not " + shown(given), {}, {}};
            }
        }
        parameters.push_back(std::move(parameter));
    }
    return parameters;
}

}  // namespace muster::http

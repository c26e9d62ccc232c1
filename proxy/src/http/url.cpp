// Percent-coding after RFC 3986; query strings as forms encode them, `+` being a space.
#include "http/url.hpp"

#include <algorithm>

namespace muster::http {
namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

Result<std::string, UrlError> decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            const int high = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return UrlError{400,
                                "\"" + std::string(text.substr(i, 3)) +
                                    "\" is not a percent-escape: % and two hexadecimal digits"};
            }
            c = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') {
            return UrlError{422, "%00 is not allowed in a path or query"};
        }
        out += c;
    }
    return out;
}

std::optional<UrlError> parse_path(Target& out, std::string_view path) {
    path.remove_prefix(1);
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/'), path.size());
        auto segment = decode(path.substr(0, end), false);
        if (!segment) {
            return std::move(segment).error();
        }
        out.segments.push_back(std::move(segment).value());
        out.trailing_slash = end + 1 == path.size();
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return std::nullopt;
}

std::optional<UrlError> parse_query(Target& out, std::string_view query) {
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (pair.empty()) {
            continue;
        }
        const std::size_t equals = std::min(pair.find('='), pair.size());
        auto name = decode(pair.substr(0, equals), true);
        if (!name) {
            return std::move(name).error();
        }
        auto value = decode(pair.substr(std::min(equals + 1, pair.size())), true);
        if (!value) {
            return std::move(value).error();
        }
        out.query.push_back({std::move(name).value(), std::move(value).value()});
    }
    return std::nullopt;
}

}  // namespace

const std::string* Target::find(std::string_view name) const {
    const auto found = std::find_if(query.rbegin(), query.rend(),
                                    [&](const QueryParameter& p) { return p.name == name; });
    return found == query.rend() ? nullptr : &found->value;
}

Result<Target, UrlError> parse_target(std::string_view target) {
    for (std::string_view scheme : {"http://", "https://"}) {
        if (target.starts_with(scheme)) {
            target.remove_prefix(scheme.size());
            target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
            if (target.empty() || target.front() == '?') {
                return UrlError{400, "the request's target has no path"};
            }
        }
    }
    if (target.empty() || target.front() != '/') {
        return UrlError{400, "the request's target is not a path"};
    }
    if (target.find('#') != std::string_view::npos) {
        return UrlError{400, "the request's target has a fragment"};
    }
    Target out;
    const std::size_t mark = std::min(target.find('?'), target.size());
    if (auto error = parse_path(out, target.substr(0, mark))) {
        return *std::move(error);
    }
    if (auto error = parse_query(out, target.substr(std::min(mark + 1, target.size())))) {
        return *std::move(error);
    }
    return out;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    for (char c : text) {
        const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                                c == '~';
        if (unreserved) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += hex[byte >> 4];
        out += hex[byte & 15];
    }
    return out;
}

std::string next_page(const Target& target, std::string_view after) {
    std::string out;
    for (const std::string& segment : target.segments) {
        out += '/' + percent_encode(segment);
    }
    if (target.trailing_slash || out.empty()) {
        out += '/';
    }
    out += '?';
    for (const auto& [name, value] : target.query) {
        // An offset counts from the start of the list, a cursor goes on from a row: with both, the
        // next page would be skipped.
        if (name != "after" && name != "offset") {
            out += percent_encode(name) + '=' + percent_encode(value) + '&';
        }
    }
    return out + "after=" + percent_encode(after);
}

}  // namespace muster::http

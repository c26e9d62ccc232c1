// Plain implementations of what the headers of the writer say.
#include "plain.hpp"

#include <algorithm>
#include <cstdio>

namespace fuzz {
namespace {

bool is_container(const Value& value) {
    return value.kind == Value::Kind::Array || value.kind == Value::Kind::Object;
}

// The paths that begin with the name, without it.
std::vector<Path> beneath(const std::vector<Path>& paths, const std::string& name) {
    std::vector<Path> rest;
    for (const Path& path : paths) {
        if (path[0] == name) {
            rest.emplace_back(path.begin() + 1, path.end());
        }
    }
    return rest;
}

bool asks_for_all(const std::vector<Path>& paths) {
    return std::any_of(paths.begin(), paths.end(), [](const Path& path) { return path.empty(); });
}

std::vector<std::string> first_names(const std::vector<Path>& paths) {
    std::vector<std::string> names;
    for (const Path& path : paths) {
        if (std::find(names.begin(), names.end(), path[0]) == names.end()) {
            names.push_back(path[0]);
        }
    }
    return names;
}

bool is_number(const std::string& name) {
    if (name.empty() || name.size() > 9 || (name[0] == '0' && name != "0")) {
        return false;
    }
    return name.find_first_not_of("0123456789") == std::string::npos;
}

std::optional<std::string> plain_part(const Value& value, const std::vector<Path>& paths,
                                      bool always) {
    return asks_for_all(paths) ? plain_json(value) : plain_project(value, paths, always);
}

std::string joined(const std::vector<std::string>& parts, const char* separator) {
    std::string text;
    for (std::size_t i = 0; i < parts.size(); i++) {
        text += (i > 0 ? separator : "") + parts[i];
    }
    return text;
}

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::size_t without_blanks(std::string_view text, std::size_t at) {
    while (at < text.size() && is_blank(text[at])) {
        at++;
    }
    return at;
}

int days_of_year(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365;
}

int days_of_month(int year, int month) {
    static constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && days_of_year(year) == 366 ? 1 : 0);
}

constexpr std::int64_t day_of_2000 = 730119;  // since 0001-01-01
constexpr std::int64_t day_length = 86400000000;

}  // namespace

std::string plain_string(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\b':
                out += "\\b";
                break;
            case '\f':
                out += "\\f";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(c) < ' ') {
                    char escape[8];
                    std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
                    out += escape;
                } else {
                    out += c;
                }
        }
    }
    return out + "\"";
}

std::string plain_json(const Value& value) {
    std::vector<std::string> parts;
    switch (value.kind) {
        case Value::Kind::Null:
            return "null";
        case Value::Kind::False:
            return "false";
        case Value::Kind::True:
            return "true";
        case Value::Kind::Number:
            return value.text;
        case Value::Kind::String:
            return plain_string(value.text);
        case Value::Kind::Array:
            for (const Value& child : value.children) {
                parts.push_back(plain_json(child));
            }
            return "[" + joined(parts, ", ") + "]";
        case Value::Kind::Object:
            for (std::size_t i = 0; i < value.keys.size(); i++) {
                parts.push_back(plain_string(value.keys[i]) + ": " + plain_json(value.children[i]));
            }
            return "{" + joined(parts, ", ") + "}";
    }
    return "";
}

std::optional<std::string> plain_project(const Value& value, const std::vector<Path>& paths,
                                         bool always) {
    if (!is_container(value)) {
        return std::nullopt;
    }
    const std::vector<std::string> names = first_names(paths);
    std::vector<std::string> found;
    if (value.kind == Value::Kind::Object) {
        for (const std::string& name : names) {
            const auto key = std::find(value.keys.begin(), value.keys.end(), name);
            if (key == value.keys.end()) {
                continue;
            }
            const auto i = static_cast<std::size_t>(key - value.keys.begin());
            const auto part = plain_part(value.children[i], beneath(paths, name), false);
            if (part) {
                found.push_back(plain_string(name) + ":" + *part);
            }
        }
        if (found.empty() && !always) {
            return std::nullopt;
        }
        return "{" + joined(found, ",") + "}";
    }
    const std::size_t count = value.children.size();
    const bool numbers_only = std::all_of(names.begin(), names.end(), is_number);
    if (numbers_only) {
        for (const std::string& name : names) {
            const std::size_t i = std::stoul(name);
            const auto part = i < count ? plain_part(value.children[i], beneath(paths, name), false)
                                        : std::nullopt;
            if (part) {
                found.push_back(*part);
            }
        }
    } else {
        for (std::size_t i = 0; i < count; i++) {
            const std::vector<Path> own = beneath(paths, std::to_string(i));
            const auto part = plain_part(value.children[i], own.empty() ? paths : own, true);
            if (part) {
                found.push_back(*part);
            }
        }
    }
    if (found.empty() && !always && (numbers_only || count > 0)) {
        return std::nullopt;
    }
    return "[" + joined(found, ",") + "]";
}

std::optional<std::vector<Path>> plain_paths(std::string_view text) {
    std::vector<Path> paths;
    std::size_t at = without_blanks(text, 0);
    if (at == text.size()) {
        return paths;
    }
    paths.emplace_back();
    for (;;) {
        std::string name;
        at = without_blanks(text, at);
        if (at < text.size() && text[at] == '"') {
            for (at++;; at++) {
                if (at == text.size()) {
                    return std::nullopt;
                }
                if (text[at] == '"') {
                    if (at + 1 == text.size() || text[at + 1] != '"') {
                        break;
                    }
                    at++;
                }
                name += text[at];
            }
            at = without_blanks(text, at + 1);
        } else {
            const std::size_t end = std::min(text.find_first_of(",.\"", at), text.size());
            name = text.substr(at, end - at);
            while (!name.empty() && is_blank(name.back())) {
                name.pop_back();
            }
            if (name.empty()) {
                return std::nullopt;
            }
            at = end;
        }
        paths.back().push_back(name);
        if (paths.size() > 1000 || paths.back().size() > 64) {
            return std::nullopt;
        }
        if (at == text.size()) {
            return paths;
        }
        if (text[at] == ',') {
            paths.emplace_back();
        } else if (text[at] != '.') {
            return std::nullopt;
        }
        at++;
    }
}

std::vector<Path> distinct_paths(const std::vector<Path>& paths) {
    std::vector<Path> distinct;
    for (const std::string& name : first_names(paths)) {
        const std::vector<Path> rest = beneath(paths, name);
        if (asks_for_all(rest)) {
            distinct.push_back({name});
            continue;
        }
        for (const Path& path : distinct_paths(rest)) {
            distinct.push_back({name});
            distinct.back().insert(distinct.back().end(), path.begin(), path.end());
        }
    }
    return distinct;
}

std::optional<std::string> plain_date(std::int32_t day) {
    std::int64_t left = day + day_of_2000;
    if (left < 0) {
        return std::nullopt;
    }
    int year = 1;
    // Whole cycles of 400 years first, for the sake of time.
    while (left >= 146097 && year <= 9999) {
        left -= 146097;
        year += 400;
    }
    while (year <= 9999 && left >= days_of_year(year)) {
        left -= days_of_year(year++);
    }
    if (year > 9999) {
        return std::nullopt;
    }
    int month = 1;
    while (left >= days_of_month(year, month)) {
        left -= days_of_month(year, month++);
    }
    char text[32];
    std::snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, static_cast<int>(left) + 1);
    return text;
}

std::optional<std::string> plain_timestamp(std::int64_t microseconds) {
    std::int64_t day = microseconds / day_length;
    std::int64_t left = microseconds % day_length;
    if (left < 0) {
        left += day_length;
        day--;
    }
    const auto date = plain_date(static_cast<std::int32_t>(day));
    if (!date) {
        return std::nullopt;
    }
    char text[32];
    const std::int64_t second = left / 1000000;
    std::snprintf(text, sizeof(text), "T%02d:%02d:%02d.%06d", static_cast<int>(second / 3600),
                  static_cast<int>(second / 60 % 60), static_cast<int>(second % 60),
                  static_cast<int>(left % 1000000));
    std::string time = text;
    time.erase(time.find_last_not_of('0') + 1);
    if (time.back() == '.') {
        time.pop_back();
    }
    return *date + time;
}

}  // namespace fuzz

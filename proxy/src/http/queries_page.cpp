// The columns, and the two forms of the report.
#include "http/queries_page.hpp"

#include <algorithm>
#include <array>
#include <tuple>

#include <spdlog/fmt/fmt.h>

#include "runtime/json.hpp"

namespace muster::http {
namespace {

using timing::StatementFigures;
using Duration = std::chrono::duration<double, std::milli>;

double mean(const StatementFigures& s) {
    return Duration(s.times.sum).count() /
           static_cast<double>(std::max<std::uint64_t>(s.times.total, 1));
}

// A column with numbers: what it is, and whether it is a time in milliseconds.
struct Column {
    std::string_view name;
    bool time;
    double (*value)(const StatementFigures&);
};

constexpr std::array<Column, 10> columns{{
    {"calls", false, [](const auto& s) { return static_cast<double>(s.times.total); }},
    {"errors", false, [](const auto& s) { return static_cast<double>(s.errors); }},
    {"rows", false, [](const auto& s) { return static_cast<double>(s.rows); }},
    {"bytes", false, [](const auto& s) { return static_cast<double>(s.bytes); }},
    {"total", true, [](const auto& s) { return Duration(s.times.sum).count(); }},
    {"mean", true, mean},
    {"p50", true, [](const auto& s) { return Duration(s.times.quantile(0.50)).count(); }},
    {"p95", true, [](const auto& s) { return Duration(s.times.quantile(0.95)).count(); }},
    {"p99", true, [](const auto& s) { return Duration(s.times.quantile(0.99)).count(); }},
    {"max", true, [](const auto& s) { return Duration(s.times.max).count(); }},
}};

std::string number(const Column& column, const StatementFigures& statement) {
    return column.time ? fmt::format("{:.3f}", column.value(statement))
                       : fmt::format("{:.0f}", column.value(statement));
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

constexpr std::string_view head = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Muster: queries</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
table { border-collapse: collapse; }
th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
th { position: sticky; top: 0; background: #f4f4f4; }
th a { color: inherit; }
th[aria-sort] { background: #dde8f5; }
.text { text-align: left; }
td { font-variant-numeric: tabular-nums; }
code { white-space: pre-wrap; overflow-wrap: anywhere; }
.errors { color: #b00; }
</style></head><body>
<h1>Queries</h1>
)";

std::string heading(std::string_view name, std::string_view label, std::string_view sorted_by,
                    bool text) {
    return fmt::format(R"(<th{}{}><a href="?sort={}&amp;format=html">{}</a></th>)",
                       text ? R"( class="text")" : "",
                       name != sorted_by ? ""
                       : name == "name"  ? R"( aria-sort="ascending")"
                                         : R"( aria-sort="descending")",
                       name, label);
}

}  // namespace

std::optional<std::string> sort_statements(std::vector<StatementFigures>& statements,
                                           std::string_view column) {
    // By name first, so that what is equal by a number stands in an order that stays.
    std::sort(statements.begin(), statements.end(), [](const auto& a, const auto& b) {
        return std::tie(a.name, a.door, a.text) < std::tie(b.name, b.door, b.text);
    });
    if (column == "name") {
        return std::nullopt;
    }
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [&](const Column& one) { return one.name == column; });
    if (found == columns.end()) {
        std::string allowed = "name";
        for (const Column& one : columns) {
            allowed += ", " + std::string(one.name);
        }
        return allowed;
    }
    std::stable_sort(statements.begin(), statements.end(), [&](const auto& a, const auto& b) {
        return found->value(a) > found->value(b);
    });
    return std::nullopt;
}

std::string queries_json(const QueriesReport& report) {
    std::string out = fmt::format(R"({{"since":"{}","now":"{}","statements":[)",
                                  utc_text(report.since), utc_text(report.now));
    bool first = true;
    for (const StatementFigures& statement : report.statements) {
        out += first ? "\n{" : ",\n{";
        first = false;
        out += "\"door\":";
        append_json_string(out, name_of(statement.door));
        out += ",\"name\":";
        append_json_string(out, statement.name);
        for (const Column& column : columns) {
            out += fmt::format(",\"{}{}\":{}", column.name, column.time ? "_ms" : "",
                               number(column, statement));
        }
        out += ",\"text\":";
        append_json_string(out, statement.text);
        out += '}';
    }
    return out + "\n]}\n";
}

std::string queries_html(const QueriesReport& report, std::string_view sorted_by) {
    std::string out(head);
    out += fmt::format(
        "<p>Since {} (it is {}). Times are in milliseconds, percentiles within 3.2 %; failed calls "
        "are among the calls.</p>\n<table><thead><tr>{}<th class=\"text\">door</th>",
        utc_text(report.since), utc_text(report.now), heading("name", "name", sorted_by, true));
    for (const Column& column : columns) {
        out += heading(column.name, column.name, sorted_by, false);
    }
    out += "<th class=\"text\">text</th></tr></thead><tbody>\n";
    for (const StatementFigures& statement : report.statements) {
        out += fmt::format(R"(<tr><td class="text">{}</td><td class="text">{}</td>)",
                           escaped(statement.name), name_of(statement.door));
        for (const Column& column : columns) {
            const bool failed = column.name == "errors" && statement.errors > 0;
            out += fmt::format("<td{}>{}</td>", failed ? R"( class="errors")" : "",
                               number(column, statement));
        }
        out +=
            fmt::format(R"(<td class="text"><code>{}</code></td></tr>)", escaped(statement.text));
        out += '\n';
    }
    if (report.statements.empty()) {
        out += R"(<tr><td class="text" colspan="13">no statement has been called yet</td></tr>)";
    }
    return out + "</tbody></table></body></html>\n";
}

}  // namespace muster::http

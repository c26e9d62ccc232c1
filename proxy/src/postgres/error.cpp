// Errors of the server and of libpq as values.
#include "postgres/error.hpp"

#include <algorithm>

namespace muster::postgres {

namespace {

// Puts a text of libpq, which may have several lines, into an error: the first line is the message.
void set_text(Error& error, std::string_view text) {
    const auto line_end = text.find('\n');
    error.message = text.substr(0, line_end);
    while (!text.empty() && line_end != std::string_view::npos) {
        const auto at = text.find('\n');
        text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
        std::string_view line = text.substr(0, text.find('\n'));
        while (line.starts_with(' ') || line.starts_with('\t'))
            line.remove_prefix(1);
        if (line.starts_with("LOCATION:"))  // in the server's source
            continue;
        std::string& part = line.starts_with("HINT:") ? error.hint : error.detail;
        for (const std::string_view label : {"DETAIL:", "HINT:"})
            if (line.starts_with(label))
                line.remove_prefix(
                    std::min(line.size(), line.find_first_not_of(' ', label.size())));
        if (!part.empty() && !line.empty())
            part += ' ';
        part += line;
    }
}

}  // namespace

std::string trimmed(const char* text) {
    std::string line = text == nullptr ? "" : text;
    while (!line.empty() && (line.back() == '\n' || line.back() == ' '))
        line.pop_back();
    return line;
}

Error failure(const char* sqlstate, std::string message, bool lost) {
    return {.sqlstate = sqlstate,
            .message = std::move(message),
            .detail = {},
            .hint = {},
            .connection_lost = lost};
}

Error error_of(const PGresult* result) {
    const auto field = [result](int code) {
        const char* text = PQresultErrorField(result, code);
        return std::string(text == nullptr ? "" : text);
    };
    Error error{.sqlstate = field(PG_DIAG_SQLSTATE),
                .message = field(PG_DIAG_MESSAGE_PRIMARY),
                .detail = field(PG_DIAG_MESSAGE_DETAIL),
                .hint = field(PG_DIAG_MESSAGE_HINT)};
    if (error.sqlstate.empty()) {  // libpq's own, not the server's
        error.sqlstate = "08006";
        set_text(error, trimmed(PQresultErrorMessage(result)));
    }
    return error;
}

// libpq keeps no result of it, only a text; with verbose
// errors that has the server's SQLSTATE in `<severity>:  28P01: <message>`.
Error connect_error(const PGconn* connection) {
    std::string text = trimmed(PQerrorMessage(connection));
    std::string sqlstate = "08001";
    for (std::size_t at = text.find(":  "); at != std::string::npos;
         at = text.find(":  ", at + 1)) {
        const std::string_view code = std::string_view(text).substr(at + 3, 5);
        const bool is_code = code.size() == 5 && std::all_of(code.begin(), code.end(), [](char c) {
                                 return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
                             });
        if (!is_code || text.compare(at + 8, 2, ": ") != 0)
            continue;
        sqlstate = code;
        text.erase(at + 3, 7);
        break;
    }
    Error error = failure(sqlstate.c_str(), {}, true);
    set_text(error, text);
    return error;
}

}  // namespace muster::postgres

// Reading a route's row.
#include "http/route_answer.hpp"

#include <charconv>

namespace muster::http {

Result<RouteAnswer, std::string> read_answer(const postgres::Rows& rows, unsigned success,
                                             bool traced) {
    RouteAnswer answer;
    answer.status = success;
    if (rows.size() > 1) {
        return std::string("more than one row");
    }
    const int columns = rows.columns() - (traced ? 1 : 0);
    const int body = columns == 1 ? 0 : rows.find("body");
    if (body < 0) {
        return std::string("no column \"body\"");
    }
    if (rows.size() == 0) {
        return answer;
    }
    if (traced && !rows.is_null(0, columns)) {
        answer.origin = rows.get(0, columns);
    }
    if (rows.is_null(0, body)) {
        return answer;
    }
    const auto column = [&](const char* name) -> std::optional<std::string_view> {
        const int index = columns == 1 ? -1 : rows.find(name);
        if (index < 0 || rows.is_null(0, index)) {
            return std::nullopt;
        }
        return rows.get(0, index);
    };
    if (const auto status = column("status")) {
        const char* const end = status->data() + status->size();
        const auto [rest, error] = std::from_chars(status->data(), end, answer.status);
        if (error != std::errc() || rest != end || answer.status < 200 || answer.status > 599) {
            return std::string("a status that is not from 200 to 599");
        }
    }
    answer.found = true;
    answer.body = rows.get(0, body);
    answer.next = column("next");
    answer.location = column("location");
    return answer;
}

}  // namespace muster::http

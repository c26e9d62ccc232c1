// The stage of a write that is carried out once, however often it is sent.
#include <charconv>

#include "http/idempotency.hpp"
#include "http/problem.hpp"
#include "http/request_handler.hpp"
#include "http/route_answer.hpp"

namespace muster::http {

Task<Response> RequestHandler::call_once(Passage& passage,
                                         const std::vector<postgres::Parameter>& values,
                                         const IdempotentRequest& request) {
    const std::size_t route = passage.match->route;
    const cache::Fence::Era era = cached_reads_ ? cached_reads_->era() : 0;
    auto rows = co_await query(passage, shared_->idempotent_calls[route].sql(),
                               IdempotentCall::bind(values, passage.identity->id, request), true);
    if (!rows) {
        co_return respond(rows.error());
    }
    // A function that returns more than one row has failed: its second answer cannot be stored.
    const postgres::Rows& row = rows.value();
    const std::string_view outcome =
        row.size() == 1 ? row.get(0, row.find("outcome")) : std::string_view();
    if (outcome == "busy") {
        Response refused = respond(409, "a request with this Idempotency-Key is being carried out");
        refused.headers.emplace_back("Retry-After", "1");
        co_return refused;
    }
    if (outcome == "mismatch") {
        co_return respond(422,
                          "this Idempotency-Key was used for another request, with another "
                          "body or query");
    }
    std::string token;
    if (cached_reads_ && shared_->plans[route].writes()) {
        // Whoever did it, what it wrote has ended what was cached before this answer is seen.
        const auto found = read_answer(row, 200, true);
        auto origin = found && found.value().origin ? cache::Origin::parse(*found.value().origin)
                                                    : std::nullopt;
        if (origin && !row.is_null(0, row.find("xid"))) {
            const std::string_view xid = row.get(0, row.find("xid"));
            std::from_chars(xid.data(), xid.data() + xid.size(), origin->xid);
        }
        if (origin && origin->xid != 0) {
            token = cached_reads_->wrote(*origin, era, shared_->plans[route].written_tags(values));
        }
    }
    const bool replayed = outcome == "replay";
    Response response = answer(passage, std::move(rows).value(), true);
    if (!token.empty()) {
        response.headers.emplace_back("Muster-Token", std::move(token));
    }
    if (replayed) {
        response.headers.emplace_back("Idempotency-Replayed", "true");
    }
    co_return response;
}

}  // namespace muster::http

// What is said to live clients and by them, as WebSocket messages or as Server-Sent Events, without
// I/O. doc/live.md has it for their authors.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/problem.hpp"
#include "http/url.hpp"
#include "http/websocket.hpp"
#include "push/filter.hpp"

namespace muster::http {

using push::StreamId;

// What a client asks for: in its query string, or in a WebSocket message.
struct LiveCommand {
    std::optional<push::Filter> filter;
    std::optional<StreamId> resume;  // behind which to go on
};

// Reads ?event_type=a,b&aggregate_type=…&aggregate_id=…&resume=id; a Last-Event-ID header, which a
// browser sends when it comes back, has precedence over `resume`. 422 if something is wrong.
Result<LiveCommand, Problem> read_live_query(const Target& target,
                                             std::optional<std::string_view> last_event_id);
// Reads {"subscribe": {"event_type": "a,b" or ["a","b"], …}, "resume": "id"}, of which one may be
// missing. Returns what is wrong with it, in ASCII.
Result<LiveCommand, std::string> read_live_message(std::string_view json);

// Why a client is disconnected.
struct LiveEnd {
    websocket::Close code = websocket::Close::normal;
    std::string reason;  // ASCII
};

// Each function appends to what is to be sent.
class LiveFormat {
  public:
    virtual ~LiveFormat() = default;

    // The events behind `id` follow, by the filter that was asked for.
    virtual void subscribed(std::string& out, StreamId id) const = 0;
    // What stands before the event's JSON, and behind it.
    virtual void event_head(std::string& out, const push::Event& event) const = 0;
    virtual std::string_view event_tail() const = 0;
    // Nothing that is wanted came up to `id`.
    virtual void heartbeat(std::string& out, StreamId id) const = 0;
    // Events were not taken fast enough; those behind `id` were not sent.
    virtual void overflow(std::string& out, StreamId id) const = 0;
    virtual void end(std::string& out, const LiveEnd& end) const = 0;
};

const LiveFormat& sse_format();
const LiveFormat& websocket_format();

}  // namespace muster::http

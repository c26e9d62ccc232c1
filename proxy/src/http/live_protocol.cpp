// The two formats, and the requests of clients.
#include "http/live_protocol.hpp"

#include "runtime/json.hpp"
#include "push/json_reader.hpp"

namespace muster::http {
namespace {

using websocket::Opcode;

constexpr std::string_view id_rule =
    "must be the id of an event such as \"1099511627778-1\", or \"0-0\" for all that is kept";

std::string with_id(std::string_view type, std::string_view member, StreamId id) {
    std::string json = R"({"type":")";
    json.append(type).append(R"(",")").append(member).append(R"(":")");
    return json.append(id.text()).append(R"("})");
}

class Sse final : public LiveFormat {
  public:
    void subscribed(std::string& out, StreamId id) const override {
        out += "retry: 1000\n";
        append_id(out, id);
        out += '\n';
    }
    void event_head(std::string& out, const push::Event& event) const override {
        if (event.reset) {
            out += "event: reset\n";
        }
        append_id(out, event.id);
        out += "data: ";
    }
    std::string_view event_tail() const override { return "\n\n"; }
    // An id without data moves a browser's last event id, and dispatches nothing.
    void heartbeat(std::string& out, StreamId id) const override {
        out += ": heartbeat\n";
        append_id(out, id);
        out += '\n';
    }
    void overflow(std::string& out, StreamId id) const override {
        out += "event: overflow\nretry: 1000\n";
        append_id(out, id);
        out += "data: " + with_id("overflow", "resume", id) + "\n\n";
    }
    void end(std::string& out, const LiveEnd& end) const override {
        out += "event: closed\ndata: {\"type\":\"closed\",\"code\":" +
               std::to_string(static_cast<unsigned>(end.code)) + ",\"reason\":";
        append_json_string(out, end.reason);
        out += "}\n\n";
    }

  private:
    static void append_id(std::string& out, StreamId id) { out += "id: " + id.text() + '\n'; }
};

class WebSocket final : public LiveFormat {
  public:
    void subscribed(std::string& out, StreamId id) const override {
        append_frame(out, Opcode::text, with_id("subscribed", "id", id));
    }
    void event_head(std::string& out, const push::Event& event) const override {
        append_head(out, Opcode::text, event.json.size());
    }
    std::string_view event_tail() const override { return {}; }
    // Browsers do not show pings to their scripts, so that there is a message too.
    void heartbeat(std::string& out, StreamId id) const override {
        append_frame(out, Opcode::ping, "");
        append_frame(out, Opcode::text, with_id("heartbeat", "id", id));
    }
    void overflow(std::string& out, StreamId id) const override {
        append_frame(out, Opcode::text, with_id("overflow", "resume", id));
    }
    void end(std::string& out, const LiveEnd& end) const override {
        append_close(out, end.code, end.reason);
    }
};

// "a,b" or ["a","b"].
std::optional<std::string> read_values(push::JsonReader& reader, push::Filter& filter,
                                       std::string_view name) {
    const std::string allowed = std::string(name) + " must be a string or an array of strings";
    if (!reader.take('[')) {
        const auto list = reader.string();
        return list ? filter.add_list(name, *list) : allowed;
    }
    if (reader.take(']')) {
        return std::nullopt;
    }
    do {
        auto value = reader.string();
        if (!value) {
            return allowed;
        }
        if (auto mistake = filter.add(name, *std::move(value))) {
            return mistake;
        }
    } while (reader.take(','));
    return reader.take(']') ? std::nullopt : std::optional(allowed);
}

Result<push::Filter, std::string> read_filter(push::JsonReader& reader) {
    push::Filter filter;
    if (!reader.take('{')) {
        return std::string("subscribe must be an object");
    }
    if (reader.take('}')) {
        return filter;
    }
    do {
        const auto name = reader.string();
        if (!name || !push::Filter::knows(*name) || !reader.take(':')) {
            return std::string(
                "subscribe must have no members but event_type, aggregate_type, aggregate_id");
        }
        if (auto mistake = read_values(reader, filter, *name)) {
            return *std::move(mistake);
        }
    } while (reader.take(','));
    if (!reader.take('}')) {
        return std::string("the message is not valid JSON");
    }
    return filter;
}

}  // namespace

Result<LiveCommand, Problem> read_live_query(const Target& target,
                                             std::optional<std::string_view> last_event_id) {
    LiveCommand command;
    command.filter.emplace();
    for (const QueryParameter& parameter : target.query) {
        if (push::Filter::knows(parameter.name)) {
            if (auto mistake = command.filter->add_list(parameter.name, parameter.value)) {
                return Problem{422, *std::move(mistake), {}, {}};
            }
        }
    }
    const std::string* resume = target.find("resume");
    if (last_event_id && !last_event_id->empty()) {
        command.resume = StreamId::parse(*last_event_id);
        if (!command.resume) {
            return Problem{422, "Last-Event-ID " + std::string(id_rule), {}, {}};
        }
    } else if (resume != nullptr) {
        command.resume = StreamId::parse(*resume);
        if (!command.resume) {
            return Problem{422, "resume " + std::string(id_rule), {}, {}};
        }
    }
    return command;
}

Result<LiveCommand, std::string> read_live_message(std::string_view json) {
    const std::string invalid = "the message is not a JSON object";
    push::JsonReader reader(json);
    LiveCommand command;
    if (!reader.take('{')) {
        return invalid;
    }
    if (!reader.sees('}')) {
        do {
            const auto name = reader.string();
            if (!name || !reader.take(':')) {
                return invalid;
            }
            if (*name == "subscribe") {
                auto filter = read_filter(reader);
                if (!filter) {
                    return std::move(filter).error();
                }
                command.filter = std::move(filter).value();
            } else if (*name == "resume") {
                const auto id = reader.string();
                command.resume = id ? StreamId::parse(*id) : std::nullopt;
                if (!command.resume) {
                    return "resume " + std::string(id_rule);
                }
            } else if (!reader.skip_value()) {
                return invalid;
            }
        } while (reader.take(','));
    }
    if (!reader.take('}') || !reader.at_end()) {
        return invalid;
    }
    if (!command.filter && !command.resume) {
        return std::string("the message must have subscribe or resume");
    }
    return command;
}

const LiveFormat& sse_format() {
    static const Sse format;
    return format;
}

const LiveFormat& websocket_format() {
    static const WebSocket format;
    return format;
}

}  // namespace muster::http

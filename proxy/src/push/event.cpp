// The leading members of a message.
#include "push/event.hpp"

#include <algorithm>

#include "push/json_reader.hpp"

namespace muster::push {

// {"id":"…","prev_id":"…","epoch":"…","xid":"…","tags":[…],"event_type":"…","aggregate_type":"…",
// "aggregate_id":"…",…
EventPtr Event::parse(std::string_view message) {
    JsonReader reader(message);
    const auto member = [&](char before, std::string_view name) -> std::optional<std::string> {
        if (!reader.take(before) || reader.string() != name || !reader.take(':')) {
            return std::nullopt;
        }
        return reader.string();
    };
    const auto id_text = member('{', "id");
    const auto previous_text = id_text ? member(',', "prev_id") : std::nullopt;
    if (!previous_text || !member(',', "epoch") || !member(',', "xid") || !reader.take(',') ||
        reader.string() != "tags" || !reader.take(':') || !reader.skip_value()) {
        return nullptr;
    }
    const auto id = StreamId::parse(*id_text);
    const auto previous = StreamId::parse(*previous_text);
    auto event_type = member(',', "event_type");
    auto aggregate_type = event_type ? member(',', "aggregate_type") : std::nullopt;
    auto aggregate_id = aggregate_type ? member(',', "aggregate_id") : std::nullopt;
    if (!id || !previous || !aggregate_id) {
        return nullptr;
    }
    if (id->n == 0) {
        return make_reset(*id, *previous, "history");
    }
    auto event = std::make_shared<Event>();
    event->id = *id;
    event->previous = *previous;
    event->event_type = *std::move(event_type);
    event->aggregate_type = *std::move(aggregate_type);
    event->aggregate_id = *std::move(aggregate_id);
    event->json = message;
    // Line breaks can only stand between tokens, where a space means the same.
    std::replace_if(
        event->json.begin(), event->json.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return event;
}

EventPtr Event::make_reset(StreamId id, StreamId previous, std::string_view reason) {
    auto event = std::make_shared<Event>();
    event->id = id;
    event->previous = previous;
    event->reset = true;
    event->json = R"({"type":"reset","id":")" + id.text() + R"(","reason":")";
    event->json.append(reason).append(R"("})");
    return event;
}

// {"epoch":"…","tick":…,
std::optional<std::uint64_t> tick_of_heartbeat(std::string_view message) {
    JsonReader reader(message);
    if (!reader.take('{') || reader.string() != "epoch" || !reader.take(':') || !reader.string() ||
        !reader.take(',') || reader.string() != "tick" || !reader.take(':')) {
        return std::nullopt;
    }
    return reader.number();
}

}  // namespace muster::push

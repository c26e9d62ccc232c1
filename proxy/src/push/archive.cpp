// XRANGE, and taking turns.
#include "push/archive.hpp"

#include <algorithm>

namespace muster::push {
namespace {

constexpr std::size_t most_reads = 4;  // at one time

redis::Error refused(std::string_view what) {
    return {redis::Error::Kind::refused, std::string(what)};
}

}  // namespace

// One of the few who may read.
class Archive::Turn {
  public:
    explicit Turn(Archive& archive) : archive_(archive) {}
    ~Turn() {
        if (!mine_) {
            return;
        }
        if (archive_.waiting_.empty()) {
            --archive_.reading_;
        } else {
            archive_.waiting_.front()->set();  // it is the next one's
            archive_.waiting_.pop_front();
        }
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    Task<bool> wait(TimePoint deadline) {
        if (archive_.reading_ < most_reads) {
            ++archive_.reading_;
            mine_ = true;
            co_return true;
        }
        ::muster::Event event(archive_.context_);
        archive_.waiting_.push_back(&event);
        mine_ = co_await event.wait(deadline);
        if (!mine_) {
            std::erase(archive_.waiting_, &event);
        }
        co_return mine_;
    }

  private:
    Archive& archive_;
    bool mine_ = false;
};

Task<redis::Outcome<std::vector<EventPtr>>> Archive::after(StreamId id, std::size_t count,
                                                           TimePoint deadline) {
    Turn turn(*this);
    if (!co_await turn.wait(deadline)) {
        co_return redis::Error{redis::Error::Kind::timed_out, "too many are reading the stream"};
    }
    auto dialled = co_await dialer_.connection(deadline);
    if (!dialled) {
        co_return std::move(dialled).error();
    }
    const auto connection = std::move(dialled).value();
    const std::string from = "(" + id.text();
    const std::string many = std::to_string(count);
    auto reply =
        co_await connection->command(deadline, "XRANGE", stream_, from, "+", "COUNT", many);
    if (!reply) {
        co_return std::move(reply).error();
    }
    if (reply.value().is_error()) {
        co_return refused(reply.value().error());
    }
    std::vector<EventPtr> events;
    for (const redis::Reply& entry : reply.value().array()) {
        // [id, ["message", text]]
        const auto& parts = entry.array();
        const auto& fields = parts.size() == 2 ? parts[1].array() : redis::Reply::Array();
        auto event = fields.size() == 2 ? Event::parse(fields[1].text()) : nullptr;
        if (event) {
            events.push_back(std::move(event));
        }
    }
    co_return events;
}

Task<redis::Outcome<StreamId>> Archive::newest(TimePoint deadline) {
    auto dialled = co_await dialer_.connection(deadline);
    if (!dialled) {
        co_return std::move(dialled).error();
    }
    const auto connection = std::move(dialled).value();
    auto reply =
        co_await connection->command(deadline, "XREVRANGE", stream_, "+", "-", "COUNT", "1");
    if (!reply) {
        co_return std::move(reply).error();
    }
    if (reply.value().is_error()) {
        co_return refused(reply.value().error());
    }
    const auto& entries = reply.value().array();
    if (entries.empty() || entries[0].array().empty()) {
        co_return StreamId{};
    }
    const auto id = StreamId::parse(entries[0].array()[0].text());
    if (!id) {
        co_return refused("the stream has an entry without an id");
    }
    co_return *id;
}

void PieceSize::learn(const std::vector<EventPtr>& piece) {
    std::size_t total = 0;
    for (const EventPtr& event : piece) {
        total += event->weight();
    }
    if (!piece.empty()) {
        count_ = std::clamp<std::size_t>(bytes * piece.size() / total, 1, most);
    }
}

}  // namespace muster::push

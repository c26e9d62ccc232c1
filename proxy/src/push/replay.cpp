// Following the chain.
#include "push/replay.hpp"

namespace muster::push {

std::vector<EventPtr> Replay::take(std::vector<EventPtr> entries) {
    std::vector<EventPtr> out;
    out.reserve(entries.size());
    for (EventPtr& entry : entries) {
        switch (place_.judge(*entry)) {
            case Place::Step::known:
                continue;
            case Place::Step::gap:
                if (!entry->reset) {  // which says so itself
                    out.push_back(Event::make_reset(entry->previous, place_.at(), "retention"));
                }
                break;
            case Place::Step::next:
                break;
        }
        place_.go(entry->id);
        out.push_back(std::move(entry));
    }
    if (!out.empty()) {
        give_up_.reset();
    }
    return out;
}

Replay::Next Replay::next(bool brought, StreamId live, std::optional<StreamId> newest,
                          TimePoint now) {
    const StreamId at = place_.at();
    if (at == live || (at > live && (brought || !newest || at <= *newest))) {
        return Next::live;
    }
    if (brought) {
        return Next::read;
    }
    if (!give_up_) {
        give_up_ = now + patience;
    }
    return now < *give_up_ ? Next::wait : Next::lost;
}

}  // namespace muster::push

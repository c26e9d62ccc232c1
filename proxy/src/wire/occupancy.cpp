#include "wire/occupancy.hpp"

#include <utility>

namespace muster::wire {

bool Occupancy::take(Place& place, std::string whose, std::uint32_t most) {
    const std::lock_guard lock(mutex_);
    const auto found = places_.try_emplace(whose, 0).first;
    if (most != 0 && found->second >= most)
        return false;
    ++found->second;
    place.in_ = this;
    place.whose_ = std::move(whose);
    return true;
}

Occupancy::Place::~Place() {
    if (in_ == nullptr)
        return;
    const std::lock_guard lock(in_->mutex_);
    const auto found = in_->places_.find(whose_);
    if (--found->second == 0)
        in_->places_.erase(found);
}

}  // namespace muster::wire

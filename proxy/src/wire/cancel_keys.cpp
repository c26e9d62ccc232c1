#include "wire/cancel_keys.hpp"

#include <algorithm>
#include <utility>

#include "wire/bytes.hpp"

namespace muster::wire {

void KeyReader::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        if (skip_ > 0) {
            const auto n = std::min(skip_, bytes.size());
            if (taking_)
                key_.append(bytes.substr(0, n));
            skip_ -= n;
            bytes.remove_prefix(n);
            continue;
        }
        header_[have_++] = bytes.front();
        bytes.remove_prefix(1);
        if (have_ < sizeof header_)
            continue;
        have_ = 0;
        const std::size_t length = read_uint32(header_ + 1);
        skip_ = length < 4 ? 0 : length - 4;
        taking_ = header_[0] == 'K' && skip_ <= max_key;
        if (header_[0] == 'K')
            key_.clear();
    }
}

CancelKeys::Entry::Entry(CancelKeys& keys, std::string key, const Protocol::endpoint& address)
    : keys_(keys) {
    const std::scoped_lock lock(keys_.mutex_);
    entry_ = keys_.addresses_.emplace(std::move(key), address);
}

CancelKeys::Entry::~Entry() {
    const std::scoped_lock lock(keys_.mutex_);
    keys_.addresses_.erase(entry_);
}

std::optional<Protocol::endpoint> CancelKeys::find(std::string_view key) const {
    const std::scoped_lock lock(mutex_);
    const auto found = addresses_.find(std::string(key));
    return found == addresses_.end() ? std::nullopt : std::optional(found->second);
}

std::size_t CancelKeys::size() const {
    const std::scoped_lock lock(mutex_);
    return addresses_.size();
}

}  // namespace muster::wire

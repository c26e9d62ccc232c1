// Ids of stream entries.
#include "redis/stream_id.hpp"

#include <charconv>

namespace muster::redis {

std::optional<StreamId> StreamId::parse(std::string_view text) {
    StreamId id;
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, id.major_part);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-')
        return std::nullopt;
    const auto second = std::from_chars(first.ptr + 1, end, id.n);
    if (second.ec != std::errc() || second.ptr != end)
        return std::nullopt;
    return id;
}

std::string StreamId::text() const {
    return std::to_string(major_part) + "-" + std::to_string(n);
}

}  // namespace muster::redis

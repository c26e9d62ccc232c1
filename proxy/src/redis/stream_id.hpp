// Ids of entries of the stream of events: `(generation * 2^40 + tick)-n`, so that the id of a
// change is known before it is published, and is the same whoever publishes it and however often.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::redis {

struct StreamId {
    static constexpr unsigned tick_bits = 40;
    static constexpr std::uint64_t most_tick = (std::uint64_t{1} << tick_bits) - 1;
    static constexpr std::uint64_t most_generation = (std::uint64_t{1} << (64 - tick_bits)) - 1;

    // `generation` and `tick` within their bounds; `n` counts from 1 within the tick, 0 is a reset.
    static constexpr StreamId of(std::uint64_t generation, std::uint64_t tick, std::uint64_t n) {
        return {(generation << tick_bits) + tick, n};
    }
    // Reads "<major>-<n>" as Redis writes it.
    static std::optional<StreamId> parse(std::string_view text);

    constexpr std::uint64_t generation() const { return major_part >> tick_bits; }
    constexpr std::uint64_t tick() const { return major_part & most_tick; }
    std::string text() const;

    auto operator<=>(const StreamId&) const = default;

    std::uint64_t major_part = 0;  // (`major` is a macro of the C library)
    std::uint64_t n = 0;
};

}  // namespace muster::redis

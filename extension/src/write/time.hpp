// Reading the times of bodies.
#pragma once

#include "pg.hpp"

namespace muster::write {

// Reads a time of RFC 3339 into microseconds since 2000 in UTC: 2026-01-15T21:00:00.123456Z. Also
// allowed, as the API's clients write them: a blank for the T, no seconds, no offset (which is UTC
// then), an offset without its colon, and a date alone. More than six digits of a second are
// rounded. Returns false for anything else, and for what is no time or out of the server's range.
bool parse_time(std::string_view text, int64* microseconds);

}  // namespace muster::write

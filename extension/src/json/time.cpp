// Dates and timestamps. Years 1 to 9999 are written here; everything else (BC, five digits,
// the infinities) by the server's JsonEncodeDateTime().
#include "json/scalar.hpp"

namespace muster::json {
namespace {

// Days and microseconds since 2000-01-01 of 0001-01-01 and 10000-01-01.
constexpr std::int32_t first_day = -730119;
constexpr std::int32_t end_day = 2921940;
constexpr std::int64_t first_microsecond = first_day * INT64CONST(86400000000);
constexpr std::int64_t end_microsecond = end_day * INT64CONST(86400000000);

constexpr std::size_t longest_date_time = 48;

struct Pairs {
    char text[200];
};

// "00" to "99"
constexpr Pairs make_pairs() {
    Pairs pairs{};
    for (int i = 0; i < 100; i++) {
        pairs.text[2 * i] = static_cast<char>('0' + i / 10);
        pairs.text[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return pairs;
}
constexpr Pairs pairs = make_pairs();

char* put_pair(char* to, unsigned value) {
    std::memcpy(to, pairs.text + 2 * value, 2);
    return to + 2;
}

constexpr std::size_t day_length = 10;

// YYYY-MM-DD of a day since 2000-01-01, by the calendar's cycles of 400 years that begin in March.
char* put_new_day(char* to, std::int32_t day) {
    const auto shifted = static_cast<unsigned>(day + 730425);  // since 0000-03-01
    const unsigned era = shifted / 146097;
    const unsigned day_of_era = shifted - era * 146097;
    const unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const unsigned day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned month_from_march = (5 * day_of_year + 2) / 153;
    const unsigned day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    const unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    const unsigned year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    to = put_pair(to, year / 100);
    to = put_pair(to, year % 100);
    *to++ = '-';
    to = put_pair(to, month);
    *to++ = '-';
    return put_pair(to, day_of_month);
}

// The same. Times that stand together are mostly of a few days, so the last ones are kept.
char* put_day(char* to, std::int32_t day) {
    constexpr unsigned most_kept = 16;
    static struct {
        bool used;
        std::int32_t day;
        char text[day_length];
    } kept[most_kept];
    auto& entry = kept[static_cast<unsigned>(day) % most_kept];
    if (!entry.used || entry.day != day) {
        put_new_day(entry.text, day);
        entry.day = day;
        entry.used = true;
    }
    std::memcpy(to, entry.text, day_length);
    return to + day_length;
}

// What the server writes, in quotes.
void put_encoded(Arena& out, Datum value, Oid type) {
    const int utc = 0;
    char text[MAXDATELEN + 1];
    JsonEncodeDateTime(text, value, type, type == TIMESTAMPTZOID ? &utc : nullptr);
    out.put('"');
    out.put(std::string_view(text));
    out.put('"');
}

}  // namespace

void put_date(Arena& out, DateADT value) {
    if (value < first_day || value >= end_day) {
        put_encoded(out, DateADTGetDatum(value), DATEOID);
        return;
    }
    char* to = out.reserve(longest_date_time);
    *to++ = '"';
    to = put_day(to, value);
    *to++ = '"';
    out.commit(to);
}

void put_timestamp(Arena& out, Timestamp value, bool offset) {
    if (value < first_microsecond || value >= end_microsecond) {
        put_encoded(out, TimestampGetDatum(value), offset ? TIMESTAMPTZOID : TIMESTAMPOID);
        return;
    }
    // Counted from 0001-01-01, so that nothing is negative.
    const auto since = static_cast<std::uint64_t>(value - first_microsecond);
    const std::uint64_t day = since / 86400000000;
    const std::uint64_t in_day = since - day * 86400000000;
    const auto second = static_cast<unsigned>(in_day / 1000000);
    unsigned fraction = static_cast<unsigned>(in_day % 1000000);

    char* to = out.reserve(longest_date_time);
    *to++ = '"';
    to = put_day(to, static_cast<std::int32_t>(day) + first_day);
    *to++ = 'T';
    to = put_pair(to, second / 3600);
    *to++ = ':';
    to = put_pair(to, second / 60 % 60);
    *to++ = ':';
    to = put_pair(to, second % 60);
    if (fraction != 0) {
        *to++ = '.';
        to = put_pair(to, fraction / 10000);
        to = put_pair(to, fraction / 100 % 100);
        to = put_pair(to, fraction % 100);
        while (to[-1] == '0') {
            to--;
        }
    }
    if (offset) {
        std::memcpy(to, "+00:00", 6);
        to += 6;
    }
    *to++ = '"';
    out.commit(to);
}

}  // namespace muster::json

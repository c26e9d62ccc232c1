// A parser of its own, because timestamptz's takes "tomorrow" and names no member when it fails.
#include "write/time.hpp"

extern "C" {
#include "datatype/timestamp.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"
}

namespace muster::write {
namespace {

// What is left to read.
struct Reader {
    const char* at;
    const char* end;

    bool done() const { return at == end; }

    bool take(char wanted) {
        if (done() || *at != wanted) {
            return false;
        }
        at++;
        return true;
    }

    // Reads exactly that many digits as a number up to a highest one.
    bool number(int digits, int lowest, int highest, int* value) {
        if (end - at < digits) {
            return false;
        }
        *value = 0;
        for (int i = 0; i < digits; i++, at++) {
            if (*at < '0' || *at > '9') {
                return false;
            }
            *value = *value * 10 + (*at - '0');
        }
        return *value >= lowest && *value <= highest;
    }

    // Reads the digits behind a second's point, at least one.
    bool fraction(int* microseconds) {
        const char* start = at;
        int64 value = 0;
        int64 scale = 10 * USECS_PER_SEC;  // of the next digit, in tenths of a microsecond
        for (; !done() && *at >= '0' && *at <= '9'; at++) {
            scale /= 10;
            value += (*at - '0') * scale;
        }
        *microseconds = static_cast<int>((value + 5) / 10);
        return at > start;
    }
};

bool read_date(Reader& in, int* days) {
    int year;
    int month;
    int day;
    if (!in.number(4, 1, 9999, &year) || !in.take('-') || !in.number(2, 1, 12, &month) ||
        !in.take('-') || !in.number(2, 1, 31, &day) || day > day_tab[isleap(year)][month - 1]) {
        return false;
    }
    *days = date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
    return true;
}

// A leap second counts as the first second of the next minute, as timestamptz has it.
bool read_clock(Reader& in, int64* microseconds) {
    int hour;
    int minute;
    int second = 0;
    int fraction = 0;
    if (!in.number(2, 0, 23, &hour) || !in.take(':') || !in.number(2, 0, 59, &minute)) {
        return false;
    }
    if (in.take(':')) {
        if (!in.number(2, 0, 60, &second) || (in.take('.') && !in.fraction(&fraction))) {
            return false;
        }
    }
    *microseconds =
        hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE + second * USECS_PER_SEC + fraction;
    return true;
}

// The offset from UTC, which is none if nothing is left.
bool read_offset(Reader& in, int64* microseconds) {
    *microseconds = 0;
    if (in.done() || in.take('Z') || in.take('z')) {
        return true;
    }
    const bool west = in.take('-');
    int hours;
    int minutes;
    if ((!west && !in.take('+')) || !in.number(2, 0, 23, &hours)) {
        return false;
    }
    in.take(':');
    if (!in.number(2, 0, 59, &minutes)) {
        return false;
    }
    *microseconds = (hours * USECS_PER_HOUR + minutes * USECS_PER_MINUTE) * (west ? -1 : 1);
    return true;
}

}  // namespace

bool parse_time(std::string_view text, int64* microseconds) {
    Reader in = {text.data(), text.data() + text.size()};
    int days;
    int64 clock = 0;
    int64 offset = 0;
    if (!read_date(in, &days)) {
        return false;
    }
    if (!in.done()) {
        if (!(in.take('T') || in.take('t') || in.take(' ')) || !read_clock(in, &clock) ||
            !read_offset(in, &offset) || !in.done()) {
            return false;
        }
    }
    *microseconds = days * USECS_PER_DAY + clock - offset;
    return IS_VALID_TIMESTAMP(*microseconds);
}

}  // namespace muster::write

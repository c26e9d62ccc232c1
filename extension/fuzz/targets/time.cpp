// Dates and timestamps over the whole range of their bits, beside a calendar that counts years and
// months one by one. What is not of the years 1 to 9999 must be left to the server.
#include "input.hpp"
#include "plain.hpp"
#include "writer.hpp"

using fuzz::Writer;

namespace {

// The types' oids: the server's own way is told which one it is.
constexpr int date_type = 1082;
constexpr int timestamp_type = 1114;
constexpr int timestamptz_type = 1184;

std::string server_text(int type, std::int64_t value, int zone) {
    return std::to_string(type) + " " + std::to_string(value) + " " + std::to_string(zone);
}

void check_date(std::int32_t day) {
    fuzz::expect_both(
        "a date", [&](const Writer& writer) { return writer.date(1, day); },
        "\"" + fuzz::plain_date(day).value_or(server_text(date_type, day, -1)) + "\"");
}

void check_timestamp(std::int64_t value) {
    const auto text = fuzz::plain_timestamp(value);
    fuzz::expect_both(
        "a timestamp", [&](const Writer& writer) { return writer.timestamp(1, value, false); },
        "\"" + text.value_or(server_text(timestamp_type, value, -1)) + "\"");
    fuzz::expect_both(
        "a timestamp in UTC",
        [&](const Writer& writer) { return writer.timestamp(1, value, true); },
        "\"" + (text ? *text + "+00:00" : server_text(timestamptz_type, value, 0)) + "\"");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    // Several of one input, since the writer keeps the last day that it wrote.
    do {
        const auto bits = input.number<std::int64_t>();
        check_timestamp(bits);
        // Of all bits few are years that are written: shift them there, and to their edges.
        constexpr std::int64_t years = 400'000'000'000'000'000;
        check_timestamp(bits % years);
        const auto day = static_cast<std::int32_t>(bits % 4'000'000);
        check_timestamp(day * std::int64_t{86400000000} + input.below(3) - 1);
        check_date(static_cast<std::int32_t>(bits));
        check_date(day);
        // 0001-01-01, 2000-01-01 and 10000-01-01, and what is near
        constexpr std::int32_t edges[] = {-730119, 0, 2921940};
        const std::int32_t edge = edges[input.below(3)] + static_cast<int>(bits & 7) - 4;
        check_date(edge);
        check_timestamp(edge * std::int64_t{86400000000} + static_cast<int>(bits >> 3 & 7) - 4);
    } while (!input.done());
    return 0;
}

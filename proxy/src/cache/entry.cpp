// Entries in Redis.
#include "cache/entry.hpp"

#include <charconv>

namespace muster::cache {
namespace {

constexpr std::string_view format = "1";  // of what follows

std::string_view take_word(std::string_view& line) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

std::optional<std::size_t> number(std::string_view word) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc() && end == word.data() + word.size() ? std::optional(value)
                                                                    : std::nullopt;
}

}  // namespace

std::string Entry::packed() const {
    std::string out;
    out.reserve(body.size() + next.size() + etag.size() + 256);
    out.append(format).append(" ").append(std::to_string(status)).append(" ");
    out.append(snapshot.text()).append(" ");
    out.append(std::to_string(etag.size())).append(" ");
    out.append(std::to_string(next.size())).append("\n");
    return out.append(etag).append(next).append(body);
}

std::optional<Entry> Entry::unpack(std::string_view text) {
    const std::size_t line_end = text.find('\n');
    if (line_end == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view line = text.substr(0, line_end);
    text.remove_prefix(line_end + 1);
    const bool known = take_word(line) == format;
    const auto status = number(take_word(line));
    auto snapshot = Snapshot::parse(take_word(line));
    const auto etag = number(take_word(line));
    const auto next = number(take_word(line));
    if (!known || !status || *status < 200 || *status > 599 || !snapshot || !etag || !next ||
        *etag > text.size() || *next > text.size() - *etag) {
        return std::nullopt;
    }
    Entry entry;
    entry.snapshot = *std::move(snapshot);
    entry.status = static_cast<unsigned>(*status);
    entry.etag = text.substr(0, *etag);
    entry.next = text.substr(*etag, *next);
    entry.body = text.substr(*etag + *next);
    return entry;
}

}  // namespace muster::cache

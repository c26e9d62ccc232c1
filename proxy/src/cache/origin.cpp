// Reading the column.
#include "cache/origin.hpp"

#include <charconv>

namespace muster::cache {
namespace {

// Takes what is before the next '|' off the front of `text`.
std::string_view take_field(std::string_view& text) {
    const std::size_t end = std::min(text.find('|'), text.size());
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return field;
}

}  // namespace

std::optional<Origin> Origin::parse(std::string_view text) {
    Origin origin;
    auto snapshot = Snapshot::parse(take_field(text));
    const std::string_view xid = take_field(text);
    const auto [rest, error] = std::from_chars(xid.data(), xid.data() + xid.size(), origin.xid);
    const std::string_view role = take_field(text);
    if (!snapshot || error != std::errc() || rest != xid.data() + xid.size() ||
        (role != "standby" && role != "primary") || text.empty()) {
        return std::nullopt;
    }
    origin.snapshot = role == "standby" ? snapshot->certain_on_standby() : *std::move(snapshot);
    origin.incarnation = text;
    return origin;
}

}  // namespace muster::cache

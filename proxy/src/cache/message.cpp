// A reader for the few shapes of JSON that these messages have.
#include "cache/message.hpp"

#include <algorithm>
#include <charconv>

namespace muster::cache {
namespace {

class Reader {
  public:
    explicit Reader(std::string_view text) : rest_(text) {}

    bool take(char c) {
        skip_space();
        if (rest_.empty() || rest_.front() != c) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }

    // A member's name and its colon.
    bool name(std::string_view wanted) {
        const auto text = string();
        return text && *text == wanted && take(':');
    }

    std::optional<std::string> string() {
        if (!take('"')) {
            return std::nullopt;
        }
        std::string out;
        while (!rest_.empty()) {
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"') {
                return out;
            }
            if (c != '\\') {
                out += c;
            } else if (!escape(out)) {
                return std::nullopt;
            }
        }
        return std::nullopt;
    }

    std::optional<std::uint64_t> number() {
        skip_space();
        return digits(rest_);
    }

    static std::optional<std::uint64_t> digits(std::string_view& text) {
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc()) {
            return std::nullopt;
        }
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        return value;
    }

    static std::optional<std::uint64_t> all_digits(std::string_view text) {
        const auto value = digits(text);
        return text.empty() ? value : std::nullopt;
    }

  private:
    void skip_space() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) {
            rest_.remove_prefix(1);
        }
    }

    // What follows a backslash. PostgreSQL writes everything outside of ASCII as it is: \u stands
    // for control characters only.
    bool escape(std::string& out) {
        if (rest_.empty()) {
            return false;
        }
        const char c = rest_.front();
        rest_.remove_prefix(1);
        constexpr std::string_view short_forms = "\"\\/bfnrt";
        constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
        if (const auto at = short_forms.find(c); at != std::string_view::npos) {
            out += meant[at];
            return true;
        }
        unsigned code = 0;
        if (c != 'u' || rest_.size() < 4) {
            return false;
        }
        const char* const end = rest_.data() + 4;
        const auto [stop, error] = std::from_chars(rest_.data(), end, code, 16);
        if (error != std::errc() || stop != end || code >= 0x80) {
            return false;
        }
        out += static_cast<char>(code);
        rest_.remove_prefix(4);
        return true;
    }

    std::string_view rest_;
};

}  // namespace

std::string whole_table(std::string_view table_and_colon) {
    return std::string(table_and_colon) + '*';
}

std::optional<Change> Change::parse(std::string_view json) {
    Reader reader(json);
    const auto member = [&](char before, std::string_view name) -> std::optional<std::string> {
        return reader.take(before) && reader.name(name) ? reader.string() : std::nullopt;
    };
    auto id = member('{', "id");
    auto prev_id = id ? member(',', "prev_id") : std::nullopt;
    auto epoch = prev_id ? member(',', "epoch") : std::nullopt;
    const auto xid_text = epoch ? member(',', "xid") : std::nullopt;
    const auto xid = xid_text ? Reader::all_digits(*xid_text) : std::nullopt;
    if (!xid || epoch->empty() || !reader.take(',') || !reader.name("tags") || !reader.take('[')) {
        return std::nullopt;
    }
    Change change{*std::move(id), *std::move(prev_id), *std::move(epoch), *xid, {}};
    if (reader.take(']')) {
        return change;
    }
    do {
        auto tag = reader.string();
        if (!tag) {
            return std::nullopt;
        }
        change.tags.push_back(*std::move(tag));
    } while (reader.take(','));
    return reader.take(']') ? std::optional(std::move(change)) : std::nullopt;
}

bool Change::concerns_whole_table() const {
    if (tags.empty()) {
        return false;
    }
    const std::string row = tags.front() + ':';  // the table's name is always the first tag
    return std::none_of(tags.begin(), tags.end(),
                        [&](const std::string& tag) { return tag.starts_with(row); });
}

std::optional<std::uint64_t> Change::tick_of(std::string_view id) {
    constexpr std::uint64_t most_tick = (std::uint64_t{1} << 40) - 1;  // the generation is above
    const auto position = Reader::all_digits(id.substr(0, id.find('-')));
    return position ? std::optional(*position & most_tick) : std::nullopt;
}

std::optional<Heartbeat> Heartbeat::parse(std::string_view json) {
    Reader reader(json);
    auto epoch = reader.take('{') && reader.name("epoch") ? reader.string() : std::nullopt;
    if (!epoch || epoch->empty() || !reader.take(',') || !reader.name("tick")) {
        return std::nullopt;
    }
    const auto tick = reader.number();
    if (!tick || !reader.take(',') || !reader.name("snapshot")) {
        return std::nullopt;
    }
    const auto text = reader.string();
    auto snapshot = text ? Snapshot::parse(*text) : std::nullopt;
    if (!snapshot) {
        return std::nullopt;
    }
    return Heartbeat{*std::move(epoch), *tick, *std::move(snapshot)};
}

}  // namespace muster::cache

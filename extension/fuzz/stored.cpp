// The layouts are described in the server's utils/jsonb.h and utils/adt/numeric.c. What is put
// together here is not taken apart here.
#include "stored.hpp"

#include <cstdint>
#include <cstring>
#include <map>

#include "json/server.hpp"

namespace fuzz {
namespace {

// Every so many children an entry has an offset; see JB_OFFSET_STRIDE.
constexpr std::size_t stride = 32;

void append16(std::string& bytes, unsigned value) {
    const auto stored = static_cast<std::uint16_t>(value);
    bytes.append(reinterpret_cast<const char*>(&stored), sizeof(stored));
}

void put32(std::string& bytes, std::size_t at, std::uint32_t value) {
    std::memcpy(bytes.data() + at, &value, sizeof(value));
}

void append32(std::string& bytes, std::uint32_t value) {
    bytes.append(sizeof(value), '\0');
    put32(bytes, bytes.size() - sizeof(value), value);
}

void pad(std::string& bytes) {
    bytes.append((4 - bytes.size() % 4) % 4, '\0');
}

// Where the containers begin, of the one jsonb that there is at a time.
const char* begin = nullptr;
std::map<std::size_t, const Value*> containers;

class Builder {
  public:
    explicit Builder(bool short_numbers) : short_numbers_(short_numbers) {}

    void add_root(const Value& value) {
        if (value.kind == Value::Kind::Array || value.kind == Value::Kind::Object) {
            add_container(value);
        } else {
            append32(bytes, 1 | JB_FARRAY | JB_FSCALAR);
            add_children({&value});
        }
    }

    std::string bytes;

  private:
    void add_container(const Value& value) {
        containers[bytes.size()] = &value;
        std::vector<const Value*> children;
        std::vector<Value> keys;
        for (const std::string& key : value.keys) {
            keys.push_back({Value::Kind::String, key, {}, {}});
        }
        for (const Value& key : keys) {
            children.push_back(&key);
        }
        for (const Value& child : value.children) {
            children.push_back(&child);
        }
        append32(bytes, static_cast<std::uint32_t>(value.children.size()) |
                            (value.kind == Value::Kind::Object ? JB_FOBJECT : JB_FARRAY));
        add_children(children);
    }

    void add_children(const std::vector<const Value*>& children) {
        const std::size_t entries = bytes.size();
        bytes.append(sizeof(JEntry) * children.size(), '\0');
        const std::size_t data = bytes.size();
        for (std::size_t i = 0; i < children.size(); i++) {
            const std::size_t start = bytes.size();
            const std::uint32_t kind = add_child(*children[i]);
            const std::size_t length = i % stride == 0 ? bytes.size() - data : bytes.size() - start;
            put32(
                bytes, entries + sizeof(JEntry) * i,
                static_cast<std::uint32_t>(length) | kind | (i % stride == 0 ? JENTRY_HAS_OFF : 0));
        }
    }

    std::uint32_t add_child(const Value& value) {
        switch (value.kind) {
            case Value::Kind::Null:
                return JENTRY_ISNULL;
            case Value::Kind::False:
                return JENTRY_ISBOOL_FALSE;
            case Value::Kind::True:
                return JENTRY_ISBOOL_TRUE;
            case Value::Kind::String:
                bytes += value.text;
                return JENTRY_ISSTRING;
            case Value::Kind::Number:
                pad(bytes);
                add_numeric(stored_numeric(value.text, false));
                return JENTRY_ISNUMERIC;
            default:
                pad(bytes);
                add_container(value);
                return JENTRY_ISCONTAINER;
        }
    }

    void add_numeric(const std::string& stored) {
        union {
            varattrib_4b whole;
            char bytes[sizeof(varattrib_4b)];
        } header{};
        if (short_numbers_ && stored.size() + VARHDRSZ_SHORT <= VARATT_SHORT_MAX) {
            SET_VARSIZE_SHORT(header.bytes, stored.size() + VARHDRSZ_SHORT);
            bytes.append(header.bytes, VARHDRSZ_SHORT);
        } else {
            SET_VARSIZE(header.bytes, stored.size() + VARHDRSZ);
            bytes.append(header.bytes, VARHDRSZ);
        }
        bytes += stored;
    }

    bool short_numbers_;
};

}  // namespace

std::string stored_numeric(const std::string& decimal, bool long_form) {
    const bool has_sign = decimal[0] == '-';
    const std::size_t point = std::min(decimal.find('.'), decimal.size());
    std::string whole = decimal.substr(has_sign ? 1 : 0, point - (has_sign ? 1 : 0));
    std::string fraction = decimal.substr(std::min(point + 1, decimal.size()));
    const auto scale = static_cast<unsigned>(fraction.size());
    whole.insert(0, (4 - whole.size() % 4) % 4, '0');
    fraction.append((4 - fraction.size() % 4) % 4, '0');

    std::string groups;
    int weight = static_cast<int>(whole.size() / 4) - 1;
    bool leading = true;
    std::size_t kept = 0;
    const std::string digits = whole + fraction;
    for (std::size_t i = 0; i < digits.size(); i += 4) {
        const auto group = static_cast<unsigned>(std::stoul(digits.substr(i, 4)));
        if (leading && group == 0) {
            weight--;
            continue;
        }
        leading = false;
        append16(groups, group);
        kept = group != 0 ? groups.size() : kept;
    }
    groups.resize(kept);
    const bool is_zero = groups.empty();
    if (is_zero) {
        weight = 0;
    }
    const bool negative = has_sign && !is_zero;

    std::string stored;
    if (!long_form && scale <= 63 && weight >= -64 && weight <= 63) {
        append16(stored, 0x8000U | (negative ? 0x2000U : 0) | scale << 7 |
                             (weight < 0 ? 0x0040U : 0) | (static_cast<unsigned>(weight) & 0x3F));
    } else {
        append16(stored, (negative ? 0x4000U : 0) | scale);
        append16(stored, static_cast<unsigned>(weight));
    }
    return stored + groups;
}

StoredJsonb::StoredJsonb(const Value& value, unsigned misalignment, bool short_numbers) {
    containers.clear();
    Builder builder(short_numbers);
    builder.add_root(value);
    memory_ = std::make_unique<char[]>(builder.bytes.size() + misalignment);
    container_ = memory_.get() + misalignment;
    std::memcpy(container_, builder.bytes.data(), builder.bytes.size());
    begin = container_;
}

StoredJsonb::~StoredJsonb() {
    begin = nullptr;
}

const std::string* text_of_stored(const void* container) {
    static std::string text;
    const auto found =
        containers.find(static_cast<std::size_t>(static_cast<const char*>(container) - begin));
    if (begin == nullptr || found == containers.end()) {
        return nullptr;
    }
    text = plain_json(*found->second);
    return &text;
}

}  // namespace fuzz

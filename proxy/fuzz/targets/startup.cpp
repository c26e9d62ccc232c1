// wire::startup::parse says of a packet what the protocol's documentation does, and looks at
// nothing behind it.
#include "wire/startup.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "expect.hpp"
#include "input.hpp"
#include "wire/bytes.hpp"

using muster::wire::startup::Kind;
using muster::wire::startup::Packet;
using muster::wire::startup::parse;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// The parameters of a startup message's body, false if it is none.
bool plain_options(std::string body, Pairs& pairs) {
    std::vector<std::string> strings(1);
    if (body.empty() || body.back() != '\0')
        return false;
    body.pop_back();  // the terminator; what it closes is pairs of strings closed themselves
    for (const char c : body) {
        if (c == '\0')
            strings.emplace_back();
        else
            strings.back().push_back(c);
    }
    if (!strings.back().empty() || strings.size() % 2 == 0)
        return false;
    for (std::size_t i = 0; i + 1 < strings.size(); i += 2) {
        if (strings[i].empty())
            return false;
        pairs.emplace_back(strings[i], strings[i + 1]);
    }
    return true;
}

std::uint64_t plain_number(const std::string& bytes, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = at; i < at + 4; ++i)
        value = value * 256 + static_cast<unsigned char>(bytes[i]);
    return value;
}

Kind plain_kind(const std::string& bytes, Pairs& pairs) {
    if (bytes.size() < 4)
        return Kind::incomplete;
    const auto length = plain_number(bytes, 0);
    if (length < 8 || length > 10000)
        return Kind::malformed;
    if (bytes.size() < length)
        return Kind::incomplete;
    const auto code = plain_number(bytes, 4);
    if (code == 80877103 || code == 80877104) {
        if (length != 8)
            return Kind::malformed;
        return code == 80877103 ? Kind::ssl_request : Kind::gssenc_request;
    }
    if (code == 80877102)
        return length >= 16 && length <= 268 ? Kind::cancel : Kind::malformed;
    if (code / 65536 != 3)
        return Kind::unsupported;
    return plain_options(bytes.substr(8, length - 8), pairs) ? Kind::startup : Kind::malformed;
}

// Packets that are nearly right.
std::string make_packet(fuzz::Input& input) {
    static constexpr std::uint32_t codes[] = {3u << 16, (3u << 16) + 2, 80877102,
                                              80877103, 80877104,       2u << 16};
    std::string packet;
    const unsigned code = input.below(8);
    const unsigned more = input.below(8);  // than there is, in a few
    std::string body = input.below(4) == 0 ? std::string(input.below(10100), 'x') : std::string();
    body += input.rest();
    muster::wire::append_uint32(packet,
                                static_cast<std::uint32_t>(body.size() + 8 - (more > 5 ? 1 : 0)));
    muster::wire::append_uint32(packet, code < 6 ? codes[code] : codes[0]);
    return packet + body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::string bytes = input.below(2) == 0 ? input.rest() : make_packet(input);
    const fuzz::Exactly exact(bytes);
    Pairs pairs;
    const Kind kind = plain_kind(bytes, pairs);
    const Packet packet = parse(exact.view());
    fuzz::expect(packet.kind == kind, "the kind of a packet");

    if (kind == Kind::malformed)
        fuzz::expect(*packet.mistake != '\0', "a malformed packet says what is wrong with it");
    if (kind == Kind::malformed || kind == Kind::incomplete)
        return 0;
    fuzz::expect(packet.length == plain_number(bytes, 0), "a packet's length");
    fuzz::expect(packet.major * 65536u + packet.minor == plain_number(bytes, 4), "its version");
    for (const std::size_t less : {std::size_t{1}, packet.length / 2, packet.length}) {
        const fuzz::Exactly part(std::string_view(bytes).substr(0, packet.length - less));
        fuzz::expect(parse(part.view()).kind == Kind::incomplete, "less than a packet is none yet");
    }
    const fuzz::Exactly alone(std::string_view(bytes).substr(0, packet.length));
    fuzz::expect(parse(alone.view()).kind == kind, "what comes behind a packet is none of it");
    for (const auto& [name, value] : pairs) {
        std::string first;
        for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair) {
            if (pair->first == name)
                first = pair->second;
        }
        fuzz::expect(packet.parameter(name) == first, "a parameter's value");
    }
    fuzz::expect(packet.parameter("").empty(), "the terminator is no parameter");
    return 0;
}

// wire::proxy_protocol::parse finds the header that was written, wherever the bytes end, and judges
// no further than it has seen.
#include "wire/proxy_protocol.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "expect.hpp"
#include "input.hpp"

using muster::wire::proxy_protocol::Header;
using muster::wire::proxy_protocol::Kind;
using muster::wire::proxy_protocol::max_length;
using muster::wire::proxy_protocol::parse;
namespace ip = boost::asio::ip;

namespace {

// A header that is right, and whose client it tells.
struct Written {
    std::string bytes;
    std::optional<ip::address> client;
};

template <class Address>
Address make_address(fuzz::Input& input) {
    typename Address::bytes_type raw{};
    for (auto& byte : raw)
        byte = input.number<std::uint8_t>();
    return Address(raw);
}

// Of IPv6 none that stands for one of IPv4.
ip::address_v6 make_v6(fuzz::Input& input) {
    const auto address = make_address<ip::address_v6>(input);
    return address.is_v4_mapped() ? ip::address_v6::loopback() : address;
}

Written line(fuzz::Input& input) {
    const unsigned kind = input.below(3);
    if (kind == 0)
        return {"PROXY UNKNOWN" + std::string(input.below(80), ' ') + "\r\n", {}};
    const auto port = [&] { return std::to_string(input.number<std::uint16_t>()); };
    std::array<ip::address, 2> ends;
    for (auto& end : ends)
        end = kind == 1 ? ip::address(make_address<ip::address_v4>(input)) : make_v6(input);
    return {(kind == 1 ? "PROXY TCP4 " : "PROXY TCP6 ") + ends[0].to_string() + ' ' +
                ends[1].to_string() + ' ' + port() + ' ' + port() + "\r\n",
            ends[0]};
}

Written binary(fuzz::Input& input) {
    static constexpr std::array<unsigned char, 4> families{0x00, 0x11, 0x21, 0x31};
    static constexpr std::array<std::size_t, 4> sizes{0, 12, 36, 216};
    const unsigned family = input.below(4);
    const bool local = input.below(4) == 0;
    const auto v4 = make_address<ip::address_v4>(input);
    const auto v6 = make_v6(input);
    const auto bytes_4 = v4.to_bytes();
    const auto bytes_6 = v6.to_bytes();
    std::string addresses;
    if (family == 1)
        addresses.assign(bytes_4.begin(), bytes_4.end());
    if (family == 2)
        addresses.assign(bytes_6.begin(), bytes_6.end());
    addresses.resize(sizes[family], 'x');
    addresses.append(input.below(3000), 'y');
    Written written{std::string("\r\n\r\n\0\r\nQUIT\n", 12), {}};
    written.bytes += local ? '\x20' : '\x21';
    written.bytes += static_cast<char>(families[family]);
    written.bytes += static_cast<char>(addresses.size() >> 8);
    written.bytes += static_cast<char>(addresses.size() & 0xff);
    written.bytes += addresses;
    if (!local && family == 1)
        written.client = v4;
    if (!local && family == 2)
        written.client = v6;
    return written;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const unsigned what = input.below(3);
    const Written written = what == 0 ? Written{} : what == 1 ? line(input) : binary(input);
    const std::string bytes = written.bytes + input.rest();
    const fuzz::Exactly exact(bytes);
    const Header header = parse(exact.view());
    if (what != 0) {
        fuzz::expect(header.kind == Kind::header, "a header is found");
        fuzz::expect(header.length == written.bytes.size(), "its length");
        fuzz::expect(header.client == written.client, "its client");
    }
    fuzz::expect(header.kind != Kind::incomplete || bytes.size() < max_length,
                 "what is too long is not waited for");
    fuzz::expect(header.kind != Kind::header || header.length <= bytes.size(),
                 "a header is there as a whole");

    // What has been said of a beginning is not taken back.
    Kind before = Kind::incomplete;
    const std::size_t steps = bytes.size() < 64 ? 1 : bytes.size() / 64;
    for (std::size_t n = 0; n <= bytes.size(); n += steps) {
        const fuzz::Exactly part(std::string_view(bytes).substr(0, n));
        const Header seen = parse(part.view());
        fuzz::expect(before == Kind::incomplete || seen.kind == before, "a judgement that stays");
        if (header.kind == Kind::header)
            fuzz::expect((seen.kind == Kind::header) == (n >= header.length),
                         "a header begins to be one with its last byte");
        if (seen.kind == Kind::header)
            fuzz::expect(seen.length == header.length && seen.client == header.client,
                         "what comes behind a header is none of it");
        before = seen.kind;
    }
    return 0;
}

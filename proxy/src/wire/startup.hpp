// The first packets of a PostgreSQL connection, as a pure parser: they have a length but no type.
//
// A client may ask for encryption (SSLRequest, GSSENCRequest, in either order, each at most once)
// before it sends its startup message; a CancelRequest is a connection of its own. Reference:
// "Message Formats" in PostgreSQL's documentation, and ProcessStartupPacket() in postmaster.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace muster::wire::startup {

// PostgreSQL refuses longer ones (MAX_STARTUP_PACKET_LENGTH), and nothing shorter has a code.
inline constexpr std::size_t min_length = 8;
inline constexpr std::size_t max_length = 10000;

// A whole SSLRequest.
inline constexpr std::string_view tls_request{"\0\0\0\x08\x04\xd2\x16\x2f", 8};

// What a connection begins with that speaks TLS without asking for it (sslnegotiation=direct).
inline constexpr char tls_handshake = 0x16;

enum class Kind {
    incomplete,  // well-formed so far, more bytes are needed
    startup,
    cancel,
    ssl_request,
    gssenc_request,
    unsupported,  // a protocol this door does not speak
    malformed,
};

// A view into the bytes given to parse(). `length` and what follows are set for complete packets.
struct Packet {
    Kind kind = Kind::incomplete;
    std::size_t length = 0;   // of the whole packet, length word included
    std::uint16_t major = 0;  // protocol version asked for
    std::uint16_t minor = 0;
    std::string_view options;  // name NUL value NUL ... of a startup message
    const char* mistake = "";  // of a malformed packet

    // Value of the startup parameter of this name, empty when it was not given.
    std::string_view parameter(std::string_view name) const;
};

// What a whole cancel request says of its session: its BackendKeyData's body.
inline std::string_view cancel_key(std::string_view packet) {
    return packet.substr(8);
}

// Reads the packet at the start of `bytes`; what comes behind it is not looked at.
Packet parse(std::string_view bytes);

}  // namespace muster::wire::startup

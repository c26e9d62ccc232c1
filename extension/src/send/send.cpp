#include "send/send.hpp"

#include <cerrno>

namespace muster::send {
namespace {

bool send_whole = true;  // muster.send_whole

#if PG_VERSION_NUM < 170000

// Of what is smaller, one more copy costs less than one more call.
constexpr std::size_t large = 64 * 1024;

// The type and the length, which counts itself.
constexpr std::size_t header_size = 5;

// What goes with the header in one piece, so that it does not go in a packet of its own.
constexpr std::size_t first_piece = 8 * 1024;

// The table that ours stands in for. It is taken to write to MyProcPort, as the server's does.
const PQcommMethods* servers;

// Sends `size` bytes, waiting as long as the client takes for it. What happens when it is gone is
// what the server's internal_flush() does: it is logged once, and the session ends at the next
// occasion.
bool write_all(char* data, std::size_t size) {
    while (size > 0) {
        const ssize_t sent = secure_write(MyProcPort, data, size);
        if (sent > 0) {
            data += sent;
            size -= static_cast<std::size_t>(sent);
        } else if (errno != EINTR) {
            if (!ClientConnectionLost) {
                const char* reason = strerror(errno);
                ereport(COMMERROR, (errcode_for_socket_access(),
                                    errmsg("could not send data to client: %s", reason)));
            }
            ClientConnectionLost = 1;
            InterruptPending = 1;
            return false;
        }
    }
    return true;
}

int put_message(char type, const char* body, std::size_t size) {
    constexpr char data_row = 'D';
    if (type != data_row || size < large || !send_whole) {
        return servers->putmessage(type, body, size);
    }
    // What the server has not sent yet comes before it. This makes the socket wait for us, too.
    if (servers->flush() != 0) {
        return EOF;
    }
    char piece[first_piece];
    const std::uint32_t length = pg_hton32(static_cast<std::uint32_t>(size + 4));
    piece[0] = type;
    std::memcpy(piece + 1, &length, sizeof length);
    std::memcpy(piece + header_size, body, first_piece - header_size);
    constexpr std::size_t begun = first_piece - header_size;
    const bool sent =
        write_all(piece, first_piece) && write_all(const_cast<char*>(body) + begun, size - begun);
    return sent ? 0 : EOF;
}

#endif

}  // namespace

void init() {
    DefineCustomBoolVariable(
        "muster.send_whole",
        "Whether a session that has made large documents sends large rows whole.",
        "Otherwise PostgreSQL up to 16 sends them in pieces of 8 kB; from 17 on it does so itself.",
        &send_whole, send_whole, PGC_SUSET, 0, nullptr, nullptr, nullptr);
}

void expect_row(std::size_t size) {
#if PG_VERSION_NUM < 170000
    static PQcommMethods ours;
    if (servers != nullptr || size < large || !send_whole || MyProcPort == nullptr ||
        whereToSendOutput != DestRemote) {
        return;
    }
    servers = PqCommMethods;
    ours = *servers;
    ours.putmessage = put_message;
    PqCommMethods = &ours;
#else
    (void)size;
#endif
}

}  // namespace muster::send

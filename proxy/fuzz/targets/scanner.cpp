// wire::Scanner finds the same messages however the stream is cut, and those that are there.
#include "wire/scanner.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "expect.hpp"
#include "input.hpp"

using muster::wire::MessageStart;
using muster::wire::Scanner;

namespace {

// A message, and how much of the stream it takes to know of it.
struct Announced {
    MessageStart message;
    std::size_t at;
};

// What is in a stream that lies there as a whole.
struct Plain {
    std::vector<Announced> messages;
    std::vector<bool> boundaries;                     // by offset
    std::size_t lost = static_cast<std::size_t>(-1);  // the offset from which on it is out of step
};

Plain plain_scan(const std::string& stream) {
    Plain plain;
    plain.boundaries.resize(stream.size() + 1);
    std::size_t at = 0;
    for (;;) {
        plain.boundaries[at] = true;
        if (stream.size() - at < 5)
            break;
        std::uint64_t length = 0;
        for (std::size_t i = 1; i <= 4; ++i)
            length = length * 256 + static_cast<unsigned char>(stream[at + i]);
        if (length < 4 || length >= 0x80000000) {
            plain.lost = at + 5;
            break;
        }
        const bool empty = length == 4;
        if (!empty && stream.size() - at < 6)
            break;
        plain.messages.push_back(
            {{stream[at], length - 4, empty ? '\0' : stream[at + 5]}, at + (empty ? 5 : 6)});
        if (stream.size() - at < 1 + length)
            break;
        at += 1 + length;
    }
    return plain;
}

// Where the message behind the first `found` of them begins.
std::size_t plain_start(const Plain& plain, std::size_t found) {
    if (found == 0)
        return 0;
    const Announced& last = plain.messages[found - 1];
    return last.at - (last.message.body > 0 ? 1 : 0) + last.message.body;
}

// Messages whose lengths are right, but for a few.
std::string make_stream(fuzz::Input& input) {
    std::string stream;
    while (!input.done() && stream.size() < 8192) {
        stream.push_back(static_cast<char>(input.number<std::uint8_t>()));
        const unsigned kind = input.below(16);
        const unsigned body = kind == 0 ? 0 : input.below(kind < 14 ? 20 : 3000);
        muster::wire::append_uint32(stream, kind == 15 ? input.number<std::uint32_t>() : body + 4);
        stream += input.take(body);
    }
    return stream;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const bool as_it_is = input.below(2) == 0;
    std::uint32_t cuts = input.number<std::uint32_t>();
    const unsigned longest = 1 + input.below(256);
    const unsigned held = input.below(256);  // one type in four is let pass the second time only
    const std::string stream = as_it_is ? input.rest() : make_stream(input);
    const Plain plain = plain_scan(stream);

    Scanner scanner;
    std::size_t at = 0, found = 0;
    std::string body;        // what was handed out of the last message's
    bool held_once = false;  // the message that comes next
    while (at < stream.size()) {
        cuts = cuts * 1664525 + 1013904223;
        const std::size_t n = std::min<std::size_t>(1 + (cuts >> 16) % longest, stream.size() - at);
        const fuzz::Exactly chunk(std::string_view(stream).substr(at, n));
        bool stopped = false;
        const std::size_t passed = scanner.feed(
            chunk.view(),
            [&](const MessageStart& message) {
                fuzz::expect(found < plain.messages.size(),
                             "a message is one of those in the stream");
                const Announced& next = plain.messages[found++];
                fuzz::expect(message.type == next.message.type, "a message's type");
                fuzz::expect(message.body == next.message.body, "a message's length");
                fuzz::expect(message.first == next.message.first, "a message's first byte");
                fuzz::expect(next.at <= at + n, "a message is announced when it is known");
                body = message.head;
            },
            [&](std::string_view more) {
                fuzz::expect(!more.empty(), "a piece has something in it");
                body += more;
            },
            [&](char type) {
                fuzz::expect(!stopped, "nothing is asked about behind what is held");
                fuzz::expect(type == stream[plain_start(plain, found)],
                             "the type of the message that comes next");
                stopped = !held_once && (static_cast<unsigned char>(type) ^ held) % 4 == 0;
                held_once = stopped;
                return !stopped;
            });
        const std::size_t end = at + n;
        at += passed;
        fuzz::expect(stopped ? passed < n : passed == n || !scanner.in_step(),
                     "a chunk is taken up to what is held");
        if (stopped)
            fuzz::expect(scanner.at_boundary() && plain.boundaries[at],
                         "what is held lies behind a boundary");
        fuzz::expect(scanner.in_step() == (stopped || end < plain.lost),
                     "a wrong length is noticed with its last byte");
        if (!scanner.in_step())
            break;
        fuzz::expect(found == plain.messages.size() || plain.messages[found].at > at,
                     "a message is announced as soon as it is known");
        fuzz::expect(scanner.at_boundary() == plain.boundaries[at],
                     "a boundary lies between messages only");
        if (found > 0) {
            const Announced& last = plain.messages[found - 1];
            const std::size_t begin = last.at - (last.message.body > 0 ? 1 : 0);
            fuzz::expect(body == stream.substr(begin, std::min(last.message.body, at - begin)),
                         "the body, piece by piece");
        }
    }
    return 0;
}

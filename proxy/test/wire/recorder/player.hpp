// Plays a conversation with a server and records what it answers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "servers/postgres.hpp"
#include "wire/recorder/masks.hpp"
#include "wire/recorder/script.hpp"

namespace muster::test {

// What one session received, masked: bytes that are no messages, messages, the end of the stream.
struct Received {
    std::string type;  // "byte", "end", a message's name
    std::string body;
    bool operator==(const Received&) const = default;
};

using Recording = std::map<std::string, std::vector<Received>>;  // by session

// Talks to 127.0.0.1:`port`; `control` is the server behind. Every wait ends after 60 s. Throws
// std::runtime_error that names the line if something is awaited or expected in vain.
Recording play(const std::vector<Command>& script, unsigned short port,
               const PostgresServer& control);

// Whether the script is to be played through pgbouncer too.
bool only_postgres(const std::vector<Command>& script);

// The first difference, for people; "" if there is none.
std::string difference(const Recording& direct, const Recording& proxied);

}  // namespace muster::test

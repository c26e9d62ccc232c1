// A libpq connection string taken apart: what to connect to, in which order, with which settings.
//
// PQconnectPoll never blocks except to look up a name, and never leaves a host that does not answer
// for the next one in the list. So names are looked up here, and each address is a target of its
// own.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/asio.hpp"
#include "runtime/result.hpp"

namespace muster::postgres {

struct Error;

// One place to connect to. `address` is an IP literal, or empty for a Unix socket directory in
// `host` and for libpq's default.
struct Target {
    std::string host;
    std::string address;
    std::string port;
};

struct Conninfo {
    std::vector<Target>
        hosts;  // as written: one per host of the list; `address` only if hostaddr was
    std::vector<std::pair<std::string, std::string>> settings;  // all other keywords
};

// Parses keywords or a URI. The error does not repeat the string: it may hold a password.
Result<Conninfo, Error> parse_conninfo(const std::string& conninfo);

// Looks up the hosts that are names: every address of every host, in order, until `deadline`. Hosts
// that cannot be resolved are left out; it is an error when none is left.
Task<Result<std::vector<Target>, Error>> resolve(const std::vector<Target>& hosts,
                                                 TimePoint deadline);

}  // namespace muster::postgres

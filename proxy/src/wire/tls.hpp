// What the door's TLS is configured to be: certificates of our own, and trust in the upstream's.
#pragma once

#include <memory>
#include <string>

#include <openssl/ssl.h>

#include "config/config.hpp"
#include "runtime/result.hpp"

namespace muster::wire::tls {

using Context = std::shared_ptr<SSL_CTX>;

// Of both legs; null where the settings have no TLS. A session keeps the one that it began with.
struct Contexts {
    Context clients;
    Context upstream;
};

// Reads the files that `settings` name. The error says what is wrong with them.
Result<Contexts, std::string> load(const config::Wire& settings);

// OpenSSL's reason for what has just failed on this thread, and for a failed handshake.
std::string openssl_error();
std::string handshake_error(const SSL& ssl);

}  // namespace muster::wire::tls

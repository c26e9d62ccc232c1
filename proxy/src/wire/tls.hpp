// What the door's TLS is configured to be: certificates of our own, and trust in the upstream's.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <openssl/ssl.h>

#include "config/config.hpp"

namespace muster::wire::tls {

using Context = std::shared_ptr<SSL_CTX>;

// The contexts of both legs, shared by all threads. A session keeps the one that it began with.
class Contexts {
  public:
    // Reads the files that `settings` name. Returns what is wrong with them, and then goes on with
    // those read before.
    std::optional<std::string> load(const config::Wire& settings);

    // Null where the settings have no TLS.
    Context for_clients() const;
    Context for_upstream() const;

  private:
    mutable std::mutex mutex_;
    Context clients_;
    Context upstream_;
};

// OpenSSL's reason for what has just failed on this thread, and for a failed handshake.
std::string openssl_error();
std::string handshake_error(const SSL& ssl);

}  // namespace muster::wire::tls

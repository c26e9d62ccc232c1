// Certificates for tests, and a client that speaks TLS without libpq.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

#include "servers/process.hpp"
#include "wire/door.hpp"

namespace muster::test {

// A self-signed certificate with its key in PEM files, readable by the server user.
class Certificate {
  public:
    // For this host name.
    explicit Certificate(std::string name);

    const std::string& name() const { return name_; }
    std::string file() const { return (sandbox_.path() / "cert.pem").string(); }
    std::string key_file() const { return (sandbox_.path() / "key.pem").string(); }

  private:
    Sandbox sandbox_;
    std::string name_;
};

// A blocking client that trusts whatever certificate it sees.
class TlsClient {
  public:
    enum class Begin { by_request, at_once };

    // Throws if there is no agreement on TLS. `protocol` is offered by ALPN, if not empty; `before`
    // is sent first, without TLS.
    TlsClient(unsigned short port, Begin begin, const std::string& protocol = "",
              std::string_view before = "");

    void send(std::string_view bytes);
    std::string receive_all();

  private:
    RawClient socket_;
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

}  // namespace muster::test

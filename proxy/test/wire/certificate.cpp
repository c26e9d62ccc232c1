#include "wire/certificate.hpp"

#include <csignal>
#include <stdexcept>
#include <utility>

#include "wire/startup.hpp"

namespace muster::test {

Certificate::Certificate(std::string name) : name_(std::move(name)) {
    run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=" + name_,
                 "-addext", "subjectAltName=DNS:" + name_, "-keyout", key_file(), "-out", file()},
                sandbox_.path() / "openssl.log");
}

TlsClient::TlsClient(unsigned short port, Begin begin, const std::string& protocol,
                     std::string_view before)
    : socket_(port),
      context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free),
      ssl_(SSL_new(context_.get()), &SSL_free) {
    socket_.send(before);
    if (begin == Begin::by_request) {
        socket_.send(wire::startup::tls_request);
        if (socket_.receive(1) != "S")
            throw std::runtime_error("TLS was declined");
    }
    if (!protocol.empty()) {
        const auto offered = static_cast<char>(protocol.size()) + protocol;
        SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(offered.data()),
                            static_cast<unsigned>(offered.size()));
    }
    SSL_set_fd(ssl_.get(), socket_.descriptor());
    if (SSL_connect(ssl_.get()) != 1)
        throw std::runtime_error("TLS failed");
}

void TlsClient::send(std::string_view bytes) {
    if (SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) <= 0)
        throw std::runtime_error("cannot write in TLS");
}

std::string TlsClient::receive_all() {
    std::string bytes;
    char chunk[4096];
    for (int n; (n = SSL_read(ssl_.get(), chunk, sizeof chunk)) > 0;)
        bytes.append(chunk, static_cast<std::size_t>(n));
    return bytes;
}

}  // namespace muster::test

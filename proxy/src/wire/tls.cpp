#include "wire/tls.hpp"

#include <cstring>
#include <optional>
#include <utility>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

namespace muster::wire::tls {
namespace {

Context make(const SSL_METHOD* method) {
    Context context(SSL_CTX_new(method), &SSL_CTX_free);
    if (!context)
        return context;
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    // As PostgreSQL has it: no compression, no renegotiation, nothing that resumes a session. A
    // peer that closes without TLS's goodbye cuts no message short unnoticed: they have lengths.
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_mode(context.get(), SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS |
                                        SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

// PostgreSQL's name in ALPN, preceded by its length as OpenSSL wants it.
constexpr unsigned char protocols[] = "\012postgresql";
constexpr unsigned protocols_length = sizeof protocols - 1;

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* length,
                    const unsigned char* offered, unsigned offered_length, void*) {
    unsigned char* found = nullptr;
    const int outcome =
        SSL_select_next_proto(&found, length, protocols, protocols_length, offered, offered_length);
    *chosen = found;
    return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// A key that asks for a passphrase is of no use to a server: nobody is there to type it.
int no_passphrase(char*, int, int, void*) {
    return 0;
}

std::string of_file(const char* setting, const std::string& file) {
    return std::string("wire.") + setting + ": cannot use \"" + file + "\": " + openssl_error();
}

std::optional<std::string> load_clients(const config::Wire& settings, Context& context) {
    if (settings.tls == "off")
        return std::nullopt;
    context = make(TLS_server_method());
    if (!context)
        return "cannot set TLS up: " + openssl_error();
    SSL_CTX_set_default_passwd_cb(context.get(), &no_passphrase);
    SSL_CTX_set_alpn_select_cb(context.get(), &choose_protocol, nullptr);
    if (SSL_CTX_use_certificate_chain_file(context.get(), settings.tls_cert.c_str()) != 1)
        return of_file("tls_cert", settings.tls_cert);
    if (SSL_CTX_use_PrivateKey_file(context.get(), settings.tls_key.c_str(), SSL_FILETYPE_PEM) !=
            1 ||
        SSL_CTX_check_private_key(context.get()) != 1)
        return of_file("tls_key", settings.tls_key);
    return std::nullopt;
}

std::optional<std::string> load_upstream(const config::Wire& settings, Context& context) {
    if (settings.upstream_tls == "disable" || settings.upstream.host.starts_with('/'))
        return std::nullopt;
    context = make(TLS_client_method());
    if (!context)
        return "cannot set TLS up: " + openssl_error();
    SSL_CTX_set_alpn_protos(context.get(), protocols, protocols_length);
    if (!settings.upstream_tls.starts_with("verify-"))
        return std::nullopt;
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const auto& file = settings.upstream_ca;
    const int loaded = file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                    : SSL_CTX_load_verify_file(context.get(), file.c_str());
    if (loaded != 1)
        return of_file("upstream_ca", file);
    return std::nullopt;
}

}  // namespace

Result<Contexts, std::string> load(const config::Wire& settings) {
    Contexts contexts;
    ERR_clear_error();
    if (auto error = load_clients(settings, contexts.clients))
        return std::move(*error);
    if (auto error = load_upstream(settings, contexts.upstream))
        return std::move(*error);
    return contexts;
}

std::string openssl_error() {
    const auto code = ERR_peek_error();
    if (code == 0)
        return "unknown error";
    // For what the system said, OpenSSL has a number only.
    const char* reason = ERR_SYSTEM_ERROR(code) ? std::strerror(ERR_GET_REASON(code))
                                                : ERR_reason_error_string(code);
    return reason != nullptr ? reason : "error " + std::to_string(code);
}

std::string handshake_error(const SSL& ssl) {
    const auto verdict = SSL_get_verify_result(&ssl);
    if (verdict != X509_V_OK && SSL_get_verify_mode(&ssl) != SSL_VERIFY_NONE)
        return std::string("certificate not accepted: ") + X509_verify_cert_error_string(verdict);
    return ERR_peek_error() == 0 ? std::string() : openssl_error();
}

}  // namespace muster::wire::tls

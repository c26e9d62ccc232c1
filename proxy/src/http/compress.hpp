// Compressed answers (gzip), for clients that take them.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "http/exchange.hpp"

namespace muster::http {

// Whether a header Accept-Encoding takes gzip, and likes it no less than the plain form
// (RFC 9110, 12.5.3).
bool accepts_gzip(std::string_view header);

// As gzip writes it (RFC 1952), at zlib's level 1: it is done between other requests.
std::string gzip(std::string_view text);

// One per thread. Keeps the compressed forms of answers that have an entity tag, which are
// cached ones: each is compressed once as long as it is asked for.
class Compressor {
  public:
    // Bodies of at least `from` bytes; 0: none.
    explicit Compressor(std::size_t from) : from_(from) {}

    // Compresses the body if that is wanted and worth it.
    void apply(const Exchange& exchange, Response& response);

    std::size_t kept_bytes() const { return bytes_; }

  private:
    static constexpr std::size_t most_bytes = 8 * 1024 * 1024;  // kept
    using Text = std::shared_ptr<const std::string>;

    Text compressed(std::string_view etag, std::string_view body);

    const std::size_t from_;
    std::unordered_map<std::string, Text> kept_;  // by entity tag, which is the content's digest
    std::deque<std::string> order_;               // the oldest first
    std::size_t bytes_ = 0;
};

}  // namespace muster::http

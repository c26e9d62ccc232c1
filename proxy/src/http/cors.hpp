// Cross-origin requests: which scripts of browsers may read the answers (Fetch standard, 3.2).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "http/exchange.hpp"

namespace muster::http {

class Cors {
  public:
    // Origins as browsers write them, or "*" alone for all; none: cross-origin requests are left to
    // fail.
    explicit Cors(std::vector<std::string> origins);

    // The answer to a preflight request, which browsers send without a key; nothing for any other.
    std::optional<Response> preflight(const Exchange& exchange) const;

    // Says who may read the answer, and which of its headers. Keys are sent as headers, never as
    // cookies, so that credentials need not be allowed.
    void add_headers(const Exchange& exchange, Response& response) const;

  private:
    bool allows(std::string_view origin) const;

    const std::vector<std::string> origins_;
    const bool all_;
};

}  // namespace muster::http

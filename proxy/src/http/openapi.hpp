// The descriptions of the API, made from the routes: in short, and in OpenAPI 3.1.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "http/exchange.hpp"

namespace muster::http {

// GET /: what this is and what it serves; `live` says that it has live updates.
Response describe_service(const std::vector<config::Route>& routes, bool live);

class OpenApi {
  public:
    explicit OpenApi(const config::Config& config);

    // Answers a GET or HEAD of /openapi.json.
    Response answer(const Exchange& exchange) const;

    const std::string& document() const { return *document_; }

  private:
    std::shared_ptr<const std::string> document_;
    std::string etag_;
};

}  // namespace muster::http

// A Lua script run by its hash, loaded when the server does not know it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "redis/connection.hpp"

namespace muster::redis {

class Script {
  public:
    explicit Script(std::string text) : text_(std::move(text)) {}

    // Runs the script; loads it first if this object never did or the server has forgotten it. An
    // error reply of the script is a Reply. Views must stay valid until the wait is over.
    Task<Outcome<Reply>> run(Connection& connection, std::vector<std::string_view> keys,
                             std::vector<std::string_view> arguments, TimePoint deadline);

  private:
    std::string text_;
    std::string hash_;  // as SCRIPT LOAD said; empty before
};

}  // namespace muster::redis

// Reading proxy.toml and the command line's overrides into a Config.
#pragma once

#include <span>
#include <string>

#include "config/config.hpp"
#include "runtime/result.hpp"

namespace muster::config {

// The first mistake found, and where.
struct Mistake {
    std::string where;  // "proxy.toml:12" or "--set http.listen"
    std::string message;

    std::string text() const { return where + ": " + message; }
};

// Reads `file`, then applies `overrides` ("section.key=value" each). Settings not given keep their
// defaults. Nothing outside the file is looked at: no server, no other file.
Result<Config, Mistake> load(const std::string& file, std::span<const std::string> overrides);

}  // namespace muster::config

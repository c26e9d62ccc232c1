// Files of configuration for the tests: what is accepted of them, and what is refused and why.
#pragma once

#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace muster::test {

using config::Config;
using config::load;

// A proxy.toml in a directory that goes away with it.
class File {
  public:
    explicit File(const std::string& content) {
        std::string pattern = std::filesystem::temp_directory_path() / "muster-config-XXXXXX";
        BOOST_REQUIRE(mkdtemp(pattern.data()) != nullptr);
        directory_ = pattern;
        std::ofstream(path()) << content;
    }
    ~File() {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    std::string path() const { return directory_ / "proxy.toml"; }

  private:
    std::filesystem::path directory_;
};

inline Config accepted(const std::string& content, const std::vector<std::string>& overrides = {}) {
    const File file(content);
    auto config = load(file.path(), overrides);
    if (!config) {
        BOOST_FAIL(config.error().text());
    }
    return std::move(config).value();
}

// Checks that `content` is refused at `line` with a message that holds each of `words`.
inline void refused(const std::string& content, int line, const std::vector<std::string>& words) {
    const File file(content);
    const auto config = load(file.path(), {});
    BOOST_REQUIRE_MESSAGE(!config, "accepted:\n" << content);
    const std::string text = config.error().text();
    BOOST_CHECK_MESSAGE(text.find("proxy.toml:" + std::to_string(line) + ": ") != std::string::npos,
                        text << "\nis not of line " << line);
    for (const std::string& word : words) {
        BOOST_CHECK_MESSAGE(text.find(word) != std::string::npos,
                            text << "\ndoes not mention " << word);
    }
}

inline void override_refused(const std::string& setting, const std::vector<std::string>& words) {
    const File file("threads = 1\n");
    const auto config = load(file.path(), std::vector{setting});
    BOOST_REQUIRE_MESSAGE(!config, "accepted: " << setting);
    for (const std::string& word : words) {
        BOOST_CHECK_MESSAGE(config.error().text().find(word) != std::string::npos,
                            config.error().text() << "\ndoes not mention " << word);
    }
}

inline std::string route(const std::string& lines) {
    return "[[route]]\n" + lines;
}

}  // namespace muster::test

// The file that tells operators which process serves, also after one has replaced another.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include <spdlog/spdlog.h>

namespace muster {

class PidFile {
  public:
    // Writes the file, in place of that of the process before; empty: none.
    explicit PidFile(std::string path) : path_(std::move(path)) {
        if (path_.empty()) {
            return;
        }
        const std::string fresh = path_ + ".new";  // so that no reader finds it half written
        std::ofstream(fresh) << ::getpid() << '\n';
        std::error_code ec;
        std::filesystem::rename(fresh, path_, ec);
        if (ec) {
            spdlog::warn("cannot write {}: {}", path_, ec.message());
        }
    }
    // Removes it, unless it is another's by now.
    ~PidFile() {
        pid_t owner = 0;
        if (!path_.empty() && std::ifstream(path_) >> owner && owner == ::getpid()) {
            std::error_code ignored;
            std::filesystem::remove(path_, ignored);
        }
    }
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;

  private:
    const std::string path_;
};

}  // namespace muster

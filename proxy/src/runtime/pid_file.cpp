#include "runtime/pid_file.hpp"

#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <unistd.h>

#include <spdlog/spdlog.h>

namespace muster {

PidFile::PidFile(std::string path) : path_(std::move(path)) {
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

PidFile::~PidFile() {
    pid_t owner = 0;
    if (!path_.empty() && std::ifstream(path_) >> owner && owner == ::getpid()) {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
}

}  // namespace muster

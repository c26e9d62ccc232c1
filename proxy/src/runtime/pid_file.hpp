// The file that tells operators which process serves, also after one has replaced another.
#pragma once

#include <string>

namespace muster {

class PidFile {
  public:
    // Writes the file, in place of that of the process before; empty: none.
    explicit PidFile(std::string path);
    // Removes it, unless it is another process's by now.
    ~PidFile();
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;

  private:
    const std::string path_;
};

}  // namespace muster

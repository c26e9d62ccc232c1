// What a target says before it ends the program.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace fuzz {

inline void expect(bool holds, const char* what) {
    if (holds)
        return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

// A copy of `bytes` behind whose last byte is nothing: reading on is an error that is seen.
class Exactly {
  public:
    explicit Exactly(std::string_view bytes) : copy_(new char[bytes.size()]), size_(bytes.size()) {
        if (!bytes.empty())
            std::memcpy(copy_.get(), bytes.data(), bytes.size());
    }
    std::string_view view() const { return {copy_.get(), size_}; }

  private:
    std::unique_ptr<char[]> copy_;
    std::size_t size_;
};

}  // namespace fuzz

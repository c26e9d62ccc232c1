// The fuzzer's bytes, taken apart into what a test needs. When they have come to their end
// everything is zero, so that every input means something.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace fuzz {

class Input {
  public:
    Input(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes), left_(size) {}

    bool done() const { return left_ == 0; }

    // The next bytes as a number, the first one the lowest.
    template <class Number>
    Number number() {
        Number value{};
        const std::size_t n = left_ < sizeof(value) ? left_ : sizeof(value);
        std::memcpy(&value, bytes_, n);
        skip(n);
        return value;
    }

    // A number below n, which is from 1 to 65536.
    unsigned below(unsigned n) {
        return n <= 256 ? number<std::uint8_t>() % n : number<std::uint16_t>() % n;
    }

    std::string rest() { return take(left_); }

    std::string take(std::size_t n) {
        n = n < left_ ? n : left_;
        std::string text(reinterpret_cast<const char*>(bytes_), n);
        skip(n);
        return text;
    }

  private:
    void skip(std::size_t n) {
        bytes_ += n;
        left_ -= n;
    }

    const std::uint8_t* bytes_;
    std::size_t left_;
};

}  // namespace fuzz

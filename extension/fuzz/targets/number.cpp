// Numbers: integers and floats by their text read back, numerics by decimal digits, and by stored
// forms of any content.
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>

#include "input.hpp"
#include "stored.hpp"
#include "writer.hpp"

using fuzz::Writer;

namespace {

// A number as the server has it: without zeros in front, and zero without a sign.
std::string decimal(fuzz::Input& input) {
    const bool negative = input.below(2) == 1;
    const std::size_t whole_size = input.below(8) == 0 ? input.below(65536) : input.below(40);
    const std::size_t scale = input.below(8) == 0 ? input.below(16384) : input.below(40);
    const unsigned zeros = input.below(4);
    const std::string source = input.take(64);
    std::string digits;
    for (std::size_t i = 0; i < whole_size + scale; i++) {
        const unsigned byte =
            source.empty() ? 0 : static_cast<unsigned char>(source[i % source.size()]);
        digits += static_cast<char>('0' + (zeros > 0 && byte % (zeros + 1) != 0 ? 0 : byte % 10));
    }
    std::string whole = digits.substr(0, whole_size);
    whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
    std::string text = whole.empty() ? "0" : whole;
    if (scale > 0) {
        text += "." + digits.substr(whole_size);
    }
    const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
    return (negative && !is_zero ? "-" : "") + text;
}

std::unique_ptr<char[]> exact_copy(const std::string& bytes) {
    std::unique_ptr<char[]> copy(new char[bytes.size()]);
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return copy;
}

void check_numeric(const std::string& stored, std::size_t capacity, const std::string& wanted) {
    const auto copy = exact_copy(stored);
    fuzz::expect_both(
        "a numeric",
        [&](const Writer& writer) {
            return writer.numeric(capacity, {copy.get(), stored.size()});
        },
        wanted);
}

// Of any bytes there is some text, by both writers the same.
void check_any_numeric(std::string stored, std::size_t capacity) {
    stored.resize(4 + (stored.size() - std::min<std::size_t>(stored.size(), 4)) / 2 * 2);
    const auto copy = exact_copy(stored);
    std::string texts[2];
    for (int i = 0; i < 2; i++) {
        const Writer& writer = i == 0 ? fuzz::fast : fuzz::portable;
        const fuzz::Result got = fuzz::write([&] {
            return writer.numeric(capacity, {copy.get(), stored.size()});
        });
        if (got.kind != fuzz::Result::Kind::Text) {
            fuzz::fail("a numeric of any bytes", fuzz::refusal, "a text");
        }
        texts[i] = got.text;
    }
    fuzz::expect("a numeric of any bytes", texts[1], texts[0]);
}

const char* special(double value) {
    return std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
}

template <class Float, class Write>
void check_float(Float value, Write call, Float (*read)(const char*, char**)) {
    if (!std::isfinite(value)) {
        fuzz::expect_both("a float", call, special(static_cast<double>(value)));
        return;
    }
    const fuzz::Result got = fuzz::write([&] { return call(fuzz::fast); });
    fuzz::expect_both("a float", call, got.text);
    const Float back = read(got.text.c_str(), nullptr);
    if (std::memcmp(&back, &value, sizeof(value)) != 0 || got.text.size() > 24) {
        fuzz::fail("a float", got.text, std::to_string(value));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::size_t capacity = 1 + input.below(64);
    const auto integer = input.number<std::int64_t>();
    fuzz::expect_both(
        "an integer", [&](const Writer& writer) { return writer.int64(capacity, integer); },
        std::to_string(integer));

    const auto half = input.number<float>();
    check_float<float>(
        half, [&](const Writer& writer) { return writer.float4(capacity, half); }, std::strtof);
    const auto whole = input.number<double>();
    check_float<double>(
        whole, [&](const Writer& writer) { return writer.float8(capacity, whole); }, std::strtod);

    const std::string number = decimal(input);
    check_numeric(fuzz::stored_numeric(number, false), capacity, number);
    check_numeric(fuzz::stored_numeric(number, true), capacity, number);
    check_numeric(std::string("\x00\xC0", 2), capacity, "\"NaN\"");
    check_numeric(std::string("\x00\xD0", 2), capacity, "\"Infinity\"");
    check_numeric(std::string("\x00\xF0", 2), capacity, "\"-Infinity\"");
    check_any_numeric(input.rest(), capacity);
    return 0;
}

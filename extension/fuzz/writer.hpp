// The writer under test, twice in one program: with SSE2 and as other machines have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server.hpp"

namespace fuzz {

// A text in the attempt's memory; without one nothing was there to be written.
struct Written {
    const char* data;
    std::size_t size;
};

// Each function writes into an arena of that many bytes at first.
struct Writer {
    const char* name;
    Written (*string)(std::size_t capacity, std::string_view text);
    Written (*int64)(std::size_t capacity, std::int64_t value);
    Written (*float4)(std::size_t capacity, float value);
    Written (*float8)(std::size_t capacity, double value);
    // Its stored form without the varlena header.
    Written (*numeric)(std::size_t capacity, std::string_view stored);
    Written (*uuid)(std::size_t capacity, const unsigned char* bytes);
    Written (*bytea)(std::size_t capacity, std::string_view bytes);
    Written (*bits)(std::size_t capacity, std::string_view bytes, std::size_t count);
    Written (*date)(std::size_t capacity, std::int32_t value);
    Written (*timestamp)(std::size_t capacity, std::int64_t value, bool offset);
    Written (*jsonb)(std::size_t capacity, const char* container);
    // A blank text of fields gives nothing, as does what is not found.
    Written (*jsonb_fields)(std::size_t capacity, const char* container, std::string_view fields,
                            bool document);
    // The tree of fields, as the paths that lead to its ends; each name in quotes.
    Written (*paths)(std::size_t capacity, std::string_view fields);
};

extern const Writer fast;
extern const Writer portable;

// What came of an attempt to write.
struct Result {
    enum class Kind { Text, Nothing, Refused } kind;
    std::string text;
};

template <class Write>
Result write(Write call) {
    Written written{};
    Result result{Result::Kind::Refused, {}};
    attempt([&] { written = call(); },
            [&] {
                result.kind = written.data == nullptr ? Result::Kind::Nothing : Result::Kind::Text;
                if (written.data != nullptr) {
                    result.text.assign(written.data, written.size);
                }
            });
    return result;
}

// Writes by both, and expects that text of each.
template <class Write>
void expect_both(const char* what, Write call, const std::string& wanted) {
    for (const Writer* writer : {&fast, &portable}) {
        const Result got = write([&] { return call(*writer); });
        if (got.kind != Result::Kind::Text) {
            fail(what, refusal.empty() ? "nothing" : refusal, wanted);
        }
        expect(what, got.text, wanted);
    }
}

}  // namespace fuzz

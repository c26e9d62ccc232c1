// The functions of the server's that the writer calls, as little of each as is needed.
#include "server.hpp"

#include <cfloat>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>

#include "json/server.hpp"

#include "stored.hpp"

namespace fuzz {

std::size_t stack_limit = 0;
std::size_t size_limit = largest_limit;
std::string refusal;

namespace server {

std::jmp_buf start;
bool attempting = false;
const char* stack_base = nullptr;

// What was allocated since the attempt began, as a memory context would have it.
std::unordered_map<void*, std::size_t>& memory() {
    static std::unordered_map<void*, std::size_t> pieces;
    return pieces;
}

void begin(const void* base) {
    stack_base = static_cast<const char*>(base);
    attempting = true;
    refusal.clear();
}

void end() {
    attempting = false;
    for (const auto& piece : memory()) {
        std::free(piece.first);
    }
    memory().clear();
}

[[noreturn]] void raise(const char* message) {
    if (!attempting) {
        fail("an error outside of an attempt", message, "");
    }
    attempting = false;
    refusal = message;
    std::longjmp(start, 1);
}

}  // namespace server

void fail(const char* what, const std::string& got, const std::string& wanted) {
    fprintf(stderr, "%s\n     got: %.2000s\ninstead of: %.2000s\n", what, got.c_str(),
            wanted.c_str());
    std::size_t same = 0;
    while (same < got.size() && same < wanted.size() && got[same] == wanted[same]) {
        same++;
    }
    fprintf(stderr, "%zu bytes instead of %zu, the same up to %zu\n", got.size(), wanted.size(),
            same);
    std::abort();
}

}  // namespace fuzz

using fuzz::server::memory;

extern "C" {

int extra_float_digits = 1;

void* palloc(Size size) {
    if (size > fuzz::size_limit) {
        fuzz::fail("an allocation above the limit", std::to_string(size),
                   std::to_string(fuzz::size_limit));
    }
    void* piece = std::malloc(size);
    memory()[piece] = size;
    return piece;
}

void* repalloc(void* piece, Size size) {
    const std::size_t before = memory().at(piece);
    void* moved = palloc(size);
    std::memcpy(moved, piece, Min(before, size));
    pfree(piece);
    return moved;
}

void pfree(void* piece) {
    if (memory().erase(piece) != 1) {
        fuzz::fail("pfree", "a pointer that is not ours", "");
    }
    std::free(piece);
}

bool stack_is_too_deep(void) {
    // Not the address of a local variable, which AddressSanitizer may keep elsewhere.
    const auto used =
        std::abs(fuzz::server::stack_base - static_cast<const char*>(__builtin_frame_address(0)));
    return fuzz::stack_limit != 0 && static_cast<std::size_t>(used) > fuzz::stack_limit;
}

void check_stack_depth(void) {
    if (stack_is_too_deep()) {
        fuzz::server::raise("stack depth limit exceeded");
    }
}

// Errors. What the message says is kept, its details are formatted for the sanitizers' sake.
static char message[1024];

bool errstart(int, const char*) {
    return true;
}

bool errstart_cold(int, const char*) {
    return true;
}

int errcode(int) {
    return 0;
}

int errmsg(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    return 0;
}

int errmsg_internal(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    return 0;
}

int errdetail(const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return 0;
}

int errhint(const char*, ...) {
    return 0;
}

void errfinish(const char*, int, const char*) {
    fuzz::server::raise(message);
}

// Texts in the tests need not be in any encoding.
int pg_mbcliplen(const char*, int length, int limit) {
    return Min(length, limit);
}

int pg_mbstrlen_with_len(const char*, int length) {
    return length;
}

int pg_lltoa(int64 value, char* to) {
    char digits[MAXINT8LEN + 1];
    const int length = snprintf(digits, sizeof(digits), "%lld", static_cast<long long>(value));
    std::memcpy(to, digits, static_cast<std::size_t>(length) + 1);
    return length;
}

Datum float4out(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    std::abort();
}

Datum float8out(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    std::abort();
}

// Both floats' output functions are called for what is no number, and for rounding.
Datum DirectFunctionCall1Coll(PGFunction function, Oid, Datum argument) {
    const bool is_short = function == float4out;
    if (!is_short && function != float8out) {
        std::abort();
    }
    const double value = is_short ? DatumGetFloat4(argument) : DatumGetFloat8(argument);
    constexpr std::size_t room = 64;
    auto* text = static_cast<char*>(palloc(room));
    if (std::isnan(value) || std::isinf(value)) {
        snprintf(text, room, "%s",
                 std::isnan(value) ? "NaN"
                 : value > 0       ? "Infinity"
                                   : "-Infinity");
    } else {
        snprintf(text, room, "%.*g", is_short ? FLT_DIG : DBL_DIG, value);
    }
    return CStringGetDatum(text);
}

struct varlena* pg_detoast_datum_packed(struct varlena*) {
    std::abort();
}

// Tells what it was asked for: the test knows when the server's own way must be taken.
char* JsonEncodeDateTime(char* to, Datum value, Oid type, const int* zone) {
    snprintf(
        to, MAXDATELEN + 1, "%u %lld %d", type,
        static_cast<long long>(type == DATEOID ? DatumGetDateADT(value) : DatumGetTimestamp(value)),
        zone == nullptr ? -1 : *zone);
    return to;
}

char* JsonbToCString(StringInfo out, JsonbContainer* container, int) {
    if (out != nullptr || reinterpret_cast<std::uintptr_t>(container) % 4 != 0) {
        fuzz::fail("JsonbToCString", "wrong arguments", "");
    }
    const std::string* text = fuzz::text_of_stored(container);
    if (text == nullptr) {
        fuzz::fail("JsonbToCString", "no container begins here", "");
    }
    if (text->size() + 1 > fuzz::size_limit) {
        fuzz::server::raise("out of memory");
    }
    auto* copy = static_cast<char*>(palloc(text->size() + 1));
    std::memcpy(copy, text->c_str(), text->size() + 1);
    return copy;
}
}

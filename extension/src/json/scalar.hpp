// Numbers, times and identifiers as JSON writes them, without going through an output function.
#pragma once

#include "json/server.hpp"
#include "json/arena.hpp"

namespace muster::json {

void put_int64(Arena& out, std::int64_t value);
void put_float4(Arena& out, float value);
void put_float8(Arena& out, double value);

// A numeric by its stored digits, without its varlena header; they need not be aligned. NaN and the
// infinities become strings.
void put_numeric(Arena& out, const char* stored, std::size_t length);

void put_uuid(Arena& out, const pg_uuid_t& value);

// Bytes as bytea_output = hex has them.
void put_hex_bytea(Arena& out, const char* bytes, std::size_t length);

// So many bits, the first of a byte being its highest.
void put_bits(Arena& out, const unsigned char* bits, std::size_t count);

void put_date(Arena& out, DateADT value);

// Microseconds since 2000, read as UTC. `offset` says whether +00:00 is written.
void put_timestamp(Arena& out, Timestamp value, bool offset);

}  // namespace muster::json

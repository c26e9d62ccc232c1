// Values in their stored form, made from their plain one as the server makes it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plain.hpp"

namespace fuzz {

// A number of decimal digits, perhaps with a sign and a point, as a numeric without its varlena
// header; in the long form if it must be or `long_form` says so.
std::string stored_numeric(const std::string& decimal, bool long_form);

// A jsonb container. A lone scalar gets its array around it.
class StoredJsonb {
  public:
    // It begins `misalignment` bytes, from 0 to 3, after a multiple of four, and behind its last
    // byte is nothing. `short_numbers` gives its numbers headers of one byte.
    StoredJsonb(const Value& value, unsigned misalignment, bool short_numbers);
    ~StoredJsonb();
    StoredJsonb(const StoredJsonb&) = delete;
    StoredJsonb& operator=(const StoredJsonb&) = delete;

    const char* container() const { return container_; }

  private:
    std::unique_ptr<char[]> memory_;
    char* container_;
};

// What the container that begins there is as text, or null if none does. It is of the StoredJsonb
// that lives.
const std::string* text_of_stored(const void* container);

}  // namespace fuzz

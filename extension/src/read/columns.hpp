// Which of a table's columns a statement names, so that rights on those columns are enough to run
// it.
#pragma once

#include "read/request.hpp"

#include <initializer_list>

namespace muster::read {

// A select list, as it stands in SQL.
using SelectList = const char*;

// Everything: what a caller gets who may read the whole table, or who asks for all of it.
constexpr SelectList all_columns = nullptr;

// The select list for what `fields` (null: everything) asks of the table, and the `keys` that the
// rows are ordered and told apart by. Who may read the whole table reads it whole, which costs
// nothing and leaves one plan for all `fields`. For everybody else it names those columns only, in
// the table's order; the server then refuses the ones that the caller may not read (42501). Names
// of the table's children in the set `children` are no columns.
SelectList select_list(const Source& source, const Table& table, const json::Field* fields,
                       std::uint32_t children, std::initializer_list<const char*> keys);

}  // namespace muster::read

// From a request to its JSON document.
#pragma once

#include "read/request.hpp"

namespace muster::read {

// The page that the request asks for, as an array, and the cursor after it: a row (body, next) in the
// current memory context.
Datum list_document(Request& request);

// The row that the request's filters name, as an object: the same kind of row, both null if there is none.
// `second`, unless null, is tried when the first finds nothing.
Datum item_document(Request& request, Request* second = nullptr);

}  // namespace muster::read

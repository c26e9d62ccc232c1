// From a request to its JSON document.
#pragma once

#include "read/request.hpp"

namespace muster::read {

// Returns the page that the request asks for, as an array, and the cursor after it.
Datum list_document(FunctionCallInfo fcinfo, Request& request);

// Returns the row that the request's filters name, as an object, or nulls if there is none.
// `second`, unless null, is asked when the first finds nothing.
Datum item_document(FunctionCallInfo fcinfo, Request& request, Request* second = nullptr);

}  // namespace muster::read

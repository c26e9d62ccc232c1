// Where writing JSON was before it came to be of use to other rooms.
#pragma once

#include "runtime/json.hpp"

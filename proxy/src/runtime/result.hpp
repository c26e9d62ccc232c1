// Result<T, E>: a value or an expected error, without exceptions (Boost.Outcome's unchecked
// result). `if (!r) return std::move(r).error();` reads like std::expected, which C++20 has not.
#pragma once

#include <boost/outcome/result.hpp>

namespace muster {

template <class T, class E>
using Result = boost::outcome_v2::basic_result<T, E, boost::outcome_v2::policy::all_narrow>;

}  // namespace muster

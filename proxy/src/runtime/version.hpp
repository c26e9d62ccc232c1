// The version of this build, as the build files say it.
#pragma once

#include <string_view>

namespace muster {

inline constexpr std::string_view version = MUSTER_VERSION;

}  // namespace muster

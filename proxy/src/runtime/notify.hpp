// Telling a service manager how the process is, as sd_notify(3) does.
#pragma once

#include <string_view>

namespace muster {

// Sends assignments such as "READY=1\nMAINPID=12" to the socket that NOTIFY_SOCKET names; does
// nothing if there is none. Waits for nothing, and no failure matters to the caller.
void notify_manager(std::string_view assignments);

}  // namespace muster

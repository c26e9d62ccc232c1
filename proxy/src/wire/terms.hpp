// What holds for the connections that begin now.
#pragma once

#include <memory>

#include "config/config.hpp"
#include "wire/tls.hpp"

namespace muster::wire {

// Never changed: a reload puts another in its place, and who needs the same throughout keeps one.
struct Terms {
    config::Wire settings;
    tls::Contexts tls;  // made of them
};

using TermsPtr = std::shared_ptr<const Terms>;

}  // namespace muster::wire

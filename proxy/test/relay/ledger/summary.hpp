// The table that a program of fault tests prints when it ends: a line per scenario.
#pragma once

#include <string>

#include "relay/ledger/verdict.hpp"

namespace muster::test::ledger {

void add_to_summary(const std::string& scenario, int faults, const Verdict& verdict);

}  // namespace muster::test::ledger

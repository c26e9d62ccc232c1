// The table that a program of fault tests prints when it ends.
#include "relay/ledger/summary.hpp"

#include <iomanip>
#include <iostream>
#include <sstream>

#include <boost/test/unit_test.hpp>

namespace muster::test::ledger {

namespace {

std::ostringstream& lines() {
    static std::ostringstream text;
    return text;
}

struct Printer {
    ~Printer() {
        if (lines().str().empty())
            return;
        std::cout << std::left << std::setw(40) << "scenario" << std::right;
        for (const char* column :
             {"faults", "acked", "unknown", "undone", "taken back", "in stream", "withdrawn",
              "lost", "twice", "disorder", "phantoms", "ids", "unheard", "resets", "gaps"})
            std::cout << std::setw(11) << column;
        std::cout << '\n' << lines().str() << std::flush;
    }
};
BOOST_GLOBAL_FIXTURE(Printer);

}  // namespace

void add_to_summary(const std::string& scenario, int faults, const Verdict& v) {
    lines() << std::left << std::setw(40) << scenario << std::right << std::setw(11) << faults;
    for (const std::size_t number :
         {v.acknowledged, v.unknown, v.rolled_back, v.taken_back, v.in_stream, v.withdrawn, v.lost,
          v.duplicates, v.out_of_order, v.phantoms, v.ids_back + v.broken_links + v.ids_reused,
          v.unheard + v.heard_twice, v.resets, v.gaps})
        lines() << std::setw(11) << number;
    lines() << '\n';
}

}  // namespace muster::test::ledger

// Functions such as a user would write, behind routes of their own, for the answers that the
// shipped routes do not give.
#pragma once

#include <string>
#include <vector>

namespace muster::test {

// The command of one more proxy, which has these routes beside the shipped ones:
//   GET    /probe/fail/{code}     raises this SQLSTATE, with ?message=
//   GET    /probe/sleep/{ms}      takes so long
//   GET    /probe/answer/{code}   answers with this status, and a location
//   POST   /probe/answer/{code}   the same, for a body
//   GET    /probe/big/{size}      a text of so many letters
//   GET    /probe/two             two rows, of which no answer can be made
// `lines` are added to the file.
std::vector<std::string> command_with_probes(const std::string& lines = "");

// Header lines of a new key, whose quota is large.
std::string premium_key();

// One statement as the database's owner.
std::string owner_value(const std::string& sql);

}  // namespace muster::test

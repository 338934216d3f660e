// A fault: this machine could not finish what it was asked for. Native only.
#pragma once

#include <stdexcept>
#include <string>

namespace polis {

/// Thrown up to the owner of the work (a connection, a thread loop, main); never the answer to bad input.
class Fault : public std::runtime_error {
public:
   using std::runtime_error::runtime_error;
};

/// Fault with the text of `errno` appended, as in "open /x: No such file or directory".
[[noreturn]] void throwErrno(const std::string& what);

} // namespace polis

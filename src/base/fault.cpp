#include "base/fault.hpp"

#include <cerrno>
#include <system_error>

namespace polis {
void throwErrno(const std::string& what) {
   const int code = errno;
   throw Fault(what + ": " + std::generic_category().message(code));
}
} // namespace polis

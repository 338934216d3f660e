#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace polis {
void assertionFailed(const char* condition, const char* file, unsigned line) noexcept {
   std::fprintf(stderr, "%s:%u: assertion failed: %s\n", file, line, condition);
   std::fflush(stderr);
   std::abort();
}
} // namespace polis

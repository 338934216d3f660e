// Assertions stay on in release. They state our own invariants; outside input is checked, never asserted.
#pragma once

namespace polis {
/// Reports and aborts. Called by ASSERT only.
[[noreturn]] void assertionFailed(const char* condition, const char* file, unsigned line) noexcept;
} // namespace polis

#ifdef __wasm__
#define ASSERT(...) ((__VA_ARGS__) ? static_cast<void>(0) : __builtin_trap())
#else
#define ASSERT(...)                                                                                                    \
   (__builtin_expect(static_cast<bool>(__VA_ARGS__), 1) ? static_cast<void>(0)                                         \
                                                        : ::polis::assertionFailed(#__VA_ARGS__, __FILE__, __LINE__))
#endif

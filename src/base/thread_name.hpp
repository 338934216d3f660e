// What a thread is called in lists of threads. Native only.
#pragma once

#include <pthread.h>

namespace polis {

/// Names the calling thread. name: at most 15 characters.
inline void nameThread(const char* name) noexcept { pthread_setname_np(pthread_self(), name); }

} // namespace polis

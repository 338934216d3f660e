// std::mutex with the annotations of clang's thread-safety analysis.
#pragma once

#include <mutex>

#if defined(__clang__)
#define POLIS_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define POLIS_THREAD_ANNOTATION(x)
#endif
#define CAPABILITY(x) POLIS_THREAD_ANNOTATION(capability(x))
#define SCOPED_CAPABILITY POLIS_THREAD_ANNOTATION(scoped_lockable)
#define GUARDED_BY(x) POLIS_THREAD_ANNOTATION(guarded_by(x))
#define PT_GUARDED_BY(x) POLIS_THREAD_ANNOTATION(pt_guarded_by(x))
#define REQUIRES(...) POLIS_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) POLIS_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) POLIS_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...) POLIS_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) POLIS_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS POLIS_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace polis {

class CAPABILITY("mutex") Mutex {
public:
   void lock() ACQUIRE() { mutex_.lock(); }
   void unlock() RELEASE() { mutex_.unlock(); }
   bool try_lock() TRY_ACQUIRE(true) { return mutex_.try_lock(); }

private:
   std::mutex mutex_;
};

/// Holds a Mutex for a scope. May be waited on by std::condition_variable_any.
class SCOPED_CAPABILITY Lock {
public:
   explicit Lock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
   ~Lock() RELEASE() { mutex_.unlock(); }
   Lock(const Lock&) = delete;
   Lock& operator=(const Lock&) = delete;

   /// For condition variables only.
   void lock() NO_THREAD_SAFETY_ANALYSIS { mutex_.lock(); }
   void unlock() NO_THREAD_SAFETY_ANALYSIS { mutex_.unlock(); }

private:
   Mutex& mutex_;
};

} // namespace polis

// Code is compiled before anything waits for it.
#pragma once

#include "base/mutex.hpp"
#include "format/names.hpp"
#include "format/types.hpp"
#include "kernel/code_guard.hpp"
#include "kernel/host.hpp"
#include "vm/engine.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <set>

namespace polis::kernel {

/// Has code compiled on the host's compile thread. Thread-safe; outlives the work that it gave to the host.
class CompileAhead {
public:
   CompileAhead(vm::Engine& engine, Host& host, const CodeGuard& guard) : engine_(engine), host_(host), guard_(guard) {}

   enum class Answer {
      ready,    ///< using the code takes no compiling: it is compiled, or is known not to run
      underWay, ///< it is being compiled, and the producer is woken when that is done
      full,     ///< too much is to be compiled: nobody is woken
   };
   /// Has the code compiled unless it is ready.
   /// code: gives the bytes when they are needed; nothing when there are none.
   Answer request(const format::Checksum256& hash, format::AccountNumber service, const vm::Options& options,
                  const std::function<std::optional<Bytes>()>& code);
   /// Without beginning anything.
   bool isReady(const format::Checksum256& hash, const vm::Options& options);

private:
   struct Key {
      format::Checksum256 hash;
      vm::Options options;
      auto operator<=>(const Key&) const = default;
   };
   /// Code that the engine refuses, remembered; the oldest are forgotten.
   static constexpr std::size_t refusedMax = 4096;

   vm::Engine& engine_;
   Host& host_;
   const CodeGuard& guard_;
   Mutex mutex_;
   std::set<Key> underWay_ GUARDED_BY(mutex_), refused_ GUARDED_BY(mutex_);
   std::deque<Key> refusedOrder_ GUARDED_BY(mutex_);
};

} // namespace polis::kernel

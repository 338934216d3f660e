// What all contexts of one node share.
#pragma once

#include "base/mutex.hpp"
#include "format/chain.hpp"
#include "kernel/code_guard.hpp"
#include "kernel/compile_ahead.hpp"
#include "kernel/host.hpp"
#include "kernel/kernel.hpp"
#include "kernel/node_local.hpp"
#include "kernel/socket_table.hpp"
#include "vm/engine.hpp"

#include <atomic>
#include <functional>
#include <set>
#include <vector>

namespace polis::kernel {

/// Counted on any thread, read for metrics.
struct Counters {
   std::atomic<std::uint64_t> contexts{0}, actions{0}, writeNotices{0}, verifiedNatively{0}, localCommits{0},
       localConflicts{0}, transactions{0}, blocks{0};
};

struct Machine {
   Machine(vm::Engine& engineIn, Host& hostIn, KernelOptions optionsIn, store::Store& store, store::Version kept,
           std::function<void(std::int32_t)> onSocketClose)
      : engine(engineIn), host(hostIn), options(std::move(optionsIn)), guard(options.guard ? *options.guard : noGuard),
        ahead(engine, host, guard), local(store, std::move(kept)), sockets(local, std::move(onSocketClose)) {}

   vm::Engine& engine;
   Host& host;
   const KernelOptions options;
   const CodeGuard noGuard;
   const CodeGuard& guard;
   CompileAhead ahead;
   NodeLocal local;
   SocketTable sockets;
   Counters counters;

   /// Contexts that may be cancelled, by their budgets.
   Mutex runningMutex;
   std::set<vm::Budget*> running GUARDED_BY(runningMutex);
   bool cancelled GUARDED_BY(runningMutex) = false;
   /// Contexts that validate the block `validated`, and the block that nobody wants to be validated any more.
   std::set<vm::Budget*> validating GUARDED_BY(runningMutex);
   format::Checksum256 validated GUARDED_BY(runningMutex){}, unwanted GUARDED_BY(runningMutex){};
   bool validatedIsUnwanted() const REQUIRES(runningMutex) {
      return validated != format::Checksum256{} && (cancelled || validated == unwanted);
   }

   /// After an outermost commit: wakes whoever waits for the tables written (spec, kernel §5.3).
   void announce(const std::vector<LocalWrite>& writes);
};

} // namespace polis::kernel

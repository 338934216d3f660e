// The run queue: work that runs beside the chain, on this node only.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

class XRun : public Service {
public:
   static constexpr auto account = "x-run"_a;

   /// Runs `action` later in `mode`, then calls `callback(id, trace, token?)` on the sender, which must `finish(id)`.
   /// May run more than once; what is never finished is removed after ten times. action.sender must be the sender;
   /// maxTime in microseconds. From local and privileged services. Fails when 1,000 such items wait.
   std::uint64_t post(RunMode mode, Action action, std::int64_t maxTime, MethodNumber callback);
   /// Runs the verification of one proof, before anything that was posted. From local and privileged services.
   std::uint64_t verify(Checksum256 transactionHash, Claim claim, Bytes proof, std::int64_t maxTime,
                        MethodNumber callback);
   /// Drops one of the sender's items that has not been finished, and calls `callback(id, trace)` with an error.
   void cancel(std::uint64_t id, MethodNumber callback);
   /// Removes one of the sender's items.
   void finish(std::uint64_t id);
};
POLIS_SERVICE(XRun, action(post, mode, action, maxTime, callback),
              action(verify, transactionHash, claim, proof, maxTime, callback), action(cancel, id, callback),
              action(finish, id))

} // namespace polis::services

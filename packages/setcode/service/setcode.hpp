// Code of services and what they may do.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// How many code rows and staged codes name a blob.
struct CodeRefCount {
   Checksum256 codeHash{};
   std::uint8_t vmType = 0;
   std::uint8_t vmVersion = 0;
   std::uint32_t numRefs = 0;
};

struct StagedCode {
   AccountNumber from;
   AccountNumber service;
   std::uint64_t id = 0;
   Checksum256 codeHash{};
   std::uint8_t vmType = 0;
   std::uint8_t vmVersion = 0;
};

/// Grows with every change of a service that verifies proofs.
struct VerifySequence {
   std::uint64_t seq = 0;
};

class SetCode : public Service {
public:
   static constexpr auto account = "setcode"_a;

   using CodeRefCounts =
       Table<0, CodeRefCount, key<&CodeRefCount::codeHash, &CodeRefCount::vmType, &CodeRefCount::vmVersion>>;
   using StagedCodes = Table<1, StagedCode, key<&StagedCode::from, &StagedCode::id, &StagedCode::service>>;
   using VerifySequences = Singleton<2, VerifySequence>;
   using Tables = std::tuple<CodeRefCounts, StagedCodes, VerifySequences>;

   /// Counts anew who names which code.
   void init();
   /// Replaces a service's code; empty code removes it. Sender: the service. vmType and vmVersion must be 0.
   /// Refuses: a change of a service that verifies proofs while a change of consensus is pending.
   void setCode(AccountNumber service, std::uint8_t vmType, std::uint8_t vmVersion, Bytes code);
   /// Keeps code for a later setCodeStaged. (sender, id, service) must be new. Running code stays as it is.
   void stageCode(AccountNumber service, std::uint64_t id, std::uint8_t vmType, std::uint8_t vmVersion, Bytes code);
   /// Drops what the sender has staged.
   void unstageCode(AccountNumber service, std::uint64_t id);
   /// Makes code that `from` staged for the sender the sender's code. All fields must match what was staged.
   void setCodeStaged(AccountNumber from, std::uint64_t id, std::uint8_t vmType, std::uint8_t vmVersion,
                      Checksum256 codeHash);
   /// Sender: setcode itself, that is, whoever governs it.
   void setFlags(AccountNumber service, std::uint64_t flags);
   std::uint64_t verifySeq();
};
POLIS_SERVICE(SetCode, action(init), action(setCode, service, vmType, vmVersion, code),
              action(stageCode, service, id, vmType, vmVersion, code), action(unstageCode, service, id),
              action(setCodeStaged, from, id, vmType, vmVersion, codeHash), action(setFlags, service, flags),
              action(verifySeq))

} // namespace polis::services

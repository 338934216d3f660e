// Who produces blocks, and the two accounts whose authority is theirs.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct CandidateInfo {
   AccountNumber account;
   std::string endpoint;
   Claim claim;
};

struct ProdsConfig {
   std::uint8_t maxProds = 13;
};

class Producers : public Service {
public:
   static constexpr auto account = "producers"_a;
   /// Speaks when enough producers that at least one honest one is among them agree.
   static constexpr auto weakAccount = "producers+2"_a;
   /// Speaks when enough producers to decide a block agree.
   static constexpr auto strongAccount = "producers+3"_a;

   using Candidates = Table<0, CandidateInfo, &CandidateInfo::account>;
   using Config = Singleton<1, ProdsConfig>;
   using Tables = std::tuple<Candidates, Config>;

   /// Sender: producers. Refuses: no or too many producers, a claim whose service does not verify proofs, another
   /// change that is still pending.
   void setConsensus(ConsensusData consensus);
   /// The same, and the kind of consensus stays.
   void setProducers(std::vector<Producer> producers);
   /// Offers the sender as a producer.
   void regCandidate(std::string endpoint, Claim claim);
   /// Refuses active and scheduled producers.
   void unregCand();
   /// Sender: producers.
   void setMaxProds(std::uint8_t maxProds);
   std::vector<AccountNumber> getProducers();
   std::uint8_t getMaxProds();
   /// Producers that speak for `account` together; account: one of the two above.
   std::uint32_t getThreshold(AccountNumber account);
   /// Producers that can stop it.
   std::uint32_t antiThreshold(AccountNumber account);

   // The auth interface, for the two accounts.
   bool checkAuthSys(std::uint32_t flags, AccountNumber requester, AccountNumber sender, ServiceMethod action,
                     std::vector<ServiceMethod> allowedActions, std::vector<Claim> claims);
   void canAuthUserSys(AccountNumber user);
   std::vector<AccountNumber> getDlgsSys(AccountNumber sender, std::optional<ServiceMethod> method);
   bool isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers, std::optional<ServiceMethod> method);
   bool isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters, std::optional<ServiceMethod> method);
};
POLIS_SERVICE(Producers, action(setConsensus, consensus), action(setProducers, producers),
              action(regCandidate, endpoint, claim), action(unregCand), action(setMaxProds, maxProds),
              action(getProducers), action(getMaxProds), action(getThreshold, account), action(antiThreshold, account),
              action(checkAuthSys, flags, requester, sender, action, allowedActions, claims),
              action(canAuthUserSys, user), action(getDlgsSys, sender, method),
              action(isAuthSys, sender, authorizers, method), action(isRejectSys, sender, rejecters, method))

} // namespace polis::services

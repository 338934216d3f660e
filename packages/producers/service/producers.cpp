#include "producers.hpp"

#include <algorithm>

namespace polis::services {

namespace {

StatusRow statusRow() {
   auto status = native::status();
   check(status.has_value(), "there is no chain");
   return std::move(*status);
}

const std::vector<Producer>& producersOf(const ConsensusData& data) {
   return std::visit([](const auto& kind) -> const std::vector<Producer>& { return kind.producers; }, data);
}

void checkProducers(const std::vector<Producer>& list) {
   check(!list.empty(), "there must be at least one producer");
   check(list.size() <= open<Producers::Config>().get().value_or(ProdsConfig{}).maxProds, "too many producers");
   for (std::size_t i = 0; i < list.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k)
         check(list[i].name != list[k].name, "a producer is named twice");
      const auto& claim = list[i].auth;
      if (claim.service == AccountNumber{} && claim.rawData.empty())
         continue;
      const auto code = native::code(claim.service);
      check(code.has_value(), "service account does not exist: " + claim.service.str());
      check(code->flags & CodeRow::isVerify, "service cannot verify proofs: " + claim.service.str());
   }
}

void schedule(StatusRow status, ConsensusData data) {
   const auto blockNum = status.current.blockNum;
   auto& joint = status.consensus;
   check(!joint.next || joint.next->blockNum == blockNum, "another change of consensus is pending");
   // what the block itself has changed so far stays
   Consensus next = joint.next ? joint.next->consensus : joint.current;
   next.data = std::move(data);
   joint.next = PendingConsensus{std::move(next), blockNum};
   native::put(Db::native, native::statusTable, status);
}

std::uint32_t thresholdOf(const ConsensusData& data, AccountNumber account) {
   const auto n = static_cast<std::uint32_t>(producersOf(data).size());
   const bool bft = std::holds_alternative<BftConsensus>(data);
   if (n == 0)
      return 0;
   if (account == Producers::weakAccount)
      return bft ? (n + 2) / 3 : 1;
   check(account == Producers::strongAccount, "no account of the producers");
   return bft ? 2 * n / 3 + 1 : n / 2 + 1;
}

std::uint32_t countIn(const std::vector<Producer>& producers, const std::vector<AccountNumber>& accounts) {
   return static_cast<std::uint32_t>(std::count_if(producers.begin(), producers.end(), [&](const Producer& producer) {
      return std::find(accounts.begin(), accounts.end(), producer.name) != accounts.end();
   }));
}

} // namespace

void Producers::setConsensus(ConsensusData consensus) {
   check(getSender() == account, "only producers may change the consensus");
   checkProducers(producersOf(consensus));
   schedule(statusRow(), std::move(consensus));
}

void Producers::setProducers(std::vector<Producer> producers) {
   check(getSender() == account, "only producers may change the producers");
   checkProducers(producers);
   auto status = statusRow();
   const auto& data = status.consensus.next ? status.consensus.next->consensus.data : status.consensus.current.data;
   ConsensusData next;
   if (std::holds_alternative<BftConsensus>(data))
      next = BftConsensus{std::move(producers)};
   else
      next = CftConsensus{std::move(producers)};
   schedule(std::move(status), std::move(next));
}

void Producers::regCandidate(std::string endpoint, Claim claim) {
   open<Candidates>(Mode::readWrite).put({getSender(), std::move(endpoint), std::move(claim)});
}

void Producers::unregCand() {
   const auto sender = getSender();
   const auto status = statusRow();
   auto isProducer = [&](const Consensus& consensus) { return countIn(producersOf(consensus.data), {sender}) > 0; };
   check(!isProducer(status.consensus.current) &&
             !(status.consensus.next && isProducer(status.consensus.next->consensus)),
         "an active or scheduled producer cannot withdraw");
   open<Candidates>(Mode::readWrite).erase(sender);
}

void Producers::setMaxProds(std::uint8_t maxProds) {
   check(getSender() == account, "only producers may change the number of producers");
   check(maxProds > 0, "there must be at least one producer");
   open<Config>(Mode::readWrite).put({maxProds});
}

std::vector<AccountNumber> Producers::getProducers() {
   std::vector<AccountNumber> names;
   for (const auto& producer : producersOf(statusRow().consensus.current.data))
      names.push_back(producer.name);
   return names;
}

std::uint8_t Producers::getMaxProds() { return open<Config>().get().value_or(ProdsConfig{}).maxProds; }

std::uint32_t Producers::getThreshold(AccountNumber user) {
   return thresholdOf(statusRow().consensus.current.data, user);
}

std::uint32_t Producers::antiThreshold(AccountNumber user) {
   const auto status = statusRow();
   const auto n = static_cast<std::uint32_t>(producersOf(status.consensus.current.data).size());
   const auto threshold = thresholdOf(status.consensus.current.data, user);
   return n == 0 ? 0 : n - threshold + 1;
}

bool Producers::checkAuthSys(std::uint32_t flags, AccountNumber, AccountNumber sender, ServiceMethod,
                             std::vector<ServiceMethod>, std::vector<Claim> claims) {
   switch (flags & 0xFF) {
   case 1:
      break;
   case 2:
   case 3:
      return true;
   case 4:
   case 5:
      abortMessage("runAs: caller attempted to run an action as " + sender.str());
   default:
      abortMessage("unsupported auth type");
   }
   const auto status = statusRow();
   const auto& data = status.consensus.current.data;
   const auto& producers = producersOf(data);
   const auto present = std::count_if(producers.begin(), producers.end(), [&](const Producer& producer) {
      return producer.auth == Claim{} || std::find(claims.begin(), claims.end(), producer.auth) != claims.end();
   });
   check(static_cast<std::uint32_t>(present) >= thresholdOf(data, sender), "not enough producers have signed");
   return true;
}

void Producers::canAuthUserSys(AccountNumber user) {
   check(user == weakAccount || user == strongAccount, "the producers speak for their own accounts only");
}

std::vector<AccountNumber> Producers::getDlgsSys(AccountNumber, std::optional<ServiceMethod>) { return getProducers(); }

bool Producers::isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers, std::optional<ServiceMethod>) {
   const auto status = statusRow();
   const auto& data = status.consensus.current.data;
   return countIn(producersOf(data), authorizers) >= thresholdOf(data, sender);
}

bool Producers::isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters, std::optional<ServiceMethod>) {
   const auto status = statusRow();
   const auto& data = status.consensus.current.data;
   const auto n = static_cast<std::uint32_t>(producersOf(data).size());
   return n > 0 && countIn(producersOf(data), rejecters) >= n - thresholdOf(data, sender) + 1;
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::Producers)

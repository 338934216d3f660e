#include "consensus/certificate.hpp"

namespace polis::consensus {
namespace {

const format::Consensus& underOf(const ForkBlock& block, unsigned set) {
   return set ? block.end->joint.next->consensus : block.end->joint.current;
}
const ProducerSet& setOf(const ForkBlock& block, unsigned set) {
   return set ? *block.sets().next : block.sets().current;
}

std::vector<ProducerConfirm> listOf(const std::map<AccountNumber, Bytes>& signers) {
   std::vector<ProducerConfirm> out;
   for (const auto& [producer, signature] : signers)
      out.push_back({producer, signature});
   return out;
}

/// Enough distinct signers. Without the guard the length of the list is what counts, as D1 warns of.
bool enough(const std::map<AccountNumber, Bytes>& signers, std::size_t listed, const ProducerSet& set,
            const Guards& guards) {
   return (guards.distinctSigners ? signers.size() : listed) >= set.strong();
}

} // namespace

bool answers(Signatures& signatures, const format::Consensus& under, const Claim& claim, const Checksum256& digest,
             ByteView signature) {
   if (!claim.service)
      return signature.empty();
   return signatures.verify(under, claim, digest, signature);
}

bool isPrepared(const ForkBlock& block, const Votes& prepares) {
   const ProducerSets& sets = block.sets();
   return prepares.of[0].size() >= sets.current.strong() &&
          (!sets.next || !sets.next->bft() || prepares.of[1].size() >= sets.next->strong());
}

bool isIrreversible(const ForkBlock& block, const Votes& commits) {
   const ProducerSets& sets = block.sets();
   return commits.of[0].size() >= sets.current.strong() && (!sets.next || commits.of[1].size() >= sets.next->strong());
}

template <class M>
std::optional<std::map<AccountNumber, Bytes>> signersOf(const ForkBlock& block, unsigned set,
                                                        const std::vector<ProducerConfirm>& list, const Votes& known,
                                                        Signatures& signatures) {
   const ProducerSet& members = setOf(block, set);
   std::map<AccountNumber, Bytes> signers;
   for (const ProducerConfirm& entry : list) {
      const format::Producer* member = members.find(entry.producer);
      if (!member)
         return std::nullopt;
      // Who counts already adds nothing, so that a list costs one check a member, however long it is.
      if (signers.contains(entry.producer))
         continue;
      const auto before = known.of[set].find(entry.producer);
      const bool verified = before != known.of[set].end() && before->second == entry.signature;
      if (!verified && !answers(signatures, underOf(block, set), member->auth,
                                digestOf(M{block.id, entry.producer, member->auth}), entry.signature))
         return std::nullopt;
      signers.emplace(entry.producer, entry.signature);
   }
   return signers;
}

std::optional<Votes> checkedPrepares(const ForkBlock& block, const std::vector<ProducerConfirm>& prepares,
                                     const std::optional<std::vector<ProducerConfirm>>& nextPrepares,
                                     Signatures& signatures, const Guards& guards) {
   const ProducerSets& sets = block.sets();
   const bool nextPrepare = sets.next && sets.next->bft();
   if (!sets.current.bft() || (nextPrepare && !nextPrepares))
      return std::nullopt;
   Votes votes;
   auto current = signersOf<PrepareMessage>(block, 0, prepares, block.prepares, signatures);
   if (!current || !enough(*current, prepares.size(), sets.current, guards))
      return std::nullopt;
   votes.of[0] = std::move(*current);
   if (nextPrepare) {
      auto next = signersOf<PrepareMessage>(block, 1, *nextPrepares, block.prepares, signatures);
      if (!next || !enough(*next, nextPrepares->size(), *sets.next, guards))
         return std::nullopt;
      votes.of[1] = std::move(*next);
   }
   return votes;
}

std::optional<Votes> checkedCommits(const ForkBlock& block, const format::BlockConfirm& confirm, Signatures& signatures,
                                    const Guards& guards) {
   const ProducerSets& sets = block.sets();
   if (!sets.current.bft() || confirm.blockNum != block.num || sets.joint() != confirm.nextCommits.has_value())
      return std::nullopt;
   Votes votes;
   auto current = signersOf<CommitMessage>(block, 0, confirm.commits, block.commits, signatures);
   if (!current || !enough(*current, confirm.commits.size(), sets.current, guards))
      return std::nullopt;
   votes.of[0] = std::move(*current);
   if (sets.next) {
      auto next = signersOf<CommitMessage>(block, 1, *confirm.nextCommits, block.commits, signatures);
      if (!next || !enough(*next, confirm.nextCommits->size(), *sets.next, guards))
         return std::nullopt;
      votes.of[1] = std::move(*next);
   }
   return votes;
}

PrepareCertificate prepareCertificate(const ForkBlock& block) {
   PrepareCertificate out{block.order(), listOf(block.prepares.of[0]), std::nullopt};
   if (block.sets().next && block.sets().next->bft())
      out.nextPrepares = listOf(block.prepares.of[1]);
   return out;
}

format::BlockConfirm commitCertificate(const ForkBlock& block) {
   format::BlockConfirm out{block.num, listOf(block.commits.of[0]), std::nullopt};
   if (block.sets().next)
      out.nextCommits = listOf(block.commits.of[1]);
   return out;
}

std::optional<WasmProducerMessage> checkedRelay(ByteView frame, const ChainConsensus& consensus, Signatures& signatures,
                                                bool membersOnly) {
   auto relay = decode<WasmProducerMessage>(frame);
   if (!relay)
      return std::nullopt;
   const auto& [message, packed, signature] = *relay;
   if (membersOnly && !consensus.sets.has(message.producer, message.signer))
      return std::nullopt;
   if (!answers(signatures, consensus.joint.current, message.signer,
                detail::signedDigest(MessageType::wasmProducer, packed), signature))
      return std::nullopt;
   return message;
}

} // namespace polis::consensus

// A chain without services and keys, for tests and simulation: blocks that follow every rule of their header, and
// signatures that anybody could forge and nobody does.
#pragma once

#include "consensus/consensus.hpp"
#include "format/ids.hpp"
#include "format/merkle.hpp"

#include <cstring>
#include <set>

namespace polis::consensus {

/// Key number n of the test chain.
inline Claim testClaim(std::uint64_t n) {
   Bytes raw(8);
   std::memcpy(raw.data(), &n, 8);
   return {AccountNumber("verify-sig"), std::move(raw)};
}

class TestSignatures final : public Signatures {
public:
   std::set<Bytes> keys; ///< raw data of the claims that this node can answer
   std::uint64_t checks = 0;
   bool believing = false; ///< takes any signature, as a fuzz target must

   static Bytes signatureOf(const Claim& claim, const Checksum256& digest) {
      std::uint64_t h = 0x9E3779B97F4A7C15;
      const auto mix = [&](const std::uint8_t* data, std::size_t size) {
         for (std::size_t i = 0; i + 8 <= size; i += 8) {
            std::uint64_t word;
            std::memcpy(&word, data + i, 8);
            h = (h ^ word) * 0xBF58476D1CE4E5B9;
            h ^= h >> 29;
         }
      };
      mix(claim.rawData.data(), claim.rawData.size());
      mix(digest.data(), digest.size());
      Bytes out(8);
      std::memcpy(out.data(), &h, 8);
      out[0] = 'y'; // what the verify service of the kernel's tests asks for
      return out;
   }
   bool verify(const format::Consensus&, const Claim& claim, const Checksum256& digest, ByteView signature) override {
      ++checks;
      if (believing)
         return true;
      const Bytes expected = signatureOf(claim, digest);
      return signature.size() >= 8 && std::memcmp(expected.data(), signature.data(), 8) == 0 && signature.size() <= 9;
   }
   bool canSign(const Claim& claim) override { return keys.contains(claim.rawData); }
   std::optional<Bytes> sign(const Claim& claim, const Checksum256& digest) override {
      return canSign(claim) ? std::optional(signatureOf(claim, digest)) : std::nullopt;
   }
};

template <SignedContent M>
Bytes testFrame(const M& message) {
   return encode(message, TestSignatures::signatureOf(message.signer, digestOf(message)));
}

inline format::Consensus testConsensus(Algorithm algorithm, std::vector<format::Producer> producers) {
   format::Consensus out;
   if (algorithm == Algorithm::bft)
      out.data = format::BftConsensus{std::move(producers)};
   else
      out.data = format::CftConsensus{std::move(producers)};
   return out;
}

/// A place to build on.
struct Spot {
   BlockId id{};
   format::BlockHeader header{};
   ChainConsensusPtr end;

   static Spot of(const BlockPtr& block, const Spot& parent) {
      return {format::blockId(block->block.header), block->block.header,
              consensusAfter(consensusForChild(parent.end, parent.header.commitNum), block->block.header)};
   }
   ChainConsensusPtr after() const { return consensusForChild(end, header.commitNum); }
};

inline format::SignedTransaction testTransaction(const char* method, Bytes rawData, std::int64_t expirationSec) {
   format::Transaction transaction;
   transaction.tapos.expiration = {expirationSec};
   transaction.actions.push_back(
       {AccountNumber{}, AccountNumber("transact"), format::MethodNumber(method), std::move(rawData)});
   return {format::Nested<format::Transaction>(transaction), {}, std::vector<Bytes>{}};
}

/// Fills in what follows from the rest of a block, and signs it.
inline BlockPtr sealedTestBlock(const Spot& parent, format::SignedBlock block) {
   format::BlockHeader& header = block.block.header;
   header.previous = parent.id;
   header.blockNum = parent.header.blockNum + 1;
   format::Merkle tree;
   for (const auto& transaction : block.block.transactions)
      tree.push(format::merkleLeaf(format::transactionInfo(transaction)));
   header.trxMerkleRoot = tree.root();
   const ChainConsensusPtr start = parent.after();
   header.consensusState = consensusAfter(start, header)->hash;
   const format::Producer* author = start->sets.current.find(header.producer);
   if (!author && start->sets.next)
      author = start->sets.next->find(header.producer);
   if (author && author->auth.service)
      block.signature =
          TestSignatures::signatureOf(author->auth, format::blockSignatureDigest(format::blockId(header)));
   return std::make_shared<const format::SignedBlock>(std::move(block));
}

} // namespace polis::consensus

#include "peer/light_chain.hpp"

#include "consensus/certificate.hpp"
#include "format/ids.hpp"

namespace polis::peer {

using consensus::ForkBlock;

std::expected<void, std::string> LightChain::add(const format::SignedBlock& block) {
   const format::BlockHeader& header = block.block.header;
   const auto bad = [&](const std::string& why) {
      return std::unexpected("header " + std::to_string(header.blockNum) + " " + why);
   };
   ForkBlock next;
   next.id = format::blockId(header);
   next.num = header.blockNum;
   next.commitNum = header.commitNum;
   if (!end_ && (header.blockNum != 2 || header.previous != consensus::BlockId{}))
      return bad("is not that of genesis, with which headers begin");
   if (header.blockNum <= num_)
      return bad("comes behind one that is no lower");
   if (header.blockNum == num_ + 1 && header.previous != id_)
      return bad("has another parent than the header before it");
   if (header.time.microseconds <= timeUs_)
      return bad("is no later than one before it");
   if (header.commitNum > header.blockNum)
      return bad("says that a later block is irreversible");
   next.start = after_;
   if (header.newConsensus && after_->sets.joint())
      return bad("begins a change of producers before the last one has ended");
   next.end = consensus::consensusAfter(after_, header);
   if (next.end->hash != header.consensusState)
      return bad(
          "has another consensus state than follows from the headers before it: one is missing, or it is forged");
   if (!consensus::codeIsOfHeader(header, after_->joint))
      return bad("does not bring the code of its services, or brings other code");

   const auto claim = format::authorClaim(after_->joint, header.producer);
   if (!claim)
      return bad("is by " + header.producer.str() + ", who is no producer there");
   if (!consensus::answers(*signatures_, after_->joint.current, *claim, format::blockSignatureDigest(next.id),
                           block.signature))
      return bad("is not signed by " + header.producer.str());

   const bool ends = format::jointIsOver(next.end->joint, header.commitNum);
   if (ends && next.end->sets.current.bft() && !next.end->sets.single())
      if (auto proven = checkEnd(next, block); !proven)
         return bad(proven.error());

   id_ = next.id;
   num_ = next.num;
   timeUs_ = header.time.microseconds;
   end_ = next.end;
   after_ = consensus::consensusForChild(end_, header.commitNum);
   if (after_->sets.joint()) {
      if (joint_.size() >= jointHeadersMax)
         return bad("is one too many of a change of producers that does not end");
      joint_.emplace(next.num, std::move(next));
   } else {
      joint_.clear();
   }
   return {};
}

/// A change from BFT ends with a proof that one of its blocks is irreversible, by both sets.
std::expected<void, std::string> LightChain::checkEnd(const ForkBlock& last, const format::SignedBlock& header) const {
   if (!header.auxConsensusData)
      return std::unexpected("ends a change of producers without proof");
   const auto confirm = format::unpack<format::BlockConfirm>(*header.auxConsensusData);
   if (!confirm || confirm->blockNum < last.commitNum || confirm->blockNum > last.num)
      return std::unexpected("has a proof that is malformed, or for another height");
   const ForkBlock* proven = &last;
   if (confirm->blockNum != last.num) {
      const auto at = joint_.find(confirm->blockNum);
      if (at == joint_.end())
         return std::unexpected("proves block " + std::to_string(confirm->blockNum) + ", whose header is missing");
      proven = &at->second;
   }
   if (!consensus::checkedCommits(*proven, *confirm, *signatures_, {}))
      return std::unexpected("has a proof that proves nothing");
   return {};
}

} // namespace polis::peer

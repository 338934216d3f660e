// What becomes of consensus, told for the log: who is silent, who leads, since when nothing is decided.
#pragma once

#include "consensus/consensus.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace polis::node {

/// Pure, one thread; times in microseconds of a clock that never goes back. Tells each thing once.
class ConsensusStory {
public:
   /// A producer that says nothing for so long is missed; honest ones vote at least once a second.
   static constexpr std::int64_t silenceUs = 5'000'000;
   /// Nothing irreversible for so long is worth a line.
   static constexpr std::int64_t standstillUs = 5'000'000;

   /// Of one moment. Of one producer alone nothing is told but that it is one.
   struct Moment {
      std::int64_t nowUs = 0;
      std::set<format::AccountNumber> producers{};
      bool bft = false;
      /// 0: this node only follows, and need not hear the votes of others.
      format::AccountNumber self{};
      /// Whether everybody's votes come here. Under CFT they go to the leader, and others hear the leader alone.
      bool hearsAll = true;
      consensus::TermNum term = 0;
      /// Whoever leads the term, where that is known.
      format::AccountNumber leader{};
      consensus::BlockNum irreversible = 0;
      /// Of how many producers votes are needed.
      std::size_t quorum = 0;
   };
   struct Line {
      bool warning = false;
      std::string text{};
      friend bool operator==(const Line&, const Line&) = default;
   };

   /// Something came that says it is from this producer: for the log that is enough. Neighbours repeat what those have
   /// said who are gone by now, so that of one kind only what is greater than before counts; an empty mark always does.
   void heard(format::AccountNumber producer, consensus::MessageType kind, ByteView mark, std::int64_t nowUs);
   std::vector<Line> look(const Moment& moment);

private:
   struct Voice {
      std::int64_t lastUs = 0;
      std::int64_t missedSinceUs = 0; ///< 0: it is heard
      std::map<consensus::MessageType, Bytes> marks{};
   };
   std::map<format::AccountNumber, Voice> voices_;
   std::set<format::AccountNumber> producers_;
   bool bft_ = false;
   consensus::TermNum term_ = 0;
   format::AccountNumber leader_{};
   consensus::BlockNum irreversible_ = 0;
   std::int64_t decidedUs_ = 0;
   bool standing_ = false;
};

} // namespace polis::node

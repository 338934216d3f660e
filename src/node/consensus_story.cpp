#include "node/consensus_story.hpp"

#include <algorithm>

namespace polis::node {

namespace {

std::string seconds(std::int64_t us) { return std::to_string((us + 500'000) / 1'000'000) + " s"; }

std::string namesOf(const std::set<format::AccountNumber>& producers) {
   std::string out;
   for (const auto name : producers)
      out += (out.empty() ? "" : ", ") + name.str();
   return out;
}

} // namespace

void ConsensusStory::heard(format::AccountNumber producer, consensus::MessageType kind, ByteView mark,
                           std::int64_t nowUs) {
   // Whoever it says it is: names of strangers are not kept.
   const auto at = voices_.find(producer);
   if (at == voices_.end())
      return;
   if (!mark.empty()) {
      Bytes& last = at->second.marks[kind];
      if (!std::ranges::lexicographical_compare(last, mark))
         return;
      last = toBytes(mark);
   }
   at->second.lastUs = nowUs;
}

std::vector<ConsensusStory::Line> ConsensusStory::look(const Moment& now) {
   std::vector<Line> out;
   if (now.producers != producers_ || now.bft != bft_) {
      if (!producers_.empty() && !now.producers.empty())
         out.push_back({false, "The blocks are now made by " + namesOf(now.producers) +
                                   (now.producers.size() == 1 ? " alone"
                                    : now.bft                 ? ", under BFT"
                                                              : ", under CFT")});
      producers_ = now.producers;
      bft_ = now.bft;
      std::erase_if(voices_, [&](const auto& voice) { return !producers_.contains(voice.first); });
      for (const auto name : producers_)
         if (name != now.self)
            voices_.try_emplace(name, Voice{now.nowUs, 0, {}});
      decidedUs_ = now.nowUs;
      standing_ = false;
      term_ = now.term;
      leader_ = now.leader;
   }
   if (producers_.size() < 2)
      return out;

   if (now.self)
      for (auto& [name, voice] : voices_) {
         if (!now.hearsAll && name != now.leader) {
            voice.lastUs = now.nowUs;
            voice.missedSinceUs = 0;
         } else if (voice.missedSinceUs == 0 && now.nowUs - voice.lastUs >= silenceUs) {
            voice.missedSinceUs = voice.lastUs;
            out.push_back({true, name.str() + " has not been heard for " + seconds(now.nowUs - voice.lastUs)});
         } else if (voice.missedSinceUs != 0 && voice.lastUs > voice.missedSinceUs) {
            out.push_back(
                {false, name.str() + " is heard again, after " + seconds(voice.lastUs - voice.missedSinceUs)});
            voice.missedSinceUs = 0;
         }
      }

   if (now.term != term_ || now.leader != leader_) {
      std::string text = "Term " + std::to_string(now.term) +
                         (now.leader == format::AccountNumber() ? ": a leader is to be chosen"
                          : now.leader == now.self              ? ": this node leads"
                                                                : ": " + now.leader.str() + " leads");
      if (now.term != term_ && leader_ && leader_ != now.leader)
         text += "; before, it was " + leader_.str();
      if (now.leader || now.term != term_)
         out.push_back({false, std::move(text)});
      term_ = now.term;
      leader_ = now.leader;
   }

   if (now.irreversible != irreversible_) {
      irreversible_ = now.irreversible;
      if (standing_)
         out.push_back({false, "Blocks become irreversible again, after " + seconds(now.nowUs - decidedUs_)});
      standing_ = false;
      decidedUs_ = now.nowUs;
   } else if (!standing_ && now.nowUs - decidedUs_ >= standstillUs) {
      standing_ = true;
      std::string text = "Nothing has become irreversible since block " + std::to_string(irreversible_) + ", " +
                         seconds(now.nowUs - decidedUs_) + " ago; it takes " + std::to_string(now.quorum) + " of " +
                         std::to_string(producers_.size()) + " producers";
      if (now.self) {
         std::string missing;
         for (const auto& [name, voice] : voices_)
            if (now.nowUs - voice.lastUs >= silenceUs)
               missing += (missing.empty() ? "" : ", ") + name.str();
         text += missing.empty() ? ", and all of them are heard" : "; not heard: " + missing;
      }
      out.push_back({true, std::move(text)});
   }
   return out;
}

} // namespace polis::node

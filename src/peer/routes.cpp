#include "peer/routes.hpp"

#include <algorithm>
#include <utility>

namespace polis::peer {

namespace {

/// Whether `a` is newer than `b`, modulo 2¹⁶.
bool newer(std::uint16_t a, std::uint16_t b) { return a != b && static_cast<std::uint16_t>(a - b) < 0x8000; }

constexpr std::size_t askedMax = 1024;
/// Routers that one producer may have had: a lying neighbour invents them.
constexpr std::size_t sourcesMax = 4096;

} // namespace

void Routes::linkUp(PeerId peer) {
   links_.insert(peer);
   requestAll(peer);
}

void Routes::requestAll(PeerId from) {
   if (self_.value && producers_.contains(self_))
      advertise(self_, {seqno_, 0, router_}, from);
   for (const auto& [producer, destination] : destinations_)
      if (destination.chosen)
         advertise(producer, destination.adverts.at(*destination.chosen), from);
}

void Routes::linkDown(PeerId peer, std::int64_t nowUs) {
   links_.erase(peer);
   std::vector<AccountNumber> changed;
   for (auto& [producer, destination] : destinations_) {
      const bool was = destination.chosen == peer;
      destination.adverts.erase(peer);
      if (was) {
         destination.chosen.reset();
         changed.push_back(producer);
      }
   }
   for (const AccountNumber producer : changed)
      choose(producer, nowUs);
}

void Routes::setProducers(std::set<AccountNumber> producers) {
   if (producers == producers_)
      return;
   producers_ = std::move(producers);
   std::erase_if(destinations_, [this](const auto& d) { return !wanted(d.first); });
   std::erase_if(sources_, [this](const auto& s) { return !producers_.contains(s.first.first); });
   for (const PeerId link : links_) {
      requestAll(link);
      out_.push_back({link, consensus::encode(consensus::RequestRoutes{})});
   }
}

bool Routes::feasible(AccountNumber producer, const Advert& advert) const {
   if (advert.metric == infinity)
      return true;
   const auto source = sources_.find({producer, advert.router});
   if (source == sources_.end())
      return true;
   const Distance& best = source->second;
   return newer(advert.seqno, best.seqno) || (advert.seqno == best.seqno && advert.metric <= best.metric);
}

void Routes::update(PeerId from, const consensus::RouteUpdate& message, std::int64_t nowUs) {
   if (!links_.contains(from) || !wanted(message.producer))
      return;
   const std::uint16_t metric =
       message.metric >= infinity - 1 ? infinity : static_cast<std::uint16_t>(message.metric + 1);
   Destination& destination = destinations_[message.producer];
   if (metric == infinity) {
      destination.adverts.erase(from);
      if (destination.chosen == from)
         destination.chosen.reset();
   } else {
      destination.adverts[from] = {message.seqno, metric, message.router.value_or(0)};
   }
   choose(message.producer, nowUs);
}

void Routes::choose(AccountNumber producer, std::int64_t nowUs) {
   Destination& destination = destinations_[producer];
   std::optional<PeerId> best;
   for (const auto& [peer, advert] : destination.adverts) {
      if (!feasible(producer, advert))
         continue;
      if (!best || advert.metric < destination.adverts.at(*best).metric ||
          (advert.metric == destination.adverts.at(*best).metric && destination.chosen == peer))
         best = peer;
   }
   destination.chosen = best;
   if (!best) {
      if (destination.sent.metric != infinity) {
         destination.sent.metric = infinity;
         advertise(producer, {destination.sent.seqno, infinity, destination.sent.router}, std::nullopt);
      }
      if (!destination.adverts.empty() || destination.sent.seqno || destination.sent.router)
         askFor(producer, nowUs);
      return;
   }
   const Advert chosen = destination.adverts.at(*best);
   if (chosen.metric == destination.sent.metric && chosen.seqno == destination.sent.seqno &&
       chosen.router == destination.sent.router)
      return;
   destination.sent = chosen;
   Distance& distance = sources_[{producer, chosen.router}];
   if (distance.metric == infinity || newer(chosen.seqno, distance.seqno) ||
       (chosen.seqno == distance.seqno && chosen.metric < distance.metric))
      distance = {chosen.seqno, chosen.metric};
   if (sources_.size() > sourcesMax)
      sources_.clear();
   advertise(producer, chosen, std::nullopt);
}

void Routes::advertise(AccountNumber producer, const Advert& advert, std::optional<PeerId> only) {
   const Bytes frame = consensus::encode(consensus::RouteUpdate{producer, advert.seqno, advert.metric, advert.router});
   for (const PeerId link : links_)
      if (!only || *only == link)
         out_.push_back({link, frame});
}

void Routes::askFor(AccountNumber producer, std::int64_t nowUs) {
   const auto seqno = static_cast<std::uint16_t>(destinations_[producer].sent.seqno + 1);
   request(0, {producer, seqno, 64}, nowUs);
}

void Routes::request(PeerId from, const consensus::SeqnoRequest& message, std::int64_t nowUs) {
   if (message.producer == self_) {
      // Once a second at most, and never further than one was asked for.
      if (newer(message.seqno, seqno_) && nowUs - seqnoRaisedUs_ >= ownSeqnoIntervalUs) {
         seqnoRaisedUs_ = nowUs;
         ++seqno_;
      }
      if (producers_.contains(self_))
         advertise(self_, {seqno_, 0, router_}, std::nullopt);
      return;
   }
   if (!wanted(message.producer) || message.ttl == 0)
      return;
   const auto destination = destinations_.find(message.producer);
   if (from != 0 && destination != destinations_.end() && destination->second.chosen) {
      const Advert& have = destination->second.adverts.at(*destination->second.chosen);
      if (!newer(message.seqno, have.seqno)) {
         advertise(message.producer, have, from);
         return;
      }
   }
   std::erase_if(asked_, [nowUs](const auto& a) { return nowUs - a.second > requestMemoryUs; });
   if (asked_.size() >= askedMax || !asked_.insert({{message.producer, message.seqno}, nowUs}).second)
      return;
   const Bytes frame = consensus::encode(
       consensus::SeqnoRequest{message.producer, message.seqno, static_cast<std::uint16_t>(message.ttl - 1)});
   for (const PeerId link : links_)
      if (link != from)
         out_.push_back({link, frame});
}

std::optional<PeerId> Routes::next(AccountNumber producer) const {
   const auto destination = destinations_.find(producer);
   return destination == destinations_.end() ? std::nullopt : destination->second.chosen;
}

} // namespace polis::peer

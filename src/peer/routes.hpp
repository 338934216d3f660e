// Ways to producers: distance vector with the feasibility condition of Babel. Source: spec, consensus §5.3.
#pragma once

#include "consensus/messages.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace polis::peer {

using PeerId = std::uint64_t;
using format::AccountNumber;

/// Pure; time in microseconds. Updates are unauthenticated: a lying neighbour can draw messages to itself, never forge
/// them. Only producers are destinations, so the table is bounded by their number times the links'.
class Routes {
public:
   static constexpr std::uint16_t infinity = consensus::RouteUpdate::infinity;
   static constexpr std::int64_t requestMemoryUs = 30'000'000;
   static constexpr std::int64_t ownSeqnoIntervalUs = 1'000'000;

   struct Send {
      PeerId to = 0;
      Bytes frame;
   };

   /// router: random for each start of the process. self: the producer behind this node; 0: none.
   Routes(AccountNumber self, std::uint64_t router) : self_(self), router_(router) {}

   /// A new link hears every route.
   void linkUp(PeerId peer);
   void linkDown(PeerId peer, std::int64_t nowUs);
   /// Who may be a destination has changed.
   void setProducers(std::set<AccountNumber> producers);

   void update(PeerId from, const consensus::RouteUpdate& message, std::int64_t nowUs);
   void request(PeerId from, const consensus::SeqnoRequest& message, std::int64_t nowUs);
   void requestAll(PeerId from);

   /// The neighbour that leads to a producer.
   std::optional<PeerId> next(AccountNumber producer) const;
   /// What is to be sent since the last call.
   std::vector<Send> take() { return std::exchange(out_, {}); }

private:
   struct Advert {
      std::uint16_t seqno = 0;
      std::uint16_t metric = infinity; ///< the neighbour's own plus the link
      std::uint64_t router = 0;
   };
   struct Destination {
      std::map<PeerId, Advert> adverts;
      std::optional<PeerId> chosen;
      Advert sent; ///< as advertised last; infinite metric before
   };
   struct Distance {
      std::uint16_t seqno = 0;
      std::uint16_t metric = infinity;
   };
   using Source = std::pair<AccountNumber, std::uint64_t>;

   bool wanted(AccountNumber producer) const { return producer != self_ && producers_.contains(producer); }
   bool feasible(AccountNumber producer, const Advert& advert) const;
   void choose(AccountNumber producer, std::int64_t nowUs);
   void advertise(AccountNumber producer, const Advert& advert, std::optional<PeerId> only);
   void askFor(AccountNumber producer, std::int64_t nowUs);

   AccountNumber self_;
   std::uint64_t router_;
   std::uint16_t seqno_ = 0;
   std::int64_t seqnoRaisedUs_ = INT64_MIN / 2;
   std::set<PeerId> links_;
   std::set<AccountNumber> producers_;
   std::map<AccountNumber, Destination> destinations_;
   std::map<Source, Distance> sources_;
   std::map<std::pair<AccountNumber, std::uint16_t>, std::int64_t> asked_; ///< requests seen, and when
   std::vector<Send> out_;
};

} // namespace polis::peer

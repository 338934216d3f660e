#include "peer/routes.hpp"

#include <gtest/gtest.h>

namespace polis::peer {

namespace {

/// Nodes 1…n, named after their numbers; a link of a node is the number of the other end.
struct Net {
   std::map<PeerId, Routes> nodes;
   std::set<std::pair<PeerId, PeerId>> links;
   std::int64_t now = 0;

   explicit Net(PeerId count) {
      std::set<AccountNumber> all;
      for (PeerId i = 1; i <= count; ++i)
         all.insert(name(i));
      for (PeerId i = 1; i <= count; ++i)
         nodes.try_emplace(i, name(i), i * 1000).first->second.setProducers(all);
   }
   static AccountNumber name(PeerId i) { return AccountNumber("n" + std::string(1, static_cast<char>('a' + i))); }

   void link(PeerId a, PeerId b) {
      links.insert({a, b});
      links.insert({b, a});
      nodes.at(a).linkUp(b);
      nodes.at(b).linkUp(a);
      settle();
   }
   void cut(PeerId a, PeerId b) {
      links.erase({a, b});
      links.erase({b, a});
      nodes.at(a).linkDown(b, now);
      nodes.at(b).linkDown(a, now);
      settle();
   }
   void settle() {
      int rounds = 0;
      for (bool any = true; any;) {
         any = false;
         ASSERT_LT(++rounds, 1000) << "updates never end";
         now += 2'000'000;
         for (auto& [from, routes] : nodes)
            for (const auto& send : routes.take()) {
               any = true;
               if (!links.contains({from, send.to}))
                  continue;
               Routes& to = nodes.at(send.to);
               if (auto u = consensus::decode<consensus::RouteUpdate>(send.frame))
                  to.update(from, *u, now);
               else if (auto r = consensus::decode<consensus::SeqnoRequest>(send.frame))
                  to.request(from, *r, now);
               else
                  to.requestAll(from);
            }
      }
   }
   /// Hops from one node to another; -1: no way, or a loop.
   int hops(PeerId from, PeerId to) {
      for (int n = 0; n <= 20; ++n) {
         if (from == to)
            return n;
         const auto next = nodes.at(from).next(name(to));
         if (!next || !links.contains({from, *next}))
            return -1;
         from = *next;
      }
      return -1;
   }
};

} // namespace

TEST(Routes, theShortestWayThroughALine) {
   Net net(4);
   net.link(1, 2);
   net.link(2, 3);
   net.link(3, 4);
   EXPECT_EQ(net.hops(1, 4), 3);
   EXPECT_EQ(net.hops(4, 1), 3);
   net.link(1, 4);
   EXPECT_EQ(net.hops(1, 4), 1);
   EXPECT_EQ(net.hops(1, 3), 2);
}

TEST(Routes, anotherWayIsFoundWhenALinkBreaks) {
   Net net(4);
   net.link(1, 2);
   net.link(2, 3);
   net.link(3, 4);
   net.link(4, 1);
   net.cut(1, 2);
   EXPECT_EQ(net.hops(1, 2), 3);
   EXPECT_EQ(net.hops(2, 1), 3);
   net.cut(3, 4);
   EXPECT_EQ(net.hops(1, 2), -1);
   EXPECT_EQ(net.hops(1, 4), 1);
}

TEST(Routes, onlyProducersAreDestinations) {
   Routes routes(AccountNumber("a"), 1);
   routes.setProducers({AccountNumber("a"), AccountNumber("b")});
   routes.linkUp(7);
   routes.update(7, {AccountNumber("x"), 0, 0, 5}, 0);
   EXPECT_EQ(routes.next(AccountNumber("x")), std::nullopt);
   routes.update(7, {AccountNumber("b"), 0, 0, 5}, 0);
   EXPECT_EQ(routes.next(AccountNumber("b")), 7u);
   routes.update(9, {AccountNumber("b"), 0, 0, 5}, 0); // no such link
   EXPECT_EQ(routes.next(AccountNumber("b")), 7u);
}

TEST(Routes, anOldSequenceNumberIsNotFeasible) {
   Routes routes(AccountNumber("a"), 1);
   routes.setProducers({AccountNumber("b")});
   routes.linkUp(7);
   routes.linkUp(8);
   routes.update(7, {AccountNumber("b"), 5, 2, 50}, 0);
   routes.linkDown(7, 0);
   routes.update(8, {AccountNumber("b"), 4, 1, 50}, 0); // may be our own route, come back
   EXPECT_EQ(routes.next(AccountNumber("b")), std::nullopt);
   routes.update(8, {AccountNumber("b"), 6, 9, 50}, 0);
   EXPECT_EQ(routes.next(AccountNumber("b")), 8u);
}

} // namespace polis::peer

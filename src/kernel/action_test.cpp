// Actions and traces in their packed form.
#include "kernel/action.hpp"

#include "format/fracpack.hpp"

#include <gtest/gtest.h>

#include <random>

namespace polis::kernel {

using namespace format::literals;

namespace {

Bytes randomBytes(std::mt19937& random) { return Bytes(random() % 3 ? random() % 40 : 0, 'x'); }

ActionNode randomNode(std::mt19937& random, unsigned depth) {
   ActionNode node;
   node.action = packAction("alice"_a, "bob"_a, "do"_m, randomBytes(random));
   node.retval = randomBytes(random);
   node.totalTimeNs = static_cast<std::int64_t>(random());
   if (random() % 3 == 0)
      node.error = toText(randomBytes(random));
   for (unsigned i = depth ? random() % 4 : 0; i > 0; --i) {
      if (random() % 3 == 0)
         node.inner.emplace_back(toText(randomBytes(random)));
      else
         node.inner.emplace_back(std::make_unique<ActionNode>(randomNode(random, depth - 1)));
   }
   return node;
}

} // namespace

TEST(Action, whatCallbacksAreToldIsThePackedTrace) {
   std::mt19937 random(5);
   for (int i = 0; i < 500; ++i) {
      Outcome outcome;
      if (i % 20)
         outcome.action = randomNode(random, 4);
      if (i % 3 == 0)
         outcome.error = i % 2 ? "" : "why";
      const format::Checksum256 id{static_cast<std::uint8_t>(i)};
      const Bytes told = packTold(id, outcome);
      EXPECT_EQ(told, format::pack(std::tuple(id, outcome.trace()))) << i;
      EXPECT_TRUE((format::unpackStrict<std::tuple<format::Checksum256, format::TransactionTrace>>(told))) << i;
   }
}

} // namespace polis::kernel

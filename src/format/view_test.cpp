#include "format/view.hpp"

#include "format/chain.hpp"

#include <gtest/gtest.h>
#include <iterator>

namespace polis::format {
namespace {

using namespace literals;

static_assert(std::forward_iterator<ListOf<Action>::Iterator>);

TEST(View, readsATransactionInPlace) {
   const Transaction transaction{{.expiration = {10}, .flags = 1},
                                 {{"alice"_a, "tokens"_a, "credit"_m, {1, 2, 3}}, {"bob"_a, "nft"_a, "mint"_m, {}}},
                                 {}};
   const Bytes bytes = pack(SignedTransaction{Nested(transaction), {{7}, {}}, {}});
   const auto view = View<SignedTransaction>::of(bytes);
   ASSERT_TRUE(view);
   const auto nested = view->get<&SignedTransaction::transaction>();
   EXPECT_EQ(toHex(nested.bytes()), toHex(pack(transaction)));
   const View<Transaction> inner = nested.view();
   EXPECT_EQ(inner.get<&Transaction::tapos>(), transaction.tapos);
   const auto actions = inner.get<&Transaction::actions>();
   ASSERT_EQ(actions.size(), 2u);
   EXPECT_EQ(actions[1].get<&Action::sender>(), "bob"_a);
   EXPECT_TRUE(actions[1].get<&Action::rawData>().empty());
   std::size_t bytesSeen = 0;
   for (const View<Action> action : actions)
      bytesSeen += action.get<&Action::rawData>().size();
   EXPECT_EQ(bytesSeen, 3u);
   EXPECT_TRUE(inner.get<&Transaction::claims>().empty());
   EXPECT_EQ(view->get<&SignedTransaction::proofs>()[0].front(), 7);
   EXPECT_FALSE(view->get<&SignedTransaction::subjectiveData>());
   EXPECT_FALSE(View<SignedTransaction>::of(ByteView(bytes).first(bytes.size() - 1)));
}

TEST(View, readsEveryKind) {
   using T = std::tuple<std::optional<std::string>, std::variant<std::uint32_t, std::string>,
                        std::map<std::string, std::uint16_t>, std::array<std::string, 2>, std::vector<std::uint32_t>,
                        Memo, std::optional<std::optional<std::uint8_t>>, std::optional<Bytes>>;
   const Bytes bytes = pack(T("text", "alternative", {{"a", 1}, {"b", 2}}, {"x", ""}, {5, 6}, Memo{"memo"},
                              std::optional<std::uint8_t>(), Bytes()));
   const auto view = View<T>::of(bytes);
   ASSERT_TRUE(view);
   EXPECT_EQ(view->get<0>(), "text");
   EXPECT_EQ(view->get<1>().index(), 1u);
   EXPECT_EQ(view->get<1>().get<1>(), "alternative");
   EXPECT_FALSE(view->get<1>().get<0>());
   EXPECT_EQ(view->get<2>()[1].get<0>(), "b");
   EXPECT_EQ(view->get<2>()[1].get<1>(), 2);
   EXPECT_EQ(view->get<3>()[0], "x");
   EXPECT_EQ(view->get<3>()[1], "");
   EXPECT_EQ(view->get<4>()[1], 6u);
   EXPECT_EQ(view->get<5>(), "memo");
   ASSERT_TRUE(view->get<6>());
   EXPECT_FALSE(*view->get<6>());
   ASSERT_TRUE(view->get<7>());
   EXPECT_TRUE(view->get<7>()->empty());
}

TEST(View, elidedMembersAreAbsent) {
   const Bytes bytes = pack(BlockHeader{.blockNum = 5});
   const auto view = View<BlockHeader>::of(bytes);
   ASSERT_TRUE(view);
   EXPECT_EQ(view->get<&BlockHeader::blockNum>(), 5u);
   EXPECT_FALSE(view->get<&BlockHeader::newConsensus>());
   EXPECT_FALSE(view->get<&BlockHeader::authCode>());
}

TEST(View, fixedMembersAreUpdatedInPlace) {
   BlockHeader header{.blockNum = 5, .newConsensus = Consensus()};
   Bytes bytes = pack(header);
   EXPECT_TRUE(updateField<&BlockHeader::commitNum>(bytes, 4u));
   header.commitNum = 4;
   EXPECT_EQ(bytes, pack(header));
   Bytes broken(3);
   EXPECT_FALSE(updateField<&BlockHeader::commitNum>(broken, 4u));
}

} // namespace
} // namespace polis::format

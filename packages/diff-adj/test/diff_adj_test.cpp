#include "diff-adj/service/diff_adj.hpp"
#include "nft/service/nft.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::DiffAdj;
using polis::services::Nfts;
using polis::services::RateLimit;

namespace {

constexpr std::uint32_t percent = 10'000; // ppm

/// A difficulty of alice's. Without more: 1000, windows of 10 s, targets 2 to 3, floor 100, 5 % up and down.
struct Fixture {
   struct Settings {
      std::uint64_t initial = 1000;
      std::uint32_t window = 10, least = 2, most = 3;
      std::uint64_t floor = 100;
      std::uint32_t up = 5 * percent, down = 5 * percent;
   };

   TestChain chain{"DiffAdjust"};
   TestAccount alice = chain.account("alice"), bob = chain.account("bob");
   std::uint32_t nft = 0;

   explicit Fixture(Settings s) {
      nft = alice.to<DiffAdj>().create(s.initial, s.window, s.least, s.most, s.floor, s.up, s.down).value();
      alice.to<Nfts>().debit(nft, "").succeeds();
   }
   Fixture() : Fixture(Settings{}) {}

   std::uint64_t difficulty() { return bob.to<DiffAdj>().get_diff(nft).value(); }
   std::uint64_t count(std::uint32_t amount) { return alice.to<DiffAdj>().increment(nft, amount).value(); }
   RateLimit row() { return chain.row<DiffAdj::Limits>(DiffAdj::account, nft).value_or(RateLimit{}); }
   std::int64_t start() { return row().last_update.seconds; }
   /// The next block is at this time.
   void at(std::int64_t second) {
      chain.finishBlock();
      chain.advance(second - 1 - chain.timeUs() / 1'000'000);
   }
};

} // namespace

POLIS_TEST(diff_adj_settings_are_checked) {
   TestChain chain("DiffAdjust");
   const auto alice = chain.account("alice");
   alice.to<DiffAdj>().create(1, 0, 1, 2, 0, 1, 1).fails("window seconds must be above 0");
   alice.to<DiffAdj>().create(1, 1, 3, 2, 0, 1, 1).fails("target_min must not exceed target_max");
   alice.to<DiffAdj>().create(1, 1, 1, 2, 0, 1, 1'000'001).fails("decrease_ppm must not exceed 1_000_000");
   const auto nft = alice.to<DiffAdj>().create(1, 1, 0, 0, 0, 5'000'000, 1'000'000).value();
   expectEqual(alice.to<Nfts>().getNft(nft).value().owner, DiffAdj::account); // credited, not yet debited
   alice.to<Nfts>().debit(nft, "").succeeds();
   alice.to<DiffAdj>().set_window(nft, 0).fails("window seconds must be above 0");
   alice.to<DiffAdj>().set_targets(nft, 3, 2).fails("target_min must not exceed target_max");
   alice.to<DiffAdj>().set_ppm(nft, 1, 1'000'001).fails("decrease_ppm must not exceed 1_000_000");
   alice.to<DiffAdj>().get_diff(nft + 1).fails("no difficulty belongs to this NFT");
   expect(!alice.to<DiffAdj>().get(nft + 1).value(), "none belongs to it");
}

POLIS_TEST(diff_adj_the_consumer_counts_and_the_holder_of_the_nft_administers) {
   Fixture f;
   f.bob.to<DiffAdj>().increment(f.nft, 1).fails("only its consumer may count activity");
   f.bob.to<DiffAdj>().set_targets(f.nft, 1, 1).fails("only the holder of its NFT may do this");
   f.bob.to<DiffAdj>().set_window(f.nft, 1).fails("only the holder of its NFT may do this");
   f.bob.to<DiffAdj>().set_floor(f.nft, 1).fails("only the holder of its NFT may do this");
   f.bob.to<DiffAdj>().set_ppm(f.nft, 1, 1).fails("only the holder of its NFT may do this");
   f.bob.to<DiffAdj>().remove(f.nft).fails("only the holder of its NFT may do this");
   f.alice.to<Nfts>().credit(f.nft, f.bob, "").succeeds();
   f.bob.to<Nfts>().debit(f.nft, "").succeeds();
   f.bob.to<DiffAdj>().set_targets(f.nft, 5, 7).succeeds();
   const auto targets = f.bob.to<DiffAdj>().get_targets(f.nft).value();
   expect(targets == std::tuple{5u, 7u}, "the new targets");
   f.alice.to<DiffAdj>().set_window(f.nft, 1).fails("only the holder of its NFT may do this");
   expectEqual(f.count(1), 1000u); // alice is still the consumer
   f.bob.to<DiffAdj>().remove(f.nft).succeeds();
   f.alice.to<DiffAdj>().increment(f.nft, 1).fails("no difficulty belongs to this NFT");
   expect(f.bob.to<Nfts>().exists(f.nft).value(), "the NFT stays");
}

POLIS_TEST(diff_adj_starts_in_the_second_after_its_making) {
   TestChain chain("DiffAdjust");
   const auto alice = chain.account("alice");
   const auto nft = alice.to<DiffAdj>().create(1, 1, 0, 0, 0, 0, 0).value();
   chain.finishBlock();
   expectEqual(chain.row<DiffAdj::Limits>(DiffAdj::account, nft).value_or(RateLimit{}).last_update.seconds,
               chain.timeUs() / 1'000'000 + 1);
}

POLIS_TEST(diff_adj_falls_once_a_window_cut_off_each_time) {
   Fixture f;
   const auto start = f.start();
   f.at(start + 9);
   expectEqual(f.difficulty(), 1000u);
   f.at(start + 10);
   expectEqual(f.difficulty(), 950u);
   f.at(start + 39); // three windows: 950, 902.5, 856.9
   expectEqual(f.difficulty(), 856u);
   expectEqual(f.row().active_difficulty, 1000u); // asking stores nothing
   expectEqual(f.count(1), 856u);
   expectEqual(f.row().active_difficulty, 856u);
   expectEqual(f.start(), start + 30); // whole windows
   f.at(start + 10'000);
   expectEqual(f.difficulty(), 100u); // the floor
}

POLIS_TEST(diff_adj_activity_decides_for_all_windows_that_have_passed) {
   Fixture f;
   const auto start = f.start();
   f.count(2); // enough
   f.at(start + 55);
   expectEqual(f.difficulty(), 1000u);
   expectEqual(f.count(1), 1000u);
   expectEqual(f.start(), start + 50);
   expectEqual(f.row().activity_count, 1u); // what the new window brought
   f.at(start + 60);
   expectEqual(f.difficulty(), 950u);
}

POLIS_TEST(diff_adj_rises_for_each_target_and_one_and_keeps_the_rest) {
   Fixture f;
   expectEqual(f.count(3), 1000u);
   expectEqual(f.difficulty(), 1000u);
   expectEqual(f.count(1), 1000u); // four: the answer is from before the rise
   expectEqual(f.difficulty(), 1050u);
   expectEqual(f.row().activity_count, 0u);
   expectEqual(f.count(11), 1050u);    // twice, and three remain
   expectEqual(f.difficulty(), 1157u); // 1157.6
   expectEqual(f.row().activity_count, 3u);
   f.count(1);
   expectEqual(f.difficulty(), 1214u);
   f.chain.finishBlock();
   const auto row = f.row();
   expect(row.last_update.seconds <= f.chain.timeUs() / 1'000'000 + 1 &&
              row.last_update.seconds >= f.chain.timeUs() / 1'000'000,
          "a rise begins a new window in the next second");
}

POLIS_TEST(diff_adj_rises_saturate) {
   Fixture f({.initial = 1'000'000, .least = 0, .most = 0, .up = UINT32_MAX});
   f.count(UINT32_MAX);
   expectEqual(f.difficulty(), UINT64_MAX);
   f.count(1);
   expectEqual(f.difficulty(), UINT64_MAX);
   Fixture g({.initial = 7, .least = UINT32_MAX, .most = UINT32_MAX, .up = percent});
   g.count(UINT32_MAX);
   expectEqual(g.difficulty(), 7u);
   g.count(UINT32_MAX);
   expectEqual(g.row().activity_count, UINT32_MAX - 1);
   Fixture h({.initial = 0, .least = 0, .most = 0, .floor = 0}); // nothing, for ever, and at once
   h.count(UINT32_MAX);
   expectEqual(h.difficulty(), 0u);
}

POLIS_TEST(diff_adj_extremes_of_the_way_down) {
   Fixture f({.initial = UINT64_MAX, .floor = 3, .down = 100 * percent});
   f.at(f.start() + 10);
   expectEqual(f.difficulty(), 3u);
   Fixture g({.initial = UINT64_MAX - 1, .floor = 0, .down = 0});
   g.at(g.start() + 1'000'000);
   expectEqual(g.difficulty(), UINT64_MAX - 1); // no rounding where nothing falls
   Fixture h({.initial = 1'000'000, .window = 1, .floor = 0, .down = 1});
   h.at(h.start() + 400'000'000); // more windows than it takes to reach nothing
   expectEqual(h.difficulty(), 0u);
}

POLIS_TEST(diff_adj_new_settings_count_from_now) {
   Fixture f;
   const auto start = f.start();
   f.at(start + 20);
   f.alice.to<DiffAdj>().set_ppm(f.nft, 100 * percent, 50 * percent).succeeds();
   expectEqual(f.row().active_difficulty, 902u); // the old windows at the old rate
   f.at(start + 30);
   expectEqual(f.difficulty(), 451u);
   f.alice.to<DiffAdj>().set_floor(f.nft, 500).succeeds();
   expectEqual(f.difficulty(), 500u);
   f.alice.to<DiffAdj>().set_window(f.nft, 1000).succeeds();
   f.at(start + 1000);
   expectEqual(f.difficulty(), 500u);
   f.count(3);
   f.alice.to<DiffAdj>().set_targets(f.nft, 0, 0).succeeds(); // three are above: one step, and forgotten
   expectEqual(f.difficulty(), 1000u);
   expectEqual(f.row().activity_count, 0u);
}

POLIS_TEST(diff_adj_graphql_shows_what_it_is_now) {
   Fixture f;
   f.at(f.start() + 10);
   f.chain.startBlock();
   const auto nft = std::to_string(f.nft);
   expectEqual(
       f.chain.graphql("diff-adj", "{ rateLimit(nftId: " + nft +
                                       ") { nftId windowSeconds activityCount targetMin targetMax "
                                       "activeDifficulty floorDifficulty increasePpm decreasePpm consumer admin } }"),
       R"({"data":{"rateLimit":{"nftId":)" + nft +
           R"(,"windowSeconds":10,"activityCount":0,"targetMin":2,"targetMax":3,"activeDifficulty":"950",)"
           R"("floorDifficulty":"100","increasePpm":50000,"decreasePpm":50000,"consumer":"alice","admin":"alice"}}})");
   expectEqual(f.chain.graphql("diff-adj", "{ rateLimit(nftId: 77) { nftId } }"), R"({"data":{"rateLimit":null}})");
}

POLIS_TEST_MAIN()

// Difficulties (prices, rates) that follow demand.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// One difficulty. It falls by `decrease_ppm` for each window with too little activity, never below the floor, and
/// rises by `increase_ppm` at once when there is too much.
struct RateLimit {
   /// Whoever holds this NFT changes the settings.
   std::uint32_t nft_id = 0;
   std::uint32_t window_seconds = 0;
   /// In the present window, as far as no rise has used it up.
   std::uint32_t activity_count = 0;
   std::uint32_t target_min = 0;
   std::uint32_t target_max = 0;
   std::uint64_t floor_difficulty = 0;
   std::uint64_t active_difficulty = 0;
   /// Where the present window begins.
   TimePointSec last_update;
   std::uint32_t increase_ppm = 0;
   std::uint32_t decrease_ppm = 0;
   /// Whose activity counts: the account that made it.
   AccountNumber consumer;

   /// Ends the windows that have passed at `now`. The activity decides for all of them.
   void passTime(TimePointSec now);
   /// Counts activity and rises, at most `stepsMax` times. Returns whether it rose.
   bool rise(std::uint32_t amount, std::uint64_t stepsMax, TimePointSec now);
};

class DiffAdj : public Service {
public:
   static constexpr auto account = "diff-adj"_a;
   static constexpr std::uint32_t million = 1'000'000;
   using Limits = Table<0, RateLimit, &RateLimit::nft_id>;
   using Tables = std::tuple<Limits>;

   /// Makes a difficulty of which the sender is the consumer, and returns the NFT that administers it, which is
   /// credited to the sender. increase_ppm, decrease_ppm: millionths a step. Refuses: a window of no length; target_min
   /// above target_max; decrease_ppm above a million.
   std::uint32_t create(std::uint64_t initial_difficulty, std::uint32_t window_seconds, std::uint32_t target_min,
                        std::uint32_t target_max, std::uint64_t floor_difficulty, std::uint32_t increase_ppm,
                        std::uint32_t decrease_ppm);
   /// What it is now.
   /// As it was left by the last change.
   std::optional<RateLimit> get(std::uint32_t nft_id);
   std::uint64_t get_diff(std::uint32_t nft_id);
   /// Counts activity. Returns the difficulty before it rises for it. Sender: the consumer.
   std::uint64_t increment(std::uint32_t nft_id, std::uint32_t amount);

   // Sender of the rest: whoever holds the NFT.

   /// Activity above the new target makes it rise once, and is forgotten.
   void set_targets(std::uint32_t nft_id, std::uint32_t target_min, std::uint32_t target_max);
   void set_window(std::uint32_t nft_id, std::uint32_t seconds);
   /// Lifts the difficulty to the new floor where it is lower.
   void set_floor(std::uint32_t nft_id, std::uint64_t difficulty);
   void set_ppm(std::uint32_t nft_id, std::uint32_t increase_ppm, std::uint32_t decrease_ppm);
   /// The action `delete`. The NFT stays.
   void remove(std::uint32_t nft_id);
   /// (target_min, target_max). Anyone.
   std::tuple<std::uint32_t, std::uint32_t> get_targets(std::uint32_t nft_id);
};
POLIS_SERVICE(DiffAdj,
              action(create, initial_difficulty, window_seconds, target_min, target_max, floor_difficulty, increase_ppm,
                     decrease_ppm),
              action(get, nft_id), action(get_diff, nft_id), action(increment, nft_id, amount),
              action(set_targets, nft_id, target_min, target_max), action(set_window, nft_id, seconds),
              action(set_floor, nft_id, difficulty), action(set_ppm, nft_id, increase_ppm, decrease_ppm),
              named("delete", remove, nft_id), action(get_targets, nft_id))

} // namespace polis::services

#include "diff-adj/service/diff_adj.hpp"

#include "nft/service/nft.hpp"

#include <algorithm>

namespace polis::services {

namespace {

TimePointSec now() { return floorToSec(currentBlockTime()); }

/// A change shows in what comes after this block. Otherwise a window of one second would end with each block.
TimePointSec nextSecond() { return {now().seconds + 1}; }

RateLimit limitOf(std::uint32_t nft) {
   auto limit = open<DiffAdj::Limits>().get(nft);
   check(limit.has_value(), "no difficulty belongs to this NFT");
   return *limit;
}

void save(const RateLimit& limit) { open<DiffAdj::Limits>(Mode::readWrite).put(limit); }

/// For its administrator, with the windows up to now ended under the old settings.
RateLimit ownLimitOf(std::uint32_t nft) {
   auto limit = limitOf(nft);
   check(to<Nfts>().getNft(nft).owner == getSender(), "only the holder of its NFT may do this");
   limit.passTime(now());
   return limit;
}

void checkWindow(std::uint32_t seconds) { check(seconds > 0, "window seconds must be above 0"); }
void checkTargets(std::uint32_t least, std::uint32_t most) {
   check(least <= most, "target_min must not exceed target_max");
}
void checkDecrease(std::uint32_t ppm) { check(ppm <= DiffAdj::million, "decrease_ppm must not exceed 1_000_000"); }

} // namespace

std::uint32_t DiffAdj::create(std::uint64_t initial_difficulty, std::uint32_t window_seconds, std::uint32_t target_min,
                              std::uint32_t target_max, std::uint64_t floor_difficulty, std::uint32_t increase_ppm,
                              std::uint32_t decrease_ppm) {
   checkWindow(window_seconds);
   checkTargets(target_min, target_max);
   checkDecrease(decrease_ppm);
   const auto nft = to<Nfts>().mint();
   save({.nft_id = nft,
         .window_seconds = window_seconds,
         .activity_count = 0,
         .target_min = target_min,
         .target_max = target_max,
         .floor_difficulty = floor_difficulty,
         .active_difficulty = initial_difficulty,
         .last_update = nextSecond(),
         .increase_ppm = increase_ppm,
         .decrease_ppm = decrease_ppm,
         .consumer = getSender()});
   to<Nfts>().credit(nft, getSender(), Memo{"Administration of a difficulty"});
   return nft;
}

std::optional<RateLimit> DiffAdj::get(std::uint32_t nft_id) { return open<Limits>().get(nft_id); }

std::uint64_t DiffAdj::get_diff(std::uint32_t nft_id) {
   auto limit = limitOf(nft_id);
   limit.passTime(now());
   return limit.active_difficulty;
}

std::uint64_t DiffAdj::increment(std::uint32_t nft_id, std::uint32_t amount) {
   auto limit = limitOf(nft_id);
   check(limit.consumer == getSender(), "only its consumer may count activity");
   limit.passTime(now());
   const auto difficulty = limit.active_difficulty;
   limit.rise(amount, UINT64_MAX, now());
   save(limit);
   return difficulty;
}

void DiffAdj::set_targets(std::uint32_t nft_id, std::uint32_t target_min, std::uint32_t target_max) {
   checkTargets(target_min, target_max);
   auto limit = ownLimitOf(nft_id);
   limit.target_min = target_min;
   limit.target_max = target_max;
   if (limit.rise(0, 1, now()))
      limit.activity_count = 0;
   save(limit);
}

void DiffAdj::set_window(std::uint32_t nft_id, std::uint32_t seconds) {
   checkWindow(seconds);
   auto limit = ownLimitOf(nft_id);
   limit.window_seconds = seconds;
   save(limit);
}

void DiffAdj::set_floor(std::uint32_t nft_id, std::uint64_t difficulty) {
   auto limit = ownLimitOf(nft_id);
   limit.floor_difficulty = difficulty;
   limit.active_difficulty = std::max(limit.active_difficulty, difficulty);
   save(limit);
}

void DiffAdj::set_ppm(std::uint32_t nft_id, std::uint32_t increase_ppm, std::uint32_t decrease_ppm) {
   checkDecrease(decrease_ppm);
   auto limit = ownLimitOf(nft_id);
   limit.increase_ppm = increase_ppm;
   limit.decrease_ppm = decrease_ppm;
   save(limit);
}

void DiffAdj::remove(std::uint32_t nft_id) { open<Limits>(Mode::readWrite).remove(ownLimitOf(nft_id)); }

std::tuple<std::uint32_t, std::uint32_t> DiffAdj::get_targets(std::uint32_t nft_id) {
   const auto limit = limitOf(nft_id);
   return {limit.target_min, limit.target_max};
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::DiffAdj)

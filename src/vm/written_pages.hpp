// Knows which pages of an instance's memory were written, so that it can be made fresh by copying those back. Included
// by vm only.
//
// Pages start read-only. The first write to one faults once; the page is then writable for as long as the instance
// lives, and is restored at each reset, written or not. An instance in use again and again therefore neither faults nor
// makes system calls.
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace polis::vm {

class WrittenPages {
public:
   static constexpr std::size_t pageBytes = 4096;
   /// An instance that writes more is not worth keeping.
   static constexpr std::size_t pagesMax = 48;

   /// Watches [base, base + bytes), whole pages. expected: pages made writable at once, ascending.
   /// False if this machine does not allow it: then everything is writable, and nothing is watched.
   bool watch(std::uint8_t* base, std::size_t bytes, std::span<const std::uint32_t> expected);

   /// Everything writable again, as the engine left it. Must come before the memory is given back to it.
   void unwatch();

   /// The host is about to write there itself.
   void willWrite(const std::uint8_t* at, std::size_t bytes);

   /// More pages were written than are kept track of.
   bool lostTrack() const { return lost_; }

   std::span<const std::uint32_t> pages() const { return {pages_.data(), count_}; }

   /// Restores every page that may have been written. image: what the memory holds from byte `imageAt` on,
   /// page-aligned; zero elsewhere.
   void restore(ByteView image, std::size_t imageAt);

   /// From the fault handler. True if the access may be tried again.
   bool admit(const std::uint8_t* at) noexcept;

   /// While it lives, faults of this thread in `pages` are admitted.
   class Active {
   public:
      explicit Active(WrittenPages& pages);
      ~Active();
      Active(const Active&) = delete;
      Active& operator=(const Active&) = delete;

   private:
      friend struct FaultHandler;
      WrittenPages& pages_;
      Active* below_;
   };

   /// Puts the fault handler before the engine's. Once the engine has its own; any number of times.
   static void installHandler();

private:
   bool has(std::size_t page) const { return writable_[page / 64] >> (page % 64) & 1; }

   static constexpr std::size_t watchedPagesMax = 8192; ///< 32 MiB, the protocol's default limit of a memory
   std::uint8_t* base_ = nullptr;
   std::size_t bytes_ = 0;
   bool lost_ = false;
   std::size_t count_ = 0;
   std::array<std::uint32_t, pagesMax> pages_{};
   std::array<std::uint64_t, watchedPagesMax / 64> writable_{};
};

} // namespace polis::vm

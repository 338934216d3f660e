// What a process died of, for the next one to know.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

namespace polis {

/// Notes of what each thread is doing, in a mapped file. They outlive the process, however it ends, without a system
/// call; a power cut may lose them. While one is open, a fatal signal (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT) first
/// marks the note of its thread. Handlers that are to come first are installed afterwards, and hand on what is not
/// theirs.
class CrashRecord {
public:
   using Note = std::array<std::uint8_t, 48>;

   /// A note that stood when the last process ended.
   struct Left {
      Note note{};
      bool crashed = false; ///< a fatal signal came in this thread; else it had been at it for longer than `stuckNs`
   };
   /// A thread that the process last saw alive had been at one thing so long was stuck: whoever ended the process had
   /// reason to.
   static constexpr std::int64_t stuckNs = 60'000'000'000;
   /// Threads beyond this number leave no notes.
   static constexpr std::size_t threadsMax = 256;

   /// Opens or makes the file, and starts it afresh. Throws Fault.
   explicit CrashRecord(const std::filesystem::path& file);
   ~CrashRecord();
   CrashRecord(const CrashRecord&) = delete;
   CrashRecord& operator=(const CrashRecord&) = delete;

   /// What the last process left; of threads that were neither hit nor stuck, nothing.
   const std::vector<Left>& left() const { return left_; }

   /// The process is alive. nowNs: of the same clock as Scope's.
   void beat(std::int64_t nowNs);

   struct Slot;

   /// This thread does what `note` says; afterwards, again what it did before.
   class Scope {
   public:
      /// record: may be null; then nothing happens.
      Scope(CrashRecord* record, const Note& note, std::int64_t nowNs);
      ~Scope();
      Scope(const Scope&) = delete;
      Scope& operator=(const Scope&) = delete;

   private:
      Slot* slot_ = nullptr;
      bool outermost_ = false;
      Note before_;
      std::int64_t sinceBefore_ = 0;
   };

private:
   struct Page;
   Slot* take();

   Page* page_ = nullptr;
   std::vector<Left> left_;
};

} // namespace polis

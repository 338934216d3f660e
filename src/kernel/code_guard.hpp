// Code that has brought this node down.
#pragma once

#include "base/crash_record.hpp"
#include "format/names.hpp"
#include "format/types.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <string>

namespace polis::kernel {

/// Remembers over restarts which code ran, or was compiled, in the thread of which the process died. After `timesMax`
/// deaths the node runs that code no more where that is its own choice, so that it does not die of it for ever.
/// Any thread.
class CodeGuard {
public:
   static constexpr unsigned timesMax = 2;

   enum class Purpose : std::uint8_t { choice, committed, compile };

   /// Knows nothing, and notes nothing.
   CodeGuard() = default;
   /// file: what is remembered, a line for each code: hash, service, deaths, deaths in committed blocks. Whoever
   /// removes it lets all code run again. record: where it is noted what runs, and what the last process left; may be
   /// null. tell: hears what that died of. Throws Fault.
   CodeGuard(const std::filesystem::path& file, CrashRecord* record,
             const std::function<void(const std::string&)>& tell);

   /// Where the node may choose, this code does not run.
   bool refused(const format::Checksum256& hash) const { return !known_.empty() && deaths(hash).all >= timesMax; }
   /// A committed block that runs this code would bring the node down again.
   bool halts(const format::Checksum256& hash) const { return !known_.empty() && deaths(hash).committed >= timesMax; }

   /// While it lives, this thread runs (or compiles) this code.
   class Running {
   public:
      Running(const CodeGuard& guard, const format::Checksum256& hash, format::AccountNumber service, Purpose purpose,
              std::int64_t nowNs);

   private:
      CrashRecord::Scope scope_;
   };

private:
   struct Deaths {
      std::string service;
      unsigned all = 0, committed = 0;
   };
   const Deaths& deaths(const format::Checksum256& hash) const;
   void load(const std::filesystem::path& file);
   void save(const std::filesystem::path& file) const;

   CrashRecord* record_ = nullptr;
   std::map<format::Checksum256, Deaths> known_; ///< not changed once constructed
};

} // namespace polis::kernel

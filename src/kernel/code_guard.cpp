#include "kernel/code_guard.hpp"

#include "base/bytes.hpp"
#include "base/fault.hpp"

#include <cstring>
#include <fstream>
#include <sstream>

namespace polis::kernel {

namespace {

/// hash (32), account (8), purpose (1).
CrashRecord::Note noteOf(const format::Checksum256& hash, format::AccountNumber service, CodeGuard::Purpose purpose) {
   CrashRecord::Note note{};
   std::memcpy(note.data(), hash.data(), 32);
   std::memcpy(note.data() + 32, &service.value, 8);
   note[40] = static_cast<std::uint8_t>(purpose);
   return note;
}

} // namespace

CodeGuard::CodeGuard(const std::filesystem::path& file, CrashRecord* record,
                     const std::function<void(const std::string&)>& tell)
   : record_(record) {
   load(file);
   if (!record || record->left().empty())
      return;
   for (const auto& left : record->left()) {
      format::Checksum256 hash;
      std::memcpy(hash.data(), left.note.data(), 32);
      format::AccountNumber service;
      std::memcpy(&service.value, left.note.data() + 32, 8);
      const auto purpose = static_cast<Purpose>(left.note[40]);
      if (hash == format::Checksum256{})
         continue;
      Deaths& deaths = known_[hash];
      deaths.service = service.str();
      ++deaths.all;
      deaths.committed += purpose == Purpose::committed;
      tell("the last process " + std::string(left.crashed ? "died" : "was stuck and ended") +
           (purpose == Purpose::compile ? " compiling" : " running") + " the code of " + deaths.service + " (" +
           toHex(ByteView(hash).first(8)) + "…), time " + std::to_string(deaths.all) +
           (deaths.all < timesMax
                ? ""
                : ": from now on this node does not run it of its own choice. To let it again, remove " +
                      file.string()));
   }
   save(file);
}

const CodeGuard::Deaths& CodeGuard::deaths(const format::Checksum256& hash) const {
   static const Deaths none;
   const auto at = known_.find(hash);
   return at == known_.end() ? none : at->second;
}

void CodeGuard::load(const std::filesystem::path& file) {
   std::ifstream in(file);
   for (std::string line; std::getline(in, line);) {
      std::istringstream words(line);
      std::string hex;
      Deaths deaths;
      const auto bytes = words >> hex >> deaths.service >> deaths.all >> deaths.committed ? fromHex(hex) : std::nullopt;
      format::Checksum256 hash;
      if (!bytes || bytes->size() != hash.size())
         throw Fault(file.string() + " has a line that was not written by this program; mend it, or remove the file");
      std::copy(bytes->begin(), bytes->end(), hash.begin());
      known_[hash] = deaths;
   }
}

void CodeGuard::save(const std::filesystem::path& file) const {
   auto fresh = file;
   fresh += ".new";
   std::ofstream out(fresh);
   for (const auto& [hash, deaths] : known_)
      out << toHex(ByteView(hash)) << ' ' << deaths.service << ' ' << deaths.all << ' ' << deaths.committed << '\n';
   out.close();
   std::error_code failed;
   if (out)
      std::filesystem::rename(fresh, file, failed);
   if (!out || failed)
      throw Fault("cannot write " + file.string());
}

CodeGuard::Running::Running(const CodeGuard& guard, const format::Checksum256& hash, format::AccountNumber service,
                            Purpose purpose, std::int64_t nowNs)
   : scope_(guard.record_, noteOf(hash, service, purpose), nowNs) {}

} // namespace polis::kernel

#include "kernel/journal_record.hpp"

#include "base/fault.hpp"
#include "format/fracpack.hpp"
#include "kernel/databases.hpp"

namespace polis::kernel {

namespace {

enum class Kind : std::uint8_t { localCommit = 1, block = 2, head = 3, executed = 4, memory = 5, irreversible = 6 };

struct PackedWrite {
   Bytes key{};
   std::optional<Bytes> value{};
};

template <class T>
Bytes record(Kind kind, const T& content) {
   Bytes out{static_cast<std::uint8_t>(kind)};
   format::packInto(out, content);
   return out;
}

template <class T>
T content(ByteView bytes) {
   auto value = format::unpack<T>(bytes);
   if (!value)
      throw Fault("the journal holds a record that cannot be read");
   return std::move(*value);
}

} // namespace

std::optional<Bytes> packLocalCommit(const std::vector<LocalWrite>& writes) {
   std::vector<PackedWrite> kept;
   for (const LocalWrite& w : writes)
      if (isKeptDb(w.key[0]))
         kept.push_back({w.key, w.value});
   if (kept.empty())
      return std::nullopt;
   return record(Kind::localCommit, kept);
}

Bytes packBlockRecord(const format::SignedBlock& block, bool becameHead) {
   return record(becameHead ? Kind::block : Kind::executed, block);
}

Bytes packHeadRecord(const format::Checksum256& id) { return record(Kind::head, id); }

Bytes packIrreversibleRecord(const format::Checksum256& id) { return record(Kind::irreversible, id); }

Bytes packMemoryRecord(ByteView memory) {
   Bytes out{static_cast<std::uint8_t>(Kind::memory)};
   append(out, memory);
   return out;
}

JournalRecord unpackJournalRecord(ByteView bytes) {
   if (bytes.empty())
      throw Fault("the journal holds an empty record");
   const ByteView rest = bytes.subspan(1);
   switch (static_cast<Kind>(bytes[0])) {
   case Kind::localCommit: {
      LocalCommitRecord out;
      for (PackedWrite& w : content<std::vector<PackedWrite>>(rest)) {
         if (w.key.empty() || !isKeptDb(w.key[0]))
            throw Fault("the journal holds a commit to a database that is not kept");
         out.writes.push_back({std::move(w.key), std::move(w.value)});
      }
      return out;
   }
   case Kind::block:
   case Kind::executed:
      return BlockRecord{content<format::SignedBlock>(rest), static_cast<Kind>(bytes[0]) == Kind::block};
   case Kind::head:
      return HeadRecord{content<format::Checksum256>(rest)};
   case Kind::irreversible:
      return IrreversibleRecord{content<format::Checksum256>(rest)};
   case Kind::memory:
      return MemoryRecord{toBytes(rest)};
   }
   throw Fault("the journal holds a record of an unknown kind: it was written by a newer version");
}

} // namespace polis::kernel

// Any bytes as a snapshot: rows within the bounds of the format, or a reason. What is read can be written and read
// again.
#include "base/assert.hpp"
#include "base/temporary_folder.hpp"
#include "node/snapshot_file.hpp"

#include <algorithm>

namespace {

using namespace polis;
using namespace polis::node;

struct Content {
   std::vector<SnapshotFileRow> rows;
   SnapshotSeal seal;
};

std::optional<Content> read(SnapshotReader reader) {
   Content out;
   for (;;) {
      auto row = reader.next();
      if (!row)
         return std::nullopt;
      if (!*row)
         break;
      ASSERT((*row)->key.size() <= SnapshotReader::keyBytesMax &&
             (*row)->value.size() <= SnapshotReader::valueBytesMax);
      out.rows.push_back(std::move(**row));
   }
   out.seal = reader.seal();
   return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   std::size_t at = 0;
   const auto content =
       read(SnapshotReader([&](std::span<std::uint8_t> out) -> std::expected<std::size_t, std::string> {
          const std::size_t piece = std::min(out.size(), size - at);
          std::copy_n(data + at, piece, out.data());
          at += piece;
          return piece;
       }));
   if (!content)
      return 0;
   static const TemporaryFolder folder("fuzz");
   const auto file = folder.path() / "again";
   SnapshotWriter writer(file, size & 1);
   for (const auto& row : content->rows)
      writer.row(row.db, row.key, row.value);
   writer.finish(content->seal);
   const auto again = read(SnapshotReader(snapshotSource(file)));
   ASSERT(again && again->rows.size() == content->rows.size());
   ASSERT(again->seal.checksum == content->seal.checksum && again->seal.signatures == content->seal.signatures);
   return 0;
}

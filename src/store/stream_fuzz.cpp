// Chunks and proofs from anybody: refused, or what they say. A chunk that is taken can be written again.
#include "store/stream.hpp"

#include "base/assert.hpp"
#include "store/crc32c.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <cstring>

using namespace polis;
using namespace polis::store;

namespace {

void proof(ByteView input) {
   MerkleRoot root{};
   if (input.size() < root.size())
      return;
   std::memcpy(root.data(), input.data(), root.size());
   const ByteView bytes = input.subspan(root.size());
   const auto good = Proof::check(root, bytes);
   if (!good)
      return;
   (void)good->complete({toBytes(bytes.first(bytes.size() / 2)), std::nullopt});
   for (const Entry& entry : good->entries()) {
      const auto value = good->get(entry.key);
      ASSERT(value.has_value() && value->has_value());
   }
}

void chunks(ByteView input) {
   static const TestFolder folder;
   static const auto store = Store::open(folder.path(), {.fileBytesMax = std::uint64_t{1} << 30});
   Writer writer(store->empty());
   const std::vector<KeyRange> ranges{KeyRange::withPrefix(asBytes("a")), KeyRange{toBytes("c"), std::nullopt}};
   Importer importer(writer, ranges);
   while (!importer.done() && input.size() >= 2) {
      const std::size_t bytes = std::min<std::size_t>(input[0] | std::size_t{input[1]} << 8, input.size() - 2);
      Bytes chunk = toBytes(input.subspan(2, bytes));
      input = input.subspan(2 + bytes);
      // The checksum is not to be guessed.
      if (chunk.size() >= 8) {
         std::memcpy(chunk.data(), "PSC1", 4);
         const std::uint32_t crc = detail::crc32c(0, ByteView(chunk).subspan(8));
         std::memcpy(chunk.data() + 4, &crc, 4);
      }
      const std::uint64_t before = writer.size();
      if (!importer.add(chunk))
         ASSERT(writer.size() == before);
   }
   const Version version = writer.snapshot();
   version.verify();
   ASSERT(version.size() == importer.count());
   Exporter exporter(version, ranges, chunkBytesMin);
   Writer again(store->empty());
   Importer reading(again, ranges);
   while (!exporter.done())
      ASSERT(reading.add(exporter.next()).has_value());
   ASSERT(again.snapshot().merkle({}) == version.merkle({}));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   if (size == 0)
      return 0;
   (data[0] & 1 ? proof : chunks)({data + 1, size - 1});
   return 0;
}

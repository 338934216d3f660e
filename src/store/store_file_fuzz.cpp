// A store's file with any bytes changed, and with checksums that hold all the same: opened or refused, never more. What
// is opened can be read, and written if the input says so.
#include "store/crc32c.hpp"
#include "store/node.hpp"
#include "store/reader.hpp"
#include "store/store.hpp"
#include "store/superblock.hpp"
#include "store/test_folder.hpp"

#include "base/assert.hpp"
#include "base/fault.hpp"

#include <fstream>
#include <set>

using namespace polis;
using namespace polis::store;
using namespace polis::store::detail;

namespace {

std::string read(const std::filesystem::path& path) {
   std::string bytes(std::filesystem::file_size(path), '\0');
   std::ifstream(path, std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
   return bytes;
}

struct Base {
   Base() {
      const TestFolder folder;
      {
         const auto store = Store::open(folder.path(), {.fileBytesMax = 64 << 20});
         Writer writer(store->empty());
         for (int i = 0; i < 300; ++i)
            writer.put(asBytes("key" + std::to_string(i * 7919 % 1009)), Bytes(static_cast<std::size_t>(i) % 90, 'v'));
         for (int byte = 0; byte < 256; ++byte)
            writer.put(Bytes{'w', static_cast<std::uint8_t>(byte)}, Bytes(100, 'w'));
         writer.put(asBytes("blob"), Bytes(3000, 'b'));
         writer.put(asBytes("long"), Bytes(40'000, 'l'));
         const Version one = writer.snapshot();
         for (int i = 0; i < 50; ++i)
            writer.put(asBytes("key" + std::to_string(i)), asBytes("new"));
         writer.remove(asBytes("blob"));
         store->checkpoint({{{"one", one}, {"two", writer.snapshot()}}, 5, toBytes("user")});
      }
      // Opened for writing once more, it loses what is behind the last node.
      Store::open(folder.path(), {.fileBytesMax = 64 << 20});
      image = read(folder.path() / "data");
      Superblock block;
      std::memcpy(&block, image.data(), sizeof block);
      add(block.record);
      const auto* record = reinterpret_cast<const Blob*>(image.data() + block.record * unitBytes);
      Reader reader({record->value(), record->length});
      for (auto count = reader.number<std::uint32_t>(); count > 0; --count) {
         reader.number<std::uint64_t>();
         reader.number<std::int32_t>();
         add(reader.number<Ref>());
      }
      places.assign(nodes.begin(), nodes.end());
   }

   void add(Ref ref) {
      if (nodes.insert(ref).second)
         eachRef(*reinterpret_cast<const NodeHead*>(image.data() + ref * unitBytes), [&](Ref below) { add(below); });
   }

   std::string image;
   std::set<Ref> nodes;
   std::vector<Ref> places;
};

/// Gives the node its checksum, when it has bounds: others are refused for those.
void seal(std::string& image, Ref ref) {
   auto* head = reinterpret_cast<NodeHead*>(image.data() + ref * unitBytes);
   const std::size_t rest = image.size() - ref * unitBytes;
   if (head->sizeClass > slabClass)
      return;
   const std::size_t bytes = head->sizeClass == slabClass ? rest : std::min(rest, classBytes(head->sizeClass));
   std::size_t end = 0;
   switch (head->kind) {
   case Kind::leaf: {
      const auto* leaf = reinterpret_cast<const Leaf*>(head);
      end = head->sizeClass < slabClass && leaf->slotEnd() <= leaf->heap ? leaf->heap : bytes + 1;
      break;
   }
   case Kind::inner: {
      const auto* inner = reinterpret_cast<const Inner*>(head);
      end = Inner::bytesFor(inner->prefixBytes, inner->refCount());
      break;
   }
   case Kind::group:
      end = Group::bytesFor(reinterpret_cast<const Group*>(head)->count);
      break;
   case Kind::blob:
      end = sizeof(Blob) + reinterpret_cast<const Blob*>(head)->length;
      break;
   default:
      return;
   }
   if (end <= bytes)
      head->seal = nodeChecksum(head);
}

void seal(std::string& image, std::uint64_t superblock) {
   Superblock block;
   std::memcpy(&block, image.data() + superblock, sizeof block);
   block.checksum = 0;
   block.checksum = crc32c(0, {reinterpret_cast<const std::uint8_t*>(&block), sizeof block});
   std::memcpy(image.data() + superblock, &block, sizeof block);
}

std::uint64_t entriesOf(const Version& version) {
   std::uint64_t count = 0;
   auto cursor = version.cursor();
   for (bool more = cursor.first(); more; more = cursor.next(), ++count)
      ASSERT(same(*version.get(cursor.entry().key), cursor.entry().value));
   ASSERT(count == version.size());
   return count;
}

void look(Store& store) {
   store.verify();
   const auto last = store.lastCheckpoint();
   if (!last)
      return;
   std::optional<Version> before;
   for (const auto& [name, version] : last->versions) {
      version.verify();
      entriesOf(version);
      if (before)
         version.changesSince(*before, {}, [](const Change&) { return true; });
      before = version;
   }
}

} // namespace

/// First a byte of choices; then patches: the node (2 bytes), where in it (1), how many bytes (1), and those.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   static const Base base;
   static const TestFolder folder;
   if (size == 0)
      return 0;
   const std::uint8_t choices = data[0];
   std::string image = base.image;
   if (choices & 4)
      image.resize(image.size() - (size * 997) % image.size());
   for (ByteView rest(data + 1, size - 1); rest.size() > 4;) {
      const std::size_t node = rest[0] | std::size_t{rest[1]} << 8,
                        count = std::min<std::size_t>(rest[3], rest.size() - 4);
      // One place in some is a superblock.
      const std::size_t at = node % 64 == 63 ? superblockAt[node / 64 % 2] + rest[2] % sizeof(Superblock)
                                             : base.places[node % base.places.size()] * unitBytes + rest[2];
      for (std::size_t i = 0; i < count && at + i < image.size(); ++i)
         image[at + i] = static_cast<char>(rest[4 + i]);
      rest = rest.subspan(4 + count);
   }
   if (image.size() >= slabBytes) {
      for (const Ref ref : base.places)
         if (ref * unitBytes + 64 <= image.size())
            seal(image, ref);
      for (std::size_t place = 0; place < 2; ++place)
         if (!(choices >> (4 + place) & 1))
            seal(image, superblockAt[place]);
   }
   std::ofstream(folder.path() / "data", std::ios::binary) << image;
   Options options{
       .fileBytesMax = 64 << 20, .heldBytesMax = choices & 1 ? 0 : std::uint64_t{64} << 20, .readOnly = true};
   try {
      look(*Store::open(folder.path(), options));
   } catch (const Fault&) {
      ASSERT(read(folder.path() / "data") == image);
      return 0;
   }
   ASSERT(read(folder.path() / "data") == image);
   if (!(choices & 2))
      return 0;
   options.readOnly = false;
   std::uint64_t entries;
   {
      const auto store = Store::open(folder.path(), options);
      const auto last = store->lastCheckpoint();
      Writer writer(last && !last->versions.empty() ? last->versions.begin()->second : store->empty());
      writer.put(asBytes("more"), asBytes("v"));
      writer.remove(asBytes("key1"));
      store->checkpoint({{{"v", writer.snapshot()}}, 6, {}});
      entries = entriesOf(writer.snapshot());
   }
   const auto store = Store::open(folder.path(), options);
   ASSERT(entriesOf(store->lastCheckpoint()->versions.at("v")) == entries);
   look(*store);
   return 0;
}

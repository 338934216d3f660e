// Operations told by the input agree with a std::map, through versions, marks, checkpoints and reopening.
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include "base/assert.hpp"

using namespace polis;
using namespace polis::store;

namespace {

using Map = std::map<Bytes, Bytes>;

class Input {
public:
   Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
   bool done() const { return rest_.empty(); }
   std::uint8_t byte() {
      if (done())
         return 0;
      const std::uint8_t out = rest_.front();
      rest_ = rest_.subspan(1);
      return out;
   }
   /// Some bytes, many times over when the first says so: long keys and values from short inputs.
   Bytes bytes(std::size_t max) {
      const std::uint8_t shape = byte();
      Bytes out;
      for (std::size_t i = shape & 7; i > 0; --i)
         out.push_back(byte());
      if (shape & 0x80)
         out.resize(std::min(max, out.size() + (std::size_t{shape & 0x78u} << 4)), byte());
      return out;
   }

private:
   ByteView rest_;
};

void expectSame(const Version& version, const Map& model) {
   auto cursor = version.cursor();
   bool more = cursor.first();
   for (const auto& [key, value] : model) {
      ASSERT(more);
      ASSERT(toBytes(cursor.entry().key) == key);
      ASSERT(toBytes(cursor.entry().value) == value);
      more = cursor.next();
   }
   ASSERT(!more);
   ASSERT(version.size() == model.size());
}

/// What the versions differ in is what the models differ in.
void expectChanges(const Version& before, const Map& modelBefore, const Version& after, const Map& modelAfter) {
   Map model = modelBefore;
   const Bytes* last = nullptr;
   after.changesSince(before, {}, [&](const Change& change) {
      const auto at = model.find(toBytes(change.key));
      ASSERT((at != model.end()) == change.before.has_value());
      ASSERT(at == model.end() || at->second == toBytes(*change.before));
      ASSERT(!change.after || at == model.end() || toBytes(*change.after) != at->second);
      if (change.after) {
         const auto put = model.insert_or_assign(toBytes(change.key), toBytes(*change.after)).first;
         ASSERT(!last || *last < put->first);
         last = &put->first;
      } else {
         model.erase(at);
      }
      return true;
   });
   ASSERT(model == modelAfter);
}

/// A root made from nothing remembered.
MerkleRoot rootOf(Store& store, const Map& model) {
   Writer writer(store.empty());
   for (const auto& [key, value] : model)
      writer.put(key, value);
   return writer.snapshot().merkle({});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   const TestFolder folder;
   Input input(data, size);
   Map saved;
   constexpr Options options{.fileBytesMax = 256 << 20};
   for (int life = 0; life < 3; ++life) {
      auto store = Store::open(folder.path(), options);
      const auto last = store->lastCheckpoint();
      const Version start = last ? last->versions.at("v") : store->empty();
      expectSame(start, saved);
      Map model = saved;
      std::vector<std::pair<Version, Map>> kept;
      std::vector<std::pair<Writer::Mark, Map>> marks;
      Writer writer(start);
      bool reopen = false;
      while (!input.done() && !reopen) {
         switch (input.byte() % 12) {
         case 0:
            reopen = true;
            break;
         case 1:
            kept.emplace_back(writer.snapshot(), model);
            break;
         case 2:
            if (!kept.empty()) {
               writer.reset(kept.back().first);
               model = kept.back().second;
               marks.clear();
            }
            break;
         case 3:
            if (marks.size() < 8)
               marks.emplace_back(writer.mark(), model);
            break;
         case 4:
            if (!marks.empty()) {
               writer.rollBack(marks.back().first);
               model = marks.back().second;
               marks.pop_back();
            }
            break;
         case 5:
            if (!marks.empty()) {
               writer.keep(marks.back().first);
               marks.pop_back();
            }
            break;
         case 6: {
            const Bytes low = input.bytes(keyBytesMax), high = input.bytes(keyBytesMax);
            const std::uint64_t count = writer.rangeCount(low, high);
            ASSERT(writer.removeRange(low, high) == count);
            for (auto at = model.lower_bound(low); at != model.end() && at->first < high;)
               at = model.erase(at);
            break;
         }
         case 7: {
            const Bytes key = input.bytes(keyBytesMax);
            ASSERT(writer.remove(key) == (model.erase(key) == 1));
            break;
         }
         case 8:
            store->checkpoint({{{"v", writer.snapshot()}}, 0, {}});
            saved = model;
            break;
         default: {
            const Bytes key = input.bytes(keyBytesMax), value = input.bytes(3000);
            writer.put(key, value);
            model[key] = value;
            const auto low = writer.lowerBound(key);
            ASSERT(low.has_value());
            ASSERT(toBytes(low->value) == value);
         }
         }
      }
      const Version end = writer.snapshot();
      expectSame(end, model);
      end.verify();
      ASSERT(end.merkle({}) == rootOf(*store, model));
      for (const auto& [version, map] : kept) {
         expectSame(version, map);
         expectChanges(version, map, end, model);
         ASSERT(version.merkle({}) == rootOf(*store, map));
      }
   }
   return 0;
}

// Random keys that meet: short ones, long ones, ones that begin with another; and a std::map that changes with a
// writer. For tests.
#pragma once

#include "store/version.hpp"
#include "store/writer.hpp"

#include <gtest/gtest.h>
#include <map>
#include <random>

namespace polis::store {

using Map = std::map<Bytes, Bytes>;

/// Each key once.
inline Map contents(const Version& version) {
   Map out;
   auto cursor = version.cursor();
   for (bool more = cursor.first(); more; more = cursor.next())
      EXPECT_TRUE(out.emplace(toBytes(cursor.entry().key), toBytes(cursor.entry().value)).second);
   return out;
}

class RandomKeys {
public:
   /// Chooses a manner of keys.
   explicit RandomKeys(std::mt19937_64& random)
      : lengthMax_(1 + random() % 6), letters_(1 + random() % 255), stem_(random() % 4 ? 0 : random() % 600, 7) {}

   Bytes operator()(std::mt19937_64& random) const {
      Bytes key = random() % 8 ? stem_ : Bytes(stem_.begin(), stem_.begin() + long(random() % (stem_.size() + 1)));
      for (std::size_t i = random() % (lengthMax_ + 1); i > 0; --i)
         key.push_back(static_cast<std::uint8_t>(random() % letters_ * 255 / letters_));
      return key;
   }
   KeyRange range(std::mt19937_64& random) const {
      if (random() % 3 == 0)
         return KeyRange::withPrefix((*this)(random));
      return {(*this)(random), random() % 4 ? std::optional((*this)(random)) : std::nullopt};
   }

private:
   std::size_t lengthMax_;
   std::uint64_t letters_;
   Bytes stem_;
};

inline void change(Writer& writer, Map& model, const RandomKeys& keys, std::mt19937_64& random) {
   switch (random() % 40) {
   case 0: {
      const KeyRange range = keys.range(random);
      writer.removeRange(range.low, range.high ? std::optional<ByteView>(*range.high) : std::nullopt);
      std::erase_if(model, [&](const auto& row) { return range.contains(row.first); });
      break;
   }
   case 1:
   case 2:
   case 3:
   case 4:
   case 5: {
      const Bytes key = keys(random);
      writer.remove(key);
      model.erase(key);
      break;
   }
   default: {
      const Bytes key = keys(random);
      const Bytes value(random() % 50 ? random() % 90 : random() % 5000, static_cast<std::uint8_t>(random()));
      writer.put(key, value);
      model[key] = value;
   }
   }
}

} // namespace polis::store

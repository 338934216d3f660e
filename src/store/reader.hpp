// Numbers and strings off the front of bytes that are not trusted, and onto the end of others. Internal to the store.
#pragma once

#include "base/bytes.hpp"

#include <cstring>

namespace polis::store::detail {

template <class Number>
void appendNumber(Bytes& out, Number number) {
   append(out, {reinterpret_cast<const std::uint8_t*>(&number), sizeof number});
}

/// What is asked for and not there is empty, or 0, and so is all that comes after it.
class Reader {
public:
   explicit Reader(ByteView rest) : rest_(rest) {}

   ByteView bytes(std::size_t n) {
      if (n > rest_.size()) {
         failed_ = true;
         rest_ = {};
         return {};
      }
      const ByteView out = rest_.first(n);
      rest_ = rest_.subspan(n);
      return out;
   }
   template <class Number>
   Number number() {
      Number out{};
      if (const ByteView in = bytes(sizeof out); !failed_)
         std::memcpy(&out, in.data(), sizeof out);
      return out;
   }
   ByteView rest() const { return rest_; }
   bool done() const { return rest_.empty(); }
   bool failed() const { return failed_; }

private:
   ByteView rest_;
   bool failed_ = false;
};

} // namespace polis::store::detail

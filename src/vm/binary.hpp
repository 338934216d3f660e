// Reading and writing WebAssembly's binary format.
#pragma once

#include "base/bytes.hpp"
#include "vm/policy.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace polis::vm {

/// Bounded reader of hostile bytes. The first failure sticks: the reader is then at its end, and all it returns is
/// zero.
class Reader {
public:
   explicit Reader(ByteView bytes) : Reader(bytes, 0, bytes.size()) {}

   /// Reads bytes [begin, end) of `bytes`; offsets are those of `bytes`.
   Reader(ByteView bytes, std::size_t begin, std::size_t end) : bytes_(bytes), at_(begin), end_(end) {}

   bool ok() const { return !rejection_; }
   bool atEnd() const { return at_ >= end_; }
   std::size_t offset() const { return at_; }
   std::size_t end() const { return end_; }
   std::size_t left() const { return end_ - at_; }
   const std::optional<Rejection>& rejection() const { return rejection_; }

   void fail(std::size_t offset, std::string_view rule) {
      if (!rejection_)
         rejection_ = Rejection{offset, std::string(rule)};
      at_ = end_;
   }
   void fail(std::string_view rule) { fail(at_, rule); }

   std::uint8_t u8() {
      if (at_ >= end_) {
         fail("unexpected end");
         return 0;
      }
      return bytes_[at_++];
   }

   std::uint32_t u32() {
      if (at_ < end_ && bytes_[at_] < 0x80) [[likely]]
         return bytes_[at_++];
      return static_cast<std::uint32_t>(leb(32, false));
   }
   std::int32_t s32() { return static_cast<std::int32_t>(leb(32, true)); }
   std::int64_t s64() { return static_cast<std::int64_t>(leb(64, true)); }

   /// A count of items that take at least one byte each; rejects more than `most`.
   std::uint32_t count(std::size_t most, std::string_view rule) {
      const std::size_t start = at_;
      const std::uint32_t n = u32();
      if (n > most) {
         fail(start, rule);
         return 0;
      }
      if (n > left()) {
         fail(start, "a count exceeds what follows");
         return 0;
      }
      return n;
   }

   ByteView take(std::size_t n) {
      if (n > left()) {
         fail("unexpected end");
         return {};
      }
      at_ += n;
      return bytes_.subspan(at_ - n, n);
   }

   /// A name: length and UTF-8.
   std::string_view name();

private:
   std::uint64_t leb(unsigned bits, bool isSigned);

   ByteView bytes_;
   std::size_t at_, end_;
   std::optional<Rejection> rejection_;
};

bool isUtf8(std::string_view text);

/// Appends to a byte string.
class Emitter {
public:
   Bytes bytes;

   void u8(unsigned v) { bytes.push_back(static_cast<std::uint8_t>(v)); }
   void u32(std::uint64_t v) {
      while (v >= 0x80) {
         u8(static_cast<unsigned>(v & 0x7f) | 0x80);
         v >>= 7;
      }
      u8(static_cast<unsigned>(v));
   }
   void s64(std::int64_t v) {
      while (v < -64 || v > 63) {
         u8(static_cast<unsigned>(v & 0x7f) | 0x80);
         v >>= 7;
      }
      u8(static_cast<unsigned>(v & 0x7f));
   }
   void raw(ByteView v) { append(bytes, v); }
   void name(std::string_view v) {
      u32(v.size());
      raw(asBytes(v));
   }
   /// A section: id, size, contents.
   void section(unsigned id, const Emitter& contents) {
      u8(id);
      u32(contents.bytes.size());
      raw(contents.bytes);
   }
};

namespace op {
constexpr std::uint8_t unreachable = 0x00, nop = 0x01, block = 0x02, loop = 0x03, if_ = 0x04, else_ = 0x05, end = 0x0b,
                       br = 0x0c, brIf = 0x0d, brTable = 0x0e, return_ = 0x0f, call = 0x10, callIndirect = 0x11,
                       drop = 0x1a, select = 0x1b, selectTyped = 0x1c, localGet = 0x20, localSet = 0x21,
                       localTee = 0x22, globalGet = 0x23, globalSet = 0x24, memorySize = 0x3f, memoryGrow = 0x40,
                       i32Const = 0x41, i64Const = 0x42, f32Const = 0x43, f64Const = 0x44, i32Eq = 0x46, i32LtU = 0x49,
                       i32Sub = 0x6b, i32ShrU = 0x76, i64LtS = 0x53, i64LeU = 0x58, i64Add = 0x7c, i64Sub = 0x7d,
                       i64ExtendI32U = 0xad, refNull = 0xd0, refFunc = 0xd2, prefixMisc = 0xfc, prefixSimd = 0xfd;
constexpr std::uint8_t emptyBlock = 0x40, funcref = 0x70;
} // namespace op

} // namespace polis::vm

// Database handles as services hold them.
#pragma once

#include "base/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace polis::kernel {

/// A database, a prefix, and what may be done below it. Copied freely.
struct Handle {
   static constexpr std::uint8_t read = 1;
   static constexpr std::uint8_t write = 2;
   static constexpr std::size_t prefixBytesMax = 128;

   std::uint8_t mode = 0; ///< 0: closed slot
   std::uint8_t prefixBytes = 0;
   /// Database byte, then the prefix: the beginning of every store key below it.
   std::array<std::uint8_t, 1 + prefixBytesMax> start;

   std::uint32_t database() const { return start[0]; }
   ByteView begin() const { return ByteView(start).first(std::size_t{1} + prefixBytes); }
   ByteView prefix() const { return begin().subspan(1); }
};

/// Handles on their way between two services.
using HandleSet = std::vector<Handle>;

inline constexpr std::size_t handlesMax = 64;

/// A store key built from a handle and a service's key. Short ones take no allocation.
class StoreKey {
public:
   StoreKey(const Handle& handle, ByteView key) : size_(std::size_t{1} + handle.prefixBytes + key.size()) {
      std::uint8_t* out = short_.data();
      if (size_ > short_.size()) {
         long_.resize(size_);
         out = long_.data();
      }
      data_ = out;
      out = std::copy(handle.begin().begin(), handle.begin().end(), out);
      std::copy(key.begin(), key.end(), out);
   }
   StoreKey(const StoreKey&) = delete;
   StoreKey& operator=(const StoreKey&) = delete;

   ByteView all() const { return {data_, size_}; }
   /// Without the database byte.
   ByteView raw() const { return all().subspan(1); }

private:
   std::size_t size_;
   const std::uint8_t* data_;
   std::array<std::uint8_t, 256> short_;
   Bytes long_;
};

} // namespace polis::kernel

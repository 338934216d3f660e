#pragma once
#include "http/exchange.hpp"
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace polis::http {

/// Where connections come from: one IPv4 address, or one IPv6 network of 64 bits, which is what one household gets.
using Source = std::uint64_t;

Source sourceOf(const Peer& peer);
/// This machine itself: a proxy on it stands for many.
bool isOwnMachine(Source source);

/// What each source takes of a server.
class Shares {
public:
   struct Use {
      std::size_t connections = 0;
      std::size_t bytes = 0; ///< of requests and replies in memory
   };

   Use of(Source source) const;
   void connected(Source source) { ++uses_[source].connections; }
   void gone(Source source);
   void hold(Source source, std::size_t bytes);
   void release(Source source, std::size_t bytes);

   std::size_t bytes() const { return bytes_; }
   /// The source with most connections, or with most bytes.
   Source mostConnected() const;
   Source heaviest() const;

private:
   void forgetIfUnused(Source source);

   std::unordered_map<Source, Use> uses_;
   std::size_t bytes_ = 0;
};

} // namespace polis::http

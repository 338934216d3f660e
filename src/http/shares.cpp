#include "http/shares.hpp"
#include "base/assert.hpp"
#include <algorithm>

namespace polis::http {

namespace {
constexpr Source localSocket = 0;
constexpr Source v4Mark = Source{1} << 32; // no network of IPv6 is like that
} // namespace

Source sourceOf(const Peer& peer) {
   Source source = 0;
   for (std::size_t i = 0; i < std::min<std::size_t>(peer.addressBytes, 8); ++i)
      source = source << 8 | peer.address[i];
   return peer.addressBytes == 4 ? v4Mark | source : source; // ::1 becomes 0
}

bool isOwnMachine(Source source) { return source == localSocket || source >> 24 == (v4Mark >> 24 | 127); }

Shares::Use Shares::of(Source source) const {
   const auto at = uses_.find(source);
   return at == uses_.end() ? Use{} : at->second;
}

void Shares::gone(Source source) {
   auto& use = uses_[source];
   ASSERT(use.connections > 0);
   --use.connections;
   forgetIfUnused(source);
}

void Shares::hold(Source source, std::size_t bytes) {
   uses_[source].bytes += bytes;
   bytes_ += bytes;
}

void Shares::release(Source source, std::size_t bytes) {
   auto& use = uses_[source];
   ASSERT(use.bytes >= bytes);
   use.bytes -= bytes;
   bytes_ -= bytes;
   forgetIfUnused(source);
}

void Shares::forgetIfUnused(Source source) {
   if (const auto at = uses_.find(source); at->second.connections == 0 && at->second.bytes == 0)
      uses_.erase(at);
}

namespace {

template <auto member>
Source greatest(const std::unordered_map<Source, Shares::Use>& uses) {
   Source best = localSocket;
   std::size_t most = 0;
   for (const auto& [source, use] : uses)
      if (use.*member > most) {
         most = use.*member;
         best = source;
      }
   return best;
}

} // namespace

Source Shares::mostConnected() const { return greatest<&Use::connections>(uses_); }
Source Shares::heaviest() const { return greatest<&Use::bytes>(uses_); }

} // namespace polis::http

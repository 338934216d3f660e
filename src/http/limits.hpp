#pragma once
#include <cstddef>
#include <cstdint>

namespace polis::http {

/// Every limit of a connection. Times are milliseconds.
struct Limits {
   std::size_t headerBytesMax = 32 * 1024;
   std::size_t bodyBytesMax = 20 * 1024 * 1024;
   std::size_t connectionsMax = 4096; ///< then one that is idle or only arriving gives way, else 503
   /// Requests not yet answered and replies not yet read, of all connections: then 503, and who reads slowly is cut
   /// off.
   std::size_t heldBytesMax = 512 * 1024 * 1024;
   std::size_t sourceShare = 4;        ///< one source has at most this part of the two above
   std::size_t smallBytes = 64 * 1024; ///< what every connection may hold, whatever others do
   bool shareOwnMachine = false;       ///< whether this machine, where a proxy stands for many, counts as a source
   std::size_t webSocketMessageBytesMax = 20 * 1024 * 1024;
   std::size_t webSocketQueueBytesMax = 32 * 1024 * 1024; ///< unsent; then the connection is closed
   std::uint32_t idleMs = 75'000;                         ///< between two requests
   std::uint32_t headerMs = 15'000;                       ///< from a request's first byte to its last header byte
   std::uint32_t transferMs = 30'000;                     ///< for a body or a reply, and in addition:
   std::uint32_t transferBytesPerMs = 16;                 ///< slowest rate tolerated
   std::uint32_t lingerMs = 2'000;                        ///< reading on after a refusal, so that the client sees it
   std::uint32_t webSocketIdleMs = 300'000;               ///< pings go out at half of it
   std::uint32_t webSocketSilenceMs = 20'000;             ///< nothing that was sent gets through
   std::uint32_t connectMs = 10'000;                      ///< outgoing
   std::uint32_t replyMs = 60'000;                        ///< outgoing: until the reply is whole
   std::uint32_t sweepMs = 500;                           ///< how often deadlines are looked at
};

} // namespace polis::http

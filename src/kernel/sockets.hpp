#pragma once

#include "base/bytes.hpp"
#include "format/native_tables.hpp"
#include "store/journal.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace polis::kernel {

/// Bits of a socket's flags (spec, kernel §8.3). Other bits are ignored.
namespace socketFlag {
inline constexpr std::uint32_t notifyClose = 1;
inline constexpr std::uint32_t autoClose = 2;
inline constexpr std::uint32_t recv = 4;
inline constexpr std::uint32_t lockClose = 8;
inline constexpr std::uint32_t all = 15;
} // namespace socketFlag

/// Results of socket host functions, as a service sees them.
namespace socketError {
inline constexpr std::int32_t none = 0;
inline constexpr std::int32_t closing = 2;       // EACCES
inline constexpr std::int32_t unknown = 8;       // EBADF
inline constexpr std::int32_t unavailable = -52; // ENOSYS, from socketOpen
inline constexpr std::int32_t unsupported = 58;  // ENOTSUP
} // namespace socketError

/// What became of one `Socket::send`.
struct SendOutcome {
   /// socketError::none or socketError::unknown.
   std::int32_t error = socketError::none;
   /// Set: the service misused the socket (wrong flags, malformed reply); its action aborts with this text.
   std::optional<std::string> abort;
};

/// Why the kernel closes a socket.
struct CloseReason {
   /// The text of the action that owned the socket, when that failed. An unanswered HTTP request then
   /// becomes status 500 with this text; without it, `/native/` or "service did not send a response".
   std::optional<std::string> error;
};

/// One connection, request or stream as services see it. The node implements it once per kind: HTTP request,
/// HTTP client, WebSocket, multicast (fd 0), log (fd 1).
/// All functions may be called from any thread, never two at once for one socket except `send`, and must not
/// block nor call back into the kernel from inside.
class Socket {
public:
   virtual ~Socket() = default;

   /// What stands in the socket's row (nativeSession, table 14). Must not change except by
   /// `Kernel::socketUpgraded`.
   virtual format::SocketInfo info() const = 0;

   /// Data from a service: frac(HttpReply) with flags 0 on an HTTP request, a message with flags 1 (text) or
   /// 2 (binary) on a WebSocket. `data` is only valid during the call.
   virtual SendOutcome send(ByteView data, std::uint32_t flags) = 0;

   /// As `send`, for data that tell of node-local writes which are durable once the journal is, up to `after`. Who
   /// answers with them keeps them back until then.
   virtual SendOutcome sendAfter(store::JournalPosition after, ByteView data, std::uint32_t flags) {
      (void)after;
      return send(data, flags);
   }

   /// The socket now has a descriptor. A client socket starts to connect here; never before.
   virtual void attached(std::int32_t fd) { (void)fd; }

   /// The flag `recv` has been set: one message may be handed to `Kernel::recv`.
   virtual void readyToReceive() {}

   /// The kernel has forgotten the descriptor: answer what is unanswered, then close. Called exactly once.
   virtual void close(const CloseReason& reason) = 0;

   /// Whether the descriptor and its row stay after `close`, until whoever made the socket forgets it.
   virtual bool lingers() const { return false; }

   /// A service has turned this WebSocket into a peer connection (table 14, WebSocket → P2P).
   virtual void becamePeer() {}
};

} // namespace polis::kernel

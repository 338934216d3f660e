#pragma once
#include "base/bytes.hpp"
#include "format/chain.hpp"
#include <array>
#include <expected>
#include <memory>
#include <string>

/// One request and its reply, or the WebSocket that it turned into.
namespace polis::http {

/// Values are the protocol's message flags.
enum class MessageKind : std::uint32_t { text = 1, binary = 2 };

/// The other end of a connection. A local (Unix) socket has no address bytes.
struct Peer {
   std::array<std::uint8_t, 16> address{};
   std::uint8_t addressBytes = 0; ///< 4, 16, or 0 for a local socket
   std::uint32_t zone = 0;        ///< IPv6 scope
   std::uint16_t port = 0;
   std::string path; ///< local sockets
   bool tls = false;
};

/// What the net thread tells the user of an exchange. Called on the net thread, one call at a time; must not block.
class ExchangeEvents {
public:
   virtual ~ExchangeEvents() = default;
   /// The reply to our own outgoing request. For a WebSocket, the 101 that opened it.
   virtual void answered(format::HttpReply&&) {}
   /// The handshake is done: from now on this is a WebSocket. Nothing is read until receive().
   virtual void opened() {}
   /// One message; the next comes only after another receive().
   virtual void message(Bytes&&, MessageKind) {}
   /// Everything sent on the WebSocket so far has been written to the connection.
   virtual void written() {}
   /// No connection of our own came about, and why. gone() follows.
   virtual void failed(const std::string&) {}
   /// The peer has gone: before the reply, or after opened(). Never called after close(). Last call.
   virtual void gone() {}
};

/// Any thread may call any member. Calls after the peer has gone do nothing.
class Exchange {
public:
   virtual ~Exchange() = default;
   virtual const Peer& peer() const = 0;
   /// Who hears of the peer's actions. Set it before request() returns, on the net thread; whoever answers 101 may set
   /// another one before that, on any thread. Hears gone() at once when the peer has gone. The exchange keeps no share.
   virtual void setEvents(std::shared_ptr<ExchangeEvents> events) = 0;
   /// The first reply wins and later ones do nothing. A reply that may not be sent (status outside 200..599, a 101 that
   /// does not answer this request's handshake, a header with line breaks) is answered with 500 and returned as text.
   [[nodiscard]] virtual std::expected<void, std::string> reply(format::HttpReply&& reply) = 0;
   /// Sends one WebSocket message. False when this is no open WebSocket. A peer that does not read loses its
   /// connection.
   virtual bool send(Bytes&& data, MessageKind kind) = 0;
   /// Allows one message() more.
   virtual void receive() = 0;
   /// Ends a WebSocket, or answers 500 where no reply was given.
   virtual void close() = 0;
};

} // namespace polis::http

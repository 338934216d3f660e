#pragma once
#include "http/exchange.hpp"
#include "http/limits.hpp"
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace polis::http {

/// Takes whole requests. Called on the net thread; must not block: hand the work to other threads.
class Handler {
public:
   virtual ~Handler() = default;
   virtual void request(std::shared_ptr<Exchange> exchange, format::HttpRequest&& request) = 0;
};

struct TlsFiles {
   std::string certificate; ///< PEM chain
   std::string key;         ///< PEM private key
};

struct ListenAddress {
   enum class Kind { http, https, local };
   Kind kind = Kind::http;
   std::string address = "127.0.0.1"; ///< IP literal; for a local socket, its path
   std::uint16_t port = 0;            ///< 0: any free port
};

struct ServerStats {
   std::uint64_t connections = 0; ///< open now
   std::uint64_t accepted = 0;
   std::uint64_t requests = 0;
   std::uint64_t badRequests = 0;
   std::uint64_t timeouts = 0;
   std::uint64_t webSockets = 0; ///< open now
};

/// HTTP/1.1 and WebSocket, server and client, on one thread of its own.
class Server {
public:
   struct Options {
      Limits limits;
      std::optional<TlsFiles> tls;
   };

   /// Throws Fault when the certificate cannot be used.
   Server(Options options, Handler& handler);
   /// Stops at once if stop() was not called.
   ~Server();
   Server(const Server&) = delete;
   Server& operator=(const Server&) = delete;

   /// Binds; connections wait in the backlog until start(). Returns the port. Throws Fault.
   std::uint16_t listen(const ListenAddress& address);
   /// Starts the thread.
   void start();
   /// Takes no more connections, lets running requests finish for at most `graceMs`, closes the rest, ends the thread.
   void stop(std::uint32_t graceMs);

   /// Sends a request to another server: one reply, no redirects. A WebSocket handshake that is accepted becomes a
   /// WebSocket. `events` hears answered() or gone(). Without `peer` the host of the request is looked up.
   std::shared_ptr<Exchange> open(format::HttpRequest&& request, const Peer* peer, bool tls,
                                  std::shared_ptr<ExchangeEvents> events);

   ServerStats stats() const;

private:
   struct Impl;
   std::unique_ptr<Impl> impl_;
};

} // namespace polis::http

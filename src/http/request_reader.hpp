#pragma once
#include "base/bytes.hpp"
#include "format/chain.hpp"
#include "http/limits.hpp"
#include <expected>
#include <memory>
#include <string>

namespace polis::http {

/// Why a request is refused: HTTP status and a text for people.
struct BadRequest {
   std::uint16_t status = 400;
   std::string text;
};

/// A whole request as it came in.
struct Incoming {
   format::HttpRequest request;
   std::string webSocketKey; ///< empty: not a WebSocket handshake
   bool keepAlive = true;
   bool head = false;
   bool http10 = false;
};

/// Turns bytes into requests. Knows nothing of sockets; never throws on input.
class RequestReader {
public:
   explicit RequestReader(const Limits& limits);
   ~RequestReader();

   /// Reads on from `input`; returns how many bytes it took. Bytes not taken must be offered again with more behind
   /// them. After an error nothing more can be read.
   [[nodiscard]] std::expected<std::size_t, BadRequest> put(ByteView input);

   bool headerDone() const;
   bool done() const;
   /// True once per request that asked "Expect: 100-continue" and has its body still to send.
   bool takeExpectation();
   std::size_t bodyBytes() const; ///< so far
   /// The finished request; the reader is then ready for the next.
   Incoming take();

private:
   struct Impl;
   std::unique_ptr<Impl> impl_;
};

/// The host of a Host header without its port, in lower case; empty when it is not a host.
std::string hostWithoutPort(std::string_view text);

} // namespace polis::http

#pragma once

#include "base/bytes.hpp"
#include "harness/http_load.hpp"

#include <optional>
#include <string>

namespace polis::harness {

/// A plain WebSocket client for tests: short text messages, no fragments.
class WebSocket {
public:
   /// Sends the handshake and waits for its answer. headers: further ones, each line with its "\r\n".
   WebSocket(std::uint16_t port, const std::string& host, const std::string& target, const std::string& headers = {});
   ~WebSocket();
   WebSocket(const WebSocket&) = delete;
   WebSocket& operator=(const WebSocket&) = delete;

   /// Status of the handshake's answer; 101 when this is a WebSocket now.
   int status() const { return status_; }
   void send(std::string_view text);
   /// False when the connection has ended, or nothing of it was read for half a minute.
   bool sendBinary(ByteView bytes);
   /// Whatever it is; a frame or a piece of one.
   bool sendRaw(std::string_view bytes);
   /// The next message, of text or bytes. Nothing when the connection ended, or after half a minute.
   std::optional<std::string> receive();

private:
   bool fill(std::size_t bytes);
   bool send(unsigned char kind, std::string_view payload);

   int fd_ = -1;
   int status_ = 0;
   std::string in_;
};

} // namespace polis::harness

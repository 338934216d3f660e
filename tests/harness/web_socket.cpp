#include "harness/web_socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <stdexcept>

namespace polis::harness {

namespace {

constexpr int patienceMs = 30'000;
constexpr unsigned char textFrame = 0x81, binaryFrame = 0x82, closeCode = 0x8;

} // namespace

WebSocket::WebSocket(std::uint16_t port, const std::string& host, const std::string& target, const std::string& headers)
   : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
   sockaddr_in address{};
   address.sin_family = AF_INET;
   address.sin_port = htons(port);
   address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
   if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("nobody listens on port " + std::to_string(port));
   const timeval patience{patienceMs / 1000, 0};
   ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
   const std::string raw = "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers +
                           "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
   ::send(fd_, raw.data(), raw.size(), MSG_NOSIGNAL);
   std::size_t end = 0;
   while ((end = in_.find("\r\n\r\n")) == std::string::npos)
      if (!fill(in_.size() + 1))
         throw std::runtime_error("no answer to a WebSocket handshake");
   std::from_chars(in_.data() + 9, in_.data() + 12, status_);
   in_.erase(0, end + 4);
}

WebSocket::~WebSocket() { ::close(fd_); }

/// Reads on until so many bytes wait in in_.
bool WebSocket::fill(std::size_t bytes) {
   while (in_.size() < bytes) {
      pollfd waiting{fd_, POLLIN, 0};
      char part[4096];
      if (::poll(&waiting, 1, patienceMs) <= 0)
         return false;
      const auto got = ::recv(fd_, part, sizeof part, 0);
      if (got <= 0)
         return false;
      in_.append(part, static_cast<std::size_t>(got));
   }
   return true;
}

void WebSocket::send(std::string_view text) { send(textFrame, text); }

bool WebSocket::sendBinary(ByteView bytes) { return send(binaryFrame, asText(bytes)); }

bool WebSocket::sendRaw(std::string_view bytes) {
   for (; !bytes.empty();) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0)
         return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
   }
   return true;
}

bool WebSocket::send(unsigned char kind, std::string_view payload) {
   std::string frame(1, static_cast<char>(kind));
   // Clients mask; with zeros the payload stays as it is.
   const auto size = [&](char mark, unsigned bits) {
      frame += static_cast<char>(0x80 | mark);
      for (; bits > 0; bits -= 8)
         frame += static_cast<char>(std::uint64_t{payload.size()} >> (bits - 8));
   };
   if (payload.size() < 126)
      size(static_cast<char>(payload.size()), 0);
   else if (payload.size() < 65536)
      size(126, 16);
   else
      size(127, 64);
   frame.append(4, '\0');
   frame += payload;
   return sendRaw(frame);
}

std::optional<std::string> WebSocket::receive() {
   while (fill(2)) {
      const auto first = static_cast<unsigned char>(in_[0]), second = static_cast<unsigned char>(in_[1]);
      std::size_t head = 2, size = second & 0x7f;
      if (const std::size_t more = size == 127 ? 8 : size == 126 ? 2 : 0) {
         head += more;
         if (!fill(head))
            break;
         size = 0;
         for (std::size_t at = 2; at < head; ++at)
            size = size << 8 | static_cast<unsigned char>(in_[at]);
      }
      if (!fill(head + size))
         break;
      std::string payload = in_.substr(head, size);
      in_.erase(0, head + size);
      if (first == textFrame || first == binaryFrame)
         return payload;
      if ((first & 0xf) == closeCode)
         break;
   }
   return std::nullopt;
}

} // namespace polis::harness

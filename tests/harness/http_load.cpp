#include "harness/http_load.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <stdexcept>

namespace polis::harness {

namespace {

using Steady = std::chrono::steady_clock;

int connectTo(std::uint16_t port) {
   const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
   if (fd < 0)
      throw std::runtime_error("no socket");
   sockaddr_in address{};
   address.sin_family = AF_INET;
   address.sin_port = htons(port);
   address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
   if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      ::close(fd);
      throw std::runtime_error("nobody listens on port " + std::to_string(port));
   }
   const int on = 1;
   ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
   return fd;
}

void sendAll(int fd, std::string_view data) {
   while (!data.empty()) {
      const auto sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
      if (sent <= 0)
         throw std::runtime_error("the connection broke while sending");
      data.remove_prefix(static_cast<std::size_t>(sent));
   }
}

/// Takes one whole answer (Content-Length or chunked) from the front of `buffer`, if it is there.
std::optional<Answer> takeAnswer(std::string& buffer) {
   const auto headEnd = buffer.find("\r\n\r\n");
   if (headEnd == std::string::npos)
      return std::nullopt;
   std::string head = buffer.substr(0, headEnd);
   std::ranges::transform(head, head.begin(),
                          [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
   Answer answer;
   answer.head = buffer.substr(0, headEnd + 2);
   std::from_chars(head.data() + 9, head.data() + std::min<std::size_t>(head.size(), 12), answer.status);
   const auto bodyStart = headEnd + 4;
   if (const auto at = head.find("content-length:"); at != std::string::npos) {
      std::size_t length = 0;
      const auto digits = head.find_first_of("0123456789", at);
      std::from_chars(head.data() + digits, head.data() + head.size(), length);
      if (buffer.size() < bodyStart + length)
         return std::nullopt;
      answer.body = buffer.substr(bodyStart, length);
      buffer.erase(0, bodyStart + length);
      return answer;
   }
   if (head.find("transfer-encoding: chunked") != std::string::npos) {
      auto at = bodyStart;
      while (true) {
         const auto lineEnd = buffer.find("\r\n", at);
         if (lineEnd == std::string::npos)
            return std::nullopt;
         std::size_t size = 0;
         std::from_chars(buffer.data() + at, buffer.data() + lineEnd, size, 16);
         if (buffer.size() < lineEnd + 2 + size + 2)
            return std::nullopt;
         answer.body.append(buffer, lineEnd + 2, size);
         at = lineEnd + 2 + size + 2;
         if (size == 0) {
            buffer.erase(0, at);
            return answer;
         }
      }
   }
   buffer.erase(0, bodyStart);
   return answer;
}

struct Connection {
   int fd = -1;
   std::string in;
   Steady::time_point sentAt;
   bool busy = false;
};

} // namespace

RawRequest rawRequest(const std::string& host, const std::string& method, const std::string& target, ByteView body,
                      const std::string& contentType) {
   std::string raw = method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nAccept: application/json\r\n";
   if (!contentType.empty())
      raw += "Content-Type: " + contentType + "\r\n";
   if (!body.empty() || method == "POST" || method == "PUT")
      raw += "Content-Length: " + std::to_string(body.size()) + "\r\n";
   raw += "\r\n";
   raw.append(reinterpret_cast<const char*>(body.data()), body.size());
   return raw;
}

Answer request(std::uint16_t port, const std::string& host, const std::string& method, const std::string& target,
               ByteView body, const std::string& contentType, std::chrono::milliseconds patience) {
   return exchange(port, rawRequest(host, method, target, body, contentType), patience);
}

Answer requestWith(std::uint16_t port, const std::string& host, const std::string& method, const std::string& target,
                   const std::string& headers, ByteView body) {
   auto raw = rawRequest(host, method, target, body, {});
   raw.insert(raw.find("\r\n") + 2, headers);
   return exchange(port, raw);
}

Answer headOnly(std::uint16_t port, std::string_view raw) {
   std::string closing(raw);
   closing.insert(closing.find("\r\n") + 2, "Connection: close\r\n");
   const int fd = connectTo(port);
   std::string all;
   try {
      sendAll(fd, closing);
      char part[16384];
      for (ssize_t got = 0; (got = ::recv(fd, part, sizeof part, 0)) > 0;)
         all.append(part, static_cast<std::size_t>(got));
   } catch (...) {
      ::close(fd);
      throw;
   }
   ::close(fd);
   const auto headEnd = all.find("\r\n\r\n");
   if (headEnd == std::string::npos)
      throw std::runtime_error("the connection ended before an answer came");
   Answer answer;
   answer.head = all.substr(0, headEnd + 2);
   std::from_chars(all.data() + 9, all.data() + 12, answer.status);
   answer.body = all.substr(headEnd + 4);
   return answer;
}

Answer exchange(std::uint16_t port, std::string_view raw, std::chrono::milliseconds patience) {
   const int fd = connectTo(port);
   const auto us = std::chrono::duration_cast<std::chrono::microseconds>(patience).count();
   const timeval longest{us / 1'000'000, us % 1'000'000};
   ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
   ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
   try {
      sendAll(fd, raw);
      std::string buffer;
      while (true) {
         if (auto answer = takeAnswer(buffer)) {
            ::close(fd);
            return *answer;
         }
         char part[16384];
         const auto got = ::recv(fd, part, sizeof part, 0);
         if (got <= 0)
            throw std::runtime_error("the connection ended before an answer came");
         buffer.append(part, static_cast<std::size_t>(got));
      }
   } catch (...) {
      ::close(fd);
      throw;
   }
}

LoadResult load(std::uint16_t port, const std::vector<RawRequest>& requests, std::size_t connections,
                const std::function<bool(const Answer&)>& good) {
   LoadResult result;
   result.latencyNs.reserve(requests.size());
   std::vector<Connection> all(std::min(connections, requests.size()));
   const int poll = ::epoll_create1(EPOLL_CLOEXEC);
   std::size_t next = 0;
   const auto start = Steady::now();
   auto sendNext = [&](Connection& connection) {
      if (next == requests.size()) {
         connection.busy = false;
         return;
      }
      connection.sentAt = Steady::now();
      connection.busy = true;
      sendAll(connection.fd, requests[next++]);
   };
   for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].fd = connectTo(port);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      ::epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
   }
   for (auto& connection : all)
      sendNext(connection);
   while (result.answered < requests.size()) {
      epoll_event events[256];
      const int count = ::epoll_wait(poll, events, 256, 60'000);
      if (count <= 0)
         throw std::runtime_error("no answer for a minute");
      for (int i = 0; i < count; ++i) {
         auto& connection = all[events[i].data.u64];
         char part[65536];
         const auto got = ::recv(connection.fd, part, sizeof part, 0);
         if (got <= 0)
            throw std::runtime_error("the node closed a connection under load");
         connection.in.append(part, static_cast<std::size_t>(got));
         while (connection.busy) {
            const auto answer = takeAnswer(connection.in);
            if (!answer)
               break;
            result.latencyNs.push_back(
                std::chrono::duration_cast<std::chrono::nanoseconds>(Steady::now() - connection.sentAt).count());
            ++result.answered;
            if (!good(*answer)) {
               ++result.bad;
               if (result.firstBad.empty())
                  result.firstBad = std::to_string(answer->status) + " " + answer->body.substr(0, 400);
            }
            sendNext(connection);
         }
      }
   }
   result.seconds = std::chrono::duration<double>(Steady::now() - start).count();
   for (auto& connection : all)
      ::close(connection.fd);
   ::close(poll);
   return result;
}

} // namespace polis::harness

#include "harness/relay.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace polis::harness {

namespace {

/// As much as a connection holds on its way.
constexpr std::size_t waitingMax = std::size_t{4} << 20;
constexpr std::size_t segmentBytes = 1448;
/// A lost segment is sent again after so long.
constexpr auto resendAfter = std::chrono::milliseconds(200);

void noDelay(int fd) {
   const int on = 1;
   ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

sockaddr_in loopback(std::uint16_t port) {
   sockaddr_in address{};
   address.sin_family = AF_INET;
   address.sin_port = htons(port);
   address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
   return address;
}

} // namespace

Fd::~Fd() {
   if (fd_ >= 0)
      ::close(fd_);
}

Fd listenAnywhere(std::uint16_t& port) {
   Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
   auto address = loopback(0);
   socklen_t length = sizeof address;
   if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
       ::listen(fd.get(), SOMAXCONN) != 0 ||
       ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
      throw std::runtime_error("no port to listen on");
   port = ntohs(address.sin_port);
   return fd;
}

Relay::Relay()
   : wakeUp_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), home_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
   thread_ = std::thread([this] { run(); });
}

Relay::~Relay() {
   stopping_.store(true);
   wake();
   thread_.join();
}

void Relay::wake() const {
   const std::uint64_t one = 1;
   (void)!::write(wakeUp_.get(), &one, sizeof one);
}

std::size_t Relay::add(std::uint16_t to, int space) {
   std::uint16_t port = 0;
   Fd listener = listenAnywhere(port);
   std::size_t number = 0;
   {
      Lock lock(mutex_);
      number = ways_.size();
      Way& way = ways_.emplace_back();
      way.listener = std::move(listener);
      way.port = port;
      way.to = to;
      way.space = space;
   }
   wake();
   return number;
}

std::uint16_t Relay::port(std::size_t way) const {
   Lock lock(mutex_);
   return ways_.at(way).port;
}

void Relay::leadTo(std::size_t way, std::uint16_t to) {
   Lock lock(mutex_);
   ways_.at(way).to = to;
}

void Relay::set(std::size_t way, bool forth, Link link) {
   {
      Lock lock(mutex_);
      ways_.at(way).links[forth] = link;
   }
   wake();
}

Link Relay::link(std::size_t way, bool forth) const {
   Lock lock(mutex_);
   return ways_.at(way).links[forth];
}

Traffic Relay::traffic(std::size_t way, bool forth) const {
   Lock lock(mutex_);
   return ways_.at(way).traffic[forth];
}

void Relay::accept(std::size_t number) {
   Way& way = ways_[number];
   Fd dialler(::accept4(way.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
   if (!dialler || way.to == 0)
      return;
   // A socket belongs to the namespace in which it was made.
   if (way.space >= 0 && ::setns(way.space, CLONE_NEWNET) != 0)
      return;
   Fd dialled(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
   if (way.space >= 0 && ::setns(home_.get(), CLONE_NEWNET) != 0)
      std::abort();
   const auto address = loopback(way.to);
   if (!dialled || (::connect(dialled.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                    errno != EINPROGRESS))
      return;
   noDelay(dialler.get());
   noDelay(dialled.get());
   auto& connection = *connections_.emplace_back(std::make_unique<Connection>());
   connection.way = number;
   connection.ends[0] = std::move(dialler);
   connection.ends[1] = std::move(dialled);
}

void Relay::read(Connection& connection, bool forth) {
   Flow& flow = connection.flows[forth];
   Way& way = ways_[connection.way];
   const Link& link = way.links[forth];
   char part[65536];
   const auto got = ::recv(connection.ends[forth ? 0 : 1].get(), part, sizeof part, 0);
   if (got < 0 && (errno == EAGAIN || errno == EINTR))
      return;
   auto due = Steady::now() + link.delay;
   if (got > 0 && link.loss > 0) {
      const double segments = std::ceil(static_cast<double>(got) / segmentBytes);
      const double lost = 1 - std::pow(1 - link.loss, segments);
      if (std::uniform_real_distribution<double>(0, 1)(dice_) < lost)
         due += resendAfter;
   }
   if (!flow.pieces.empty())
      due = std::max(due, flow.pieces.back().due);
   if (got > 0) {
      way.traffic[forth].bytes += static_cast<std::uint64_t>(got);
      flow.waiting += static_cast<std::size_t>(got);
      flow.pieces.push_back({due, std::string(part, static_cast<std::size_t>(got))});
   } else {
      flow.ended = true;
      flow.pieces.push_back({due, {}});
   }
}

std::optional<Relay::Steady::time_point> Relay::write(Connection& connection, bool forth, bool& blocked) {
   Flow& flow = connection.flows[forth];
   if (ways_[connection.way].links[forth].cut)
      return std::nullopt;
   const int fd = connection.ends[forth ? 1 : 0].get();
   const auto now = Steady::now();
   while (!flow.pieces.empty()) {
      Piece& piece = flow.pieces.front();
      if (piece.due > now)
         return piece.due;
      if (piece.bytes.empty()) {
         ::shutdown(fd, SHUT_WR);
         flow.done = true;
         flow.pieces.clear();
         return std::nullopt;
      }
      const auto sent =
          ::send(fd, piece.bytes.data() + piece.sent, piece.bytes.size() - piece.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) {
         if (errno == EAGAIN || errno == EINTR)
            blocked = true;
         else
            connection.broken = true;
         return std::nullopt;
      }
      piece.sent += static_cast<std::size_t>(sent);
      flow.waiting -= static_cast<std::size_t>(sent);
      if (piece.sent == piece.bytes.size())
         flow.pieces.pop_front();
   }
   return std::nullopt;
}

void Relay::run() {
   std::vector<pollfd> polled;
   /// Behind the first: which way's listener, or which connection's end.
   std::vector<std::pair<std::size_t, int>> whose;
   while (!stopping_.load()) {
      std::optional<Steady::time_point> next;
      polled.assign(1, {wakeUp_.get(), POLLIN, 0});
      whose.assign(1, {0, -1});
      {
         Lock lock(mutex_);
         for (std::size_t i = 0; i < connections_.size(); ++i) {
            Connection& connection = *connections_[i];
            bool blocked[2] = {false, false};
            for (const bool forth : {false, true})
               if (const auto due = write(connection, forth, blocked[forth]))
                  next = next ? std::min(*next, *due) : *due;
            for (const int end : {0, 1}) {
               // What this end sends goes forth when it is the dialler's.
               const Flow& out = connection.flows[end == 0];
               short wanted = 0;
               if (!out.ended && out.waiting < waitingMax)
                  wanted |= POLLIN;
               if (blocked[end == 1])
                  wanted |= POLLOUT;
               if (wanted == 0)
                  continue;
               polled.push_back({connection.ends[end].get(), wanted, 0});
               whose.emplace_back(i, end);
            }
         }
         for (std::size_t i = 0; i < ways_.size(); ++i) {
            polled.push_back({ways_[i].listener.get(), POLLIN, 0});
            whose.emplace_back(i, -1);
         }
      }
      timespec wait{1, 0};
      if (next) {
         const auto ns = std::max<std::int64_t>(
             0, std::chrono::duration_cast<std::chrono::nanoseconds>(*next - Steady::now()).count());
         wait = {ns / 1'000'000'000, ns % 1'000'000'000};
      }
      if (::ppoll(polled.data(), polled.size(), &wait, nullptr) <= 0)
         continue;
      std::uint64_t ignored = 0;
      if (polled[0].revents)
         (void)!::read(wakeUp_.get(), &ignored, sizeof ignored);
      Lock lock(mutex_);
      for (std::size_t i = 1; i < polled.size(); ++i) {
         if (polled[i].revents == 0)
            continue;
         const auto [number, end] = whose[i];
         if (end < 0)
            accept(number);
         else if (polled[i].revents & (POLLIN | POLLHUP | POLLERR) && !connections_[number]->flows[end == 0].ended)
            read(*connections_[number], end == 0);
      }
      std::erase_if(connections_, [](const auto& connection) {
         return connection->broken || (connection->flows[0].done && connection->flows[1].done);
      });
   }
}

} // namespace polis::harness

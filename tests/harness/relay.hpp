#pragma once

#include "base/mutex.hpp"
#include "harness/test_network.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace polis::harness {

/// A file descriptor, closed when this goes away.
class Fd {
public:
   explicit Fd(int fd = -1) : fd_(fd) {}
   Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
   Fd& operator=(Fd&& other) noexcept {
      std::swap(fd_, other.fd_);
      return *this;
   }
   ~Fd();
   int get() const { return fd_; }
   explicit operator bool() const { return fd_ >= 0; }

private:
   int fd_;
};

/// Passes TCP connections on, each way as its link says. One thread. What is sent arrives in order; it waits while its
/// link is cut, as TCP has it, and when too much waits, whoever sends waits too.
class Relay {
public:
   Relay();
   ~Relay();

   /// Opens a port on loopback that leads to loopback port `to` of the network namespace `space` (-1: this one's).
   /// Returns its number; the first is 0. Connections are closed at once while `to` is 0 or nobody listens there.
   std::size_t add(std::uint16_t to, int space = -1);
   std::uint16_t port(std::size_t way) const;
   void leadTo(std::size_t way, std::uint16_t to);
   /// forth: from who dials to who is dialled.
   void set(std::size_t way, bool forth, Link link);
   Link link(std::size_t way, bool forth) const;
   Traffic traffic(std::size_t way, bool forth) const;

private:
   using Steady = std::chrono::steady_clock;
   struct Way {
      Fd listener;
      std::uint16_t port = 0, to = 0;
      int space = -1;
      Link links[2]; ///< back, forth
      Traffic traffic[2];
   };
   struct Piece {
      Steady::time_point due;
      std::string bytes; ///< empty: the sender has ended
      std::size_t sent = 0;
   };
   struct Flow {
      std::deque<Piece> pieces;
      std::size_t waiting = 0; ///< bytes
      bool ended = false;      ///< read to its end
      bool done = false;       ///< and all of it passed on
   };
   struct Connection {
      std::size_t way = 0;
      Fd ends[2];    ///< who dialled, who was dialled
      Flow flows[2]; ///< to the dialler, to the dialled
      bool broken = false;
   };

   void run();
   void accept(std::size_t way) REQUIRES(mutex_);
   void read(Connection& connection, bool forth) REQUIRES(mutex_);
   /// When the next piece is due, if anything waits that may go. Sets `blocked` when the receiver does not read.
   std::optional<Steady::time_point> write(Connection& connection, bool forth, bool& blocked) REQUIRES(mutex_);
   void wake() const;

   mutable Mutex mutex_;
   std::deque<Way> ways_ GUARDED_BY(mutex_);
   std::vector<std::unique_ptr<Connection>> connections_ GUARDED_BY(mutex_);
   std::mt19937_64 dice_ GUARDED_BY(mutex_){1};
   Fd wakeUp_, home_;
   std::atomic<bool> stopping_ = false;
   std::thread thread_;
};

/// A socket that listens on a free port of loopback.
Fd listenAnywhere(std::uint16_t& port);

} // namespace polis::harness

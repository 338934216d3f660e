// Which sockets exist, who holds them, and when they close.
#pragma once

#include "base/mutex.hpp"
#include "kernel/node_local.hpp"
#include "kernel/sockets.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

namespace polis::kernel {

/// What socketSetFlags asks for; `context` is whose lock it is about.
struct SocketFlagChange {
   std::int32_t fd;
   std::uint32_t mask;
   std::uint32_t value;
   class SocketOwner* owner;
};

/// The sockets that one context holds a close lock of. Releases them when told, or destroyed. One thread.
class SocketOwner {
public:
   explicit SocketOwner(class SocketTable& table) : table_(table) {}
   ~SocketOwner() { release(); }
   SocketOwner(const SocketOwner&) = delete;
   SocketOwner& operator=(const SocketOwner&) = delete;

   /// The text of the failed action, for requests that stay unanswered.
   void setError(std::string error) { error_ = std::move(error); }
   void release();

private:
   friend class SocketTable;
   SocketTable& table_;
   std::vector<std::int32_t> held_;
   std::optional<std::string> error_;
};

/// Thread-safe. Sockets are called outside the lock.
class SocketTable {
public:
   /// onClose(fd): run `x-http::close`, then `forget(fd)`; called from any thread, must only queue the work.
   SocketTable(NodeLocal& local, std::function<void(std::int32_t)> onClose)
      : local_(local), onClose_(std::move(onClose)) {}

   /// Lowest free descriptor ≥ 2, and a row unless the caller keeps that elsewhere. owner: holds it from the start,
   /// with autoClose set; may be null.
   enum class Row { shared, none };
   std::int32_t add(std::shared_ptr<Socket> socket, SocketOwner* owner, Row row = Row::shared);
   /// Descriptors 0 and 1.
   void addFixed(std::int32_t fd, std::shared_ptr<Socket> socket);

   /// Gives `owner` one message's hold on the socket. False: unknown, closing, or `recv` is not set.
   bool deliver(std::int32_t fd, SocketOwner& owner);

   /// The peer or the node closed it.
   void hangUp(std::int32_t fd);

   std::shared_ptr<Socket> find(std::int32_t fd) const;

   /// Now, outside any checkout. Returns a socketError.
   std::int32_t setFlags(const SocketFlagChange& change);
   /// As setFlags would answer, changing nothing.
   std::int32_t checkFlags(std::int32_t fd) const;
   /// All or none: none when one of the sockets began closing.
   [[nodiscard]] bool setFlags(const std::vector<SocketFlagChange>& changes);

   /// `Socket::info` changed; rewrites the row.
   void upgraded(std::int32_t fd);

   /// Removes the row and the descriptor after `x-http::close` ran.
   void forget(std::int32_t fd);

   /// Closes all, without running services.
   void closeAll();

private:
   friend class SocketOwner;
   struct Item {
      std::shared_ptr<Socket> socket;
      std::uint32_t flags = 0;
      std::uint32_t locks = 0;
      Row row = Row::shared;
      bool hungUp = false;  ///< by the peer or the node
      bool closing = false; ///< the decision is made; the row still stands
      std::optional<std::string> error;
   };
   struct Closing {
      std::int32_t fd;
      std::shared_ptr<Socket> socket;
      std::optional<std::string> error;
      bool notify;
   };
   void release(SocketOwner& owner, std::int32_t fd);
   /// Decides whether the item closes now.
   void settle(std::int32_t fd, Item& item, std::vector<Closing>& out) REQUIRES(mutex_);
   void change(Item& item, const SocketFlagChange& change) REQUIRES(mutex_);
   void close(std::vector<Closing>& closing);

   NodeLocal& local_;
   std::function<void(std::int32_t)> onClose_;
   mutable Mutex mutex_;
   std::map<std::int32_t, Item> items_ GUARDED_BY(mutex_);
   /// Every descriptor from 2 to below `unused_` is in `items_` or here.
   std::priority_queue<std::int32_t, std::vector<std::int32_t>, std::greater<>> free_ GUARDED_BY(mutex_);
   std::int32_t unused_ GUARDED_BY(mutex_) = 2;
   void erase(std::map<std::int32_t, Item>::iterator at) REQUIRES(mutex_);
};

/// Store key of a socket's row.
Bytes socketRowKey(std::int32_t fd);

} // namespace polis::kernel

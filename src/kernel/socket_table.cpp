#include "kernel/socket_table.hpp"

#include "format/fracpack.hpp"
#include "kernel/databases.hpp"

#include <algorithm>

namespace polis::kernel {

namespace {
LocalWrite rowWrite(std::int32_t fd, const format::SocketInfo& info) {
   return {socketRowKey(fd), format::pack(format::SocketRow{fd, info})};
}
} // namespace

Bytes socketRowKey(std::int32_t fd) { return storeKey(db::nativeSession, format::SocketRow::key(fd)); }

void SocketOwner::release() {
   for (const std::int32_t fd : std::exchange(held_, {}))
      table_.release(*this, fd);
}

std::int32_t SocketTable::add(std::shared_ptr<Socket> socket, SocketOwner* owner, Row row) {
   std::int32_t fd;
   {
      Lock lock(mutex_);
      if (free_.empty()) {
         fd = unused_++;
      } else {
         fd = free_.top();
         free_.pop();
      }
      Item& item = items_[fd];
      item.socket = socket;
      item.row = row;
      if (owner) {
         item.flags = socketFlag::autoClose;
         item.locks = 1;
      }
   }
   if (owner)
      owner->held_.push_back(fd);
   if (row == Row::shared)
      local_.write({rowWrite(fd, socket->info())});
   socket->attached(fd);
   return fd;
}

void SocketTable::addFixed(std::int32_t fd, std::shared_ptr<Socket> socket) {
   {
      Lock lock(mutex_);
      items_[fd].socket = socket;
   }
   local_.write({rowWrite(fd, socket->info())});
   socket->attached(fd);
}

bool SocketTable::deliver(std::int32_t fd, SocketOwner& owner) {
   {
      Lock lock(mutex_);
      auto at = items_.find(fd);
      if (at == items_.end() || at->second.closing)
         return false;
      if (fd < 2)
         return true;
      Item& item = at->second;
      if (!(item.flags & socketFlag::recv))
         return false;
      item.flags &= ~socketFlag::recv;
      ++item.locks;
   }
   owner.held_.push_back(fd);
   return true;
}

void SocketTable::hangUp(std::int32_t fd) {
   std::vector<Closing> closing;
   {
      Lock lock(mutex_);
      auto at = items_.find(fd);
      if (at == items_.end())
         return;
      at->second.hungUp = true;
      settle(fd, at->second, closing);
   }
   close(closing);
}

std::shared_ptr<Socket> SocketTable::find(std::int32_t fd) const {
   Lock lock(mutex_);
   auto at = items_.find(fd);
   return at == items_.end() || at->second.closing ? nullptr : at->second.socket;
}

std::int32_t SocketTable::checkFlags(std::int32_t fd) const {
   Lock lock(mutex_);
   auto at = items_.find(fd);
   if (at == items_.end())
      return socketError::unknown;
   if (fd < 2)
      return socketError::unsupported;
   return at->second.closing || at->second.hungUp ? socketError::closing : socketError::none;
}

std::int32_t SocketTable::setFlags(const SocketFlagChange& change) {
   const std::int32_t error = checkFlags(change.fd);
   if (error != socketError::none)
      return error;
   return setFlags(std::vector{change}) ? socketError::none : socketError::closing;
}

void SocketTable::change(Item& item, const SocketFlagChange& c) {
   const std::uint32_t stored = socketFlag::all & ~socketFlag::lockClose;
   item.flags = (item.flags & ~(c.mask & stored)) | (c.value & c.mask & stored);
   if (c.mask & socketFlag::lockClose) {
      auto& held = c.owner->held_;
      const auto mine = std::find(held.begin(), held.end(), c.fd);
      if ((c.value & socketFlag::lockClose) && mine == held.end()) {
         ++item.locks;
         held.push_back(c.fd);
      } else if (!(c.value & socketFlag::lockClose) && mine != held.end()) {
         --item.locks;
         held.erase(mine);
      }
   }
}

bool SocketTable::setFlags(const std::vector<SocketFlagChange>& changes) {
   std::vector<Closing> closing;
   std::vector<std::shared_ptr<Socket>> ready;
   {
      Lock lock(mutex_);
      for (const SocketFlagChange& c : changes) {
         auto at = items_.find(c.fd);
         if (at == items_.end() || at->second.closing || at->second.hungUp)
            return false;
      }
      for (const SocketFlagChange& c : changes) {
         auto at = items_.find(c.fd);
         Item& item = at->second;
         if (item.closing)
            continue; // an earlier change of this list closed it
         const bool before = item.flags & socketFlag::recv;
         change(item, c);
         if (!before && (item.flags & socketFlag::recv))
            ready.push_back(item.socket);
         settle(c.fd, item, closing);
      }
   }
   for (const auto& socket : ready)
      socket->readyToReceive();
   close(closing);
   return true;
}

void SocketTable::upgraded(std::int32_t fd) {
   if (auto socket = find(fd))
      local_.write({rowWrite(fd, socket->info())});
}

void SocketTable::release(SocketOwner& owner, std::int32_t fd) {
   std::vector<Closing> closing;
   {
      Lock lock(mutex_);
      auto at = items_.find(fd);
      if (at == items_.end())
         return;
      Item& item = at->second;
      --item.locks;
      if (owner.error_)
         item.error = owner.error_;
      settle(fd, item, closing);
   }
   close(closing);
}

void SocketTable::settle(std::int32_t fd, Item& item, std::vector<Closing>& out) {
   if (item.closing || item.locks > 0 || !(item.hungUp || (item.flags & socketFlag::autoClose)))
      return;
   item.closing = true;
   out.push_back({fd, item.socket, item.error, (item.flags & socketFlag::notifyClose) != 0});
}

void SocketTable::close(std::vector<Closing>& closing) {
   for (Closing& c : closing) {
      c.socket->close({c.error});
      if (c.notify)
         onClose_(c.fd);
      else if (!c.socket->lingers())
         forget(c.fd);
   }
}

void SocketTable::forget(std::int32_t fd) {
   {
      Lock lock(mutex_);
      auto at = items_.find(fd);
      if (at == items_.end())
         return;
      if (at->second.row == Row::none) {
         erase(at);
         return;
      }
   }
   // The descriptor is free for others only after its row is gone.
   local_.write({{socketRowKey(fd), std::nullopt}});
   Lock lock(mutex_);
   if (const auto at = items_.find(fd); at != items_.end())
      erase(at);
}

void SocketTable::erase(std::map<std::int32_t, Item>::iterator at) {
   if (at->first >= 2)
      free_.push(at->first);
   items_.erase(at);
}

void SocketTable::closeAll() {
   std::map<std::int32_t, Item> items;
   {
      Lock lock(mutex_);
      items.swap(items_);
   }
   for (auto& [fd, item] : items)
      if (!item.closing)
         item.socket->close({});
}

} // namespace polis::kernel

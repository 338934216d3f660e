#include "format/fracpack.hpp"
#include "kernel/databases.hpp"
#include "kernel/service_instance.hpp"

namespace polis::kernel {

namespace {

/// What kvOpen allows, as bits of Handle::read and Handle::write; 0: not at all. Source: spec, kernel §1.2.
std::uint8_t openable(std::uint32_t database, Mode mode, bool local) {
   constexpr std::uint8_t r = Handle::read, w = Handle::write, rw = r | w;
   const bool transaction = mode == Mode::transaction || mode == Mode::speculative;
   if (mode == Mode::verify)
      return 0;
   switch (database) {
   case db::native:
   case db::service:
      return transaction ? rw : r;
   case db::writeOnly:
      return transaction ? w : mode == Mode::callback ? rw : r;
   case db::blockLog:
      return transaction ? w : mode == Mode::callback ? rw : r;
   case db::subjective:
   case db::nativeSubjective:
   case db::session:
   case db::nativeSession:
   case db::temporary:
      return isSubjective(mode) && local ? rw : 0;
   default:
      return 0;
   }
}

} // namespace

const Handle& ServiceInstance::handle(u32 index) const {
   if (index >= handles_.size() || handles_[index].mode == 0)
      throw Abort("Invalid bucket");
   return handles_[index];
}

std::uint32_t ServiceInstance::addHandle(const Handle& handle) {
   for (std::size_t i = 0; i < handles_.size(); ++i)
      if (handles_[i].mode == 0) {
         handles_[i] = handle;
         return static_cast<u32>(i);
      }
   if (handles_.size() >= handlesMax)
      throw Abort("Too many database handles");
   handles_.push_back(handle);
   return static_cast<u32>(handles_.size() - 1);
}

std::uint32_t ServiceInstance::kvOpen(u32 database, GuestIn prefixSpan, u32 mode) {
   const ByteView prefix = guest(prefixSpan);
   if (prefix.size() > std::min<std::size_t>(context_.keyBytesMax(), Handle::prefixBytesMax))
      throw Abort("prefix is too long");
   if (mode < 1 || mode > 3)
      throw Abort("Invalid mode");
   if (!code_.privileged())
      throw Abort("service may not open databases");
   const std::uint8_t allowed = openable(database, frame->mode, code_.local());
   if (allowed == 0)
      throw Abort("database " + std::to_string(database) + " is not available here");
   if ((mode & ~std::uint32_t{allowed}) != 0)
      throw Abort(std::string("database ") + std::to_string(database) + " cannot be opened for " +
                  (allowed == Handle::read ? "writing" : "reading") + " here");
   Handle handle;
   handle.mode = static_cast<std::uint8_t>(mode);
   handle.prefixBytes = static_cast<std::uint8_t>(prefix.size());
   handle.start[0] = static_cast<std::uint8_t>(database);
   std::copy(prefix.begin(), prefix.end(), handle.start.begin() + 1);
   return addHandle(handle);
}

std::uint32_t ServiceInstance::kvOpenAt(u32 index, GuestIn prefixSpan, u32 mode) {
   Handle next = handle(index);
   const ByteView prefix = guest(prefixSpan);
   if (next.prefixBytes + prefix.size() > std::min<std::size_t>(context_.keyBytesMax(), Handle::prefixBytesMax))
      throw Abort("prefix is too long");
   if (mode < 1 || mode > 3)
      throw Abort("Invalid mode");
   if ((mode & ~std::uint32_t{next.mode}) != 0)
      throw Abort("Cannot increase permissions");
   std::copy(prefix.begin(), prefix.end(), next.start.begin() + 1 + next.prefixBytes);
   next.prefixBytes = static_cast<std::uint8_t>(next.prefixBytes + prefix.size());
   next.mode = static_cast<std::uint8_t>(mode);
   return addHandle(next);
}

void ServiceInstance::kvClose(u32 index) {
   (void)handle(index);
   handles_[index].mode = 0;
}

void ServiceInstance::exportHandles(GuestIn list) {
   auto indexes = format::unpackStrict<std::vector<std::uint32_t>>(guest(list));
   if (!indexes)
      throw Abort("exportHandles: not a packed list of handles");
   if (indexes->size() > handlesMax)
      throw Abort("Too many database handles");
   HandleSet set;
   set.reserve(indexes->size());
   for (const u32 index : *indexes)
      set.push_back(handle(index));
   context_.exported = std::move(set);
}

std::uint32_t ServiceInstance::importHandles() {
   const HandleSet set = std::exchange(context_.imported, {});
   std::vector<std::uint32_t> indexes;
   indexes.reserve(set.size());
   for (const Handle& h : set)
      indexes.push_back(addHandle(h));
   result_.take(format::pack(indexes));
   key_.clear();
   return static_cast<u32>(result_.view().size());
}

} // namespace polis::kernel

#include "kernel/machine.hpp"

#include "format/fracpack.hpp"
#include "kernel/databases.hpp"

#include <algorithm>

namespace polis::kernel {

using format::NativeTable;

void Machine::announce(const std::vector<LocalWrite>& writes) {
   bool producer = false, queue = false;
   for (const LocalWrite& w : writes) {
      if (!w.value || w.key.size() < 4)
         continue;
      const auto table = static_cast<NativeTable>(w.key[1] << 8 | w.key[2]);
      if (w.key[0] == db::nativeSubjective) {
         if (table == NativeTable::notify) {
            const auto row = format::unpack<format::NotifyRow>(*w.value);
            producer = producer || (row && row->type == format::NotifyType::nextTransaction);
         } else if (table == NativeTable::run) {
            queue = true;
         }
      } else if (w.key[0] == db::nativeSession) {
         if (table == NativeTable::timer) {
            queue = true;
         } else if (table == NativeTable::hostConfig) {
            if (auto row = format::unpack<format::HostConfigRow>(*w.value))
               host.hostConfigChanged(row->config);
         } else if (table == NativeTable::pendingShutdown) {
            if (auto row = format::unpack<format::PendingShutdownRow>(*w.value))
               host.shutdownRequested(row->args);
         } else if (table == NativeTable::socket) {
            if (auto row = format::unpack<format::SocketRow>(*w.value);
                row && std::holds_alternative<format::P2PSocketInfo>(row->info))
               if (auto socket = sockets.find(row->fd))
                  socket->becamePeer();
         }
      }
   }
   host.wakeFlush();
   if (producer)
      host.wakeProducer();
   if (queue)
      host.wakeRunQueue();
}

} // namespace polis::kernel

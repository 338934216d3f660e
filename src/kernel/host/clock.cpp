#include "kernel/cpu_time.hpp"
#include "kernel/service_instance.hpp"

namespace polis::kernel {

std::uint32_t ServiceInstance::clockTimeGet(u32 id, GuestPtr64 time) {
   constexpr u32 invalid = 28;
   // The pointer is checked first, also for an unknown clock.
   const auto target = vm_.memory().write(time.pointer, 8);
   result_.clear();
   key_.clear();
   std::uint64_t now;
   switch (id) {
   case 0:
      now = static_cast<std::uint64_t>(context_.machine().host.realtimeNs());
      break;
   case 1:
      now = static_cast<std::uint64_t>(context_.machine().host.monotonicNs());
      break;
   case 2:
   case 3:
      now = context_.cpuNs();
      break;
   default:
      return invalid;
   }
   std::memcpy(target.data(), &now, sizeof now);
   return 0;
}

void ServiceInstance::getRandom(GuestOut out) {
   const auto target = vm_.memory().write(out.pointer, out.bytes);
   context_.budget().instructions += cost::copy(target.size()) * 8;
   context_.machine().host.random(target);
}

void ServiceInstance::setMaxCpuTime(u64 ns) {
   context_.setCpuLimit(ns);
   result_.clear();
   key_.clear();
}

} // namespace polis::kernel

#include "kernel/cpu_time.hpp"
#include "kernel/service_instance.hpp"

#include <algorithm>
#include <cstring>

namespace polis::kernel {

void ServiceInstance::fetch(const ResultBuffer& buffer, GuestOut out, u32 offset) const {
   const auto target = vm_.memory().write(out.pointer, out.bytes);
   const ByteView source = buffer.view();
   if (offset >= source.size())
      return;
   const std::size_t bytes = std::min<std::size_t>(target.size(), source.size() - offset);
   context_.budget().instructions += cost::copy(bytes);
   if (bytes)
      std::memcpy(target.data(), source.data() + offset, bytes);
}

std::uint32_t ServiceInstance::getResult(GuestOut out, u32 offset) {
   fetch(result_, out, offset);
   return static_cast<u32>(result_.view().size());
}

std::uint32_t ServiceInstance::getKey(GuestOut out) {
   fetch(key_, out, 0);
   return static_cast<u32>(key_.view().size());
}

std::uint32_t ServiceInstance::setResult(ByteView bytes) {
   result_.copy(bytes);
   key_.clear();
   return static_cast<u32>(bytes.size());
}

std::uint32_t ServiceInstance::noResult() {
   result_.clear();
   key_.clear();
   return none;
}

} // namespace polis::kernel

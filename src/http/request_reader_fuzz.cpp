// Any bytes, in pieces of any size: the reader neither crashes nor grows past its limits.
#include "http/request_reader.hpp"
#include <cstddef>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   using namespace polis;
   if (size < 1)
      return 0;
   const std::size_t step = 1 + data[0];
   const ByteView input(data + 1, size - 1);
   http::Limits limits;
   limits.headerBytesMax = 512;
   limits.bodyBytesMax = 1024;
   http::RequestReader reader(limits);
   std::size_t begin = 0, end = 0;
   while (end < input.size()) {
      end = std::min(end + step, input.size());
      while (begin < end) {
         const auto taken = reader.put(input.subspan(begin, end - begin));
         if (!taken)
            return 0;
         begin += *taken;
         if (reader.bodyBytes() > limits.bodyBytesMax)
            __builtin_trap();
         if (!reader.done()) {
            if (end - begin > limits.headerBytesMax)
               __builtin_trap();
            break;
         }
         const auto incoming = reader.take();
         if (incoming.request.host.empty() || incoming.request.target.empty())
            __builtin_trap();
      }
   }
   return 0;
}

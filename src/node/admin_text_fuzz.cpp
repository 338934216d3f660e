// Any bytes as the texts that the administration reads: a filter of the log, and what the system tells of memory and
// threads.
#include "base/assert.hpp"
#include "node/log_feed.hpp"
#include "node/performance.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   const std::string_view text(reinterpret_cast<const char*>(data), size);
   if (const auto filter = polis::node::parseLogFilter(text))
      ASSERT(filter->levels <= 0xF);
   (void)polis::node::memoryUse(text, "/node");
   const auto middle = text.substr(0, size / 2);
   (void)polis::node::threadUse(middle, text.substr(size / 2), 100);
   return 0;
}

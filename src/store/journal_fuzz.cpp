// A segment file of any bytes: opened or refused, never more; what is read can be read again.
#include "store/journal.hpp"
#include "store/test_folder.hpp"

#include "base/assert.hpp"
#include "base/fault.hpp"

#include <fstream>

using namespace polis;
using namespace polis::store;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   const TestFolder folder;
   constexpr JournalOptions options{.segmentBytes = 1000, .aheadBytes = 0};
   std::size_t whole = 0;
   {
      auto journal = Journal::open(folder.path(), options);
      for (std::size_t i = 0; i < 5; ++i)
         journal->append(ByteView(data, std::min(size, i * 7)));
      journal->sync();
   }
   // The input lies over the end of what was written; its first byte says where.
   {
      std::fstream file(folder.path() / "0000000000000000.journal", std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(size ? data[0] : 0);
      file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
   }
   try {
      auto journal = Journal::open(folder.path(), options);
      journal->replay(0, [&](JournalPosition, ByteView) { ++whole; });
      journal->append(asBytes("more"));
      journal->sync();
   } catch (const Fault&) {
      return 0;
   }
   std::size_t again = 0;
   auto journal = Journal::open(folder.path(), options);
   journal->replay(0, [&](JournalPosition, ByteView) { ++again; });
   ASSERT(again == whole + 1);
   return 0;
}

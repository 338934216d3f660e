// Bytes of a hostile peer: nothing that it sends may crash the node or make it hold more than the limits say.
#include "peer/network.hpp"
#include "peer/test_chain_view.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   using namespace polis;
   peer::TestChainView view;
   view.grow(20);
   view.producers = {format::AccountNumber("a"), format::AccountNumber("b")};
   peer::Network network(format::AccountNumber("a"), 1, view);
   network.setProducers(view.producers);
   network.opened(1, 0);
   network.opened(2, 0);
   network.frame(1, consensus::encode(consensus::InitMessage{}), 0);
   network.frame(2, consensus::encode(consensus::InitMessage{}), 0);
   // u16 length, then a frame; the lowest bit of the length says on which link.
   std::int64_t now = 0;
   while (size >= 2) {
      const std::size_t length = std::min<std::size_t>((data[0] | std::size_t{data[1]} << 8) >> 1, size - 2);
      network.frame(1 + (data[0] & 1), ByteView(data + 2, length), now += 1000);
      (void)network.take();
      network.written(1);
      network.chainChanged();
      data += 2 + length;
      size -= 2 + length;
   }
   (void)network.take();
   return 0;
}

// Bytes of hostile producers, whose signatures hold: whatever they say, a replica neither crashes nor runs for ever,
// and what is read is written back the same.
#include "consensus/test_replica.hpp"

#include <cstdlib>

namespace polis::consensus {
namespace {

void readAndWrite(ByteView frame) {
   forEachMessageType([&]<class M>() {
      if constexpr (SignedContent<M>) {
         const auto message = decode<M>(frame);
         if (message && encode(message->message, message->signature) != toBytes(frame)) {
            // The outer struct has one encoding only for a given inner one.
            const auto again = decode<M>(encode(message->message, message->signature));
            if (!again || again->message != message->message)
               std::abort();
         }
      } else {
         const auto message = decode<M>(frame);
         if (message && decode<M>(encode(*message)) != message)
            std::abort();
      }
   });
}

} // namespace
} // namespace polis::consensus

/// First byte: which sets. Then u16 length, frame; and so on. An empty frame lets time pass.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   using namespace polis;
   using namespace polis::consensus;
   if (size == 0)
      return 0;
   TestReplica node(4);
   node.signatures.believing = true;
   node.be(data[0] >> 2 & 3);
   node.begin(testConsensus(data[0] & 1 ? Algorithm::cft : Algorithm::bft, node.some(0, data[0] & 2 ? 3 : 4)));
   ++data, --size;
   while (size >= 2) {
      const std::size_t length = std::min<std::size_t>(data[0] | std::size_t{data[1]} << 8, size - 2);
      const ByteView frame(data + 2, length);
      if (frame.empty()) {
         node.wait(700'000);
      } else if (typeOf(frame) == MessageType::block) {
         if (auto message = decode<BlockMessage>(frame))
            node.receive(std::make_shared<const format::SignedBlock>(std::move(message->block)));
      } else {
         readAndWrite(frame);
         if (auto message = decodeMessage(frame))
            node.step(MessageReceived{1, std::move(*message)});
      }
      node.effects.clear();
      node.records.clear();
      data += 2 + length;
      size -= 2 + length;
   }
   return 0;
}

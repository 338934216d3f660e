#include "brotli-svc/service/brotli_svc.hpp"

#include <brotli/decode.h>

namespace polis::services {

Bytes BrotliService::decompress(Bytes content) {
   BrotliDecoderState* decoder = BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
   check(decoder != nullptr, "no memory to unpack with");
   Bytes out;
   std::size_t left = content.size();
   const std::uint8_t* next = content.data();
   BrotliDecoderResult result = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
   while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) {
      std::size_t none = 0;
      result = BrotliDecoderDecompressStream(decoder, &left, &next, &none, nullptr, nullptr);
      std::size_t size = 0;
      const std::uint8_t* part = BrotliDecoderTakeOutput(decoder, &size);
      check(size <= bytesMax - out.size(), "unpacked, the content is too large");
      out.insert(out.end(), part, part + size);
   }
   BrotliDecoderDestroyInstance(decoder);
   check(result == BROTLI_DECODER_RESULT_SUCCESS && left == 0, "Decompression failed");
   return out;
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::BrotliService)

// Unpacks Brotli for services.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

class BrotliService : public Service {
public:
   static constexpr auto account = "brotli-svc"_a;
   /// Whatever a few bytes claim to be, no more is made of them.
   static constexpr std::size_t bytesMax = std::size_t{8} << 20;

   /// Refuses: what is not exactly one Brotli stream; more than bytesMax unpacked.
   Bytes decompress(Bytes content);
};
POLIS_SERVICE(BrotliService, action(decompress, content))

} // namespace polis::services

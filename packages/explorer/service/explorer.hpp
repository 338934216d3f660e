// Looks at blocks and transactions.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// Where a transaction is.
struct TransactionPlace {
   Checksum256 id{};
   BlockNum blockNum = 0;
   std::uint32_t index = 0;
};

class Explorer : public Service {
public:
   static constexpr auto account = "explorer"_a;
   /// Outside the state hash.
   using Places = WriteOnlyTable<0, TransactionPlace, &TransactionPlace::id>;

   /// Enters the newest block's transactions into the index. The kernel's acceptBlock notification; sender 0.
   void onBlock();
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(Explorer, action(onBlock), action(serveSys, request, socket, user))

} // namespace polis::services

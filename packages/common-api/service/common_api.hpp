// What every subdomain answers under /common/.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

class CommonApi : public Service {
public:
   static constexpr auto account = "common-api"_a;

   /// GET chainid, thisservice, rootdomain, tapos/head; POST pack/Transaction, pack/SignedTransaction, set-auth-cookie,
   /// remove-auth-cookie.
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(CommonApi, action(serveSys, request, socket, user))

} // namespace polis::services

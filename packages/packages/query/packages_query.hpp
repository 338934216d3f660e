// What is installed, over HTTP.
#pragma once

#include "../service/packages.hpp"

namespace polis::services {

/// One entry of /api/apps.
struct App {
   AccountNumber account;
   std::string package, version, description;
   AccountNumber owner;
};

class PackagesQuery : public Service {
public:
   static constexpr auto account = "packages+1"_a;

   /// GET /schema?service=, /manifest?owner=&package=, /api/installed, /api/apps; GraphQL
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(PackagesQuery, action(serveSys, request, socket, user))

} // namespace polis::services

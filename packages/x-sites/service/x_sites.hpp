// Files of local services.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct LocalContent {
   AccountNumber account;
   std::string path;
   std::string contentType;
   Checksum256 contentHash{};
   Bytes content;
   std::optional<std::string> contentEncoding;
   std::optional<std::string> csp;
};

class XSites : public Service {
public:
   static constexpr auto account = "x-sites"_a;

   using Contents = SubjectiveTable<0, LocalContent, key<&LocalContent::account, &LocalContent::path>>;

   /// GET and HEAD serve files of the subdomain's account, `index.html` for folders; PUT and DELETE are for
   /// administrators.
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(XSites, action(serveSys, request, socket, user))

} // namespace polis::services

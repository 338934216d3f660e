// Files of every account, stored on the chain and served on the account's subdomain.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct SitesContent {
   AccountNumber account;
   std::string path;
   std::string contentType;
   Checksum256 contentHash{};
   std::optional<std::string> contentEncoding;
   std::optional<std::string> csp;
};

struct SiteConfig {
   AccountNumber account;
   bool spa = false;
   bool cache = true;
   std::optional<std::string> globalCsp;
   std::optional<AccountNumber> proxyAccount;
};

struct SitesData {
   Checksum256 hash{};
   Bytes data;
};

struct SitesDataRef {
   Checksum256 hash{};
   std::uint32_t refs = 0;
};

class Sites : public Service {
public:
   static constexpr auto account = "sites"_a;

   using Contents = Table<0, SitesContent, key<&SitesContent::account, &SitesContent::path>>;
   using Configs = Table<1, SiteConfig, &SiteConfig::account>;
   using DataTable = Table<2, SitesData, &SitesData::hash>;
   using DataRefs = Table<3, SitesDataRef, &SitesDataRef::hash>;
   using Tables = std::tuple<Contents, Configs, DataTable, DataRefs>;

   /// Stores a file of the sender's site, replacing what was there and its own policy. path starts with `/`;
   /// contentEncoding: br, gzip or none.
   void storeSys(std::string path, std::string contentType, std::optional<std::string> contentEncoding, Bytes content);
   /// Stores a file whose content is on the chain already.
   void hardlink(std::string path, std::string contentType, std::optional<std::string> contentEncoding,
                 Checksum256 contentHash);
   /// Removes a file of the sender; a missing one is fine.
   void remove(std::string path);
   bool isValidPath(AccountNumber site, std::string path);
   std::optional<SitesContent> getProps(AccountNumber site, std::string path);
   Bytes getData(AccountNumber site, std::string path, bool decompress);
   /// A single-page app: paths without a dot in their last part serve /index.html.
   void enableSpa(bool enable);
   /// path: of one file, or `*` for the whole site.
   void setCsp(std::string path, std::string csp);
   void deleteCsp(std::string path);
   void enableCache(bool enable);
   /// Serves another account's files where the sender has none. Refuses a circle.
   void setProxy(AccountNumber proxy);
   void clearProxy();

   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(Sites, action(storeSys, path, contentType, contentEncoding, content),
              action(hardlink, path, contentType, contentEncoding, contentHash), action(remove, path),
              action(isValidPath, site, path), action(getProps, site, path), action(getData, site, path, decompress),
              action(enableSpa, enable), action(setCsp, path, csp), action(deleteCsp, path),
              action(enableCache, enable), action(setProxy, proxy), action(clearProxy),
              action(serveSys, request, socket, user))

} // namespace polis::services

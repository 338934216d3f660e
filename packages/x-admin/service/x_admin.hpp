// Administration of this node: its configuration, its services, and who may change them.
#pragma once

#include "x-admin/service/admin_session.hpp"

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// What local services need of the node's configuration, kept while the node runs.
struct AdminOptions {
   bool p2p = false;
   std::vector<std::string> hosts;
   std::vector<std::string> peers;
};

struct AdminAccount {
   AccountNumber account;
};

/// Code rows of this node that name one code blob.
struct LocalCodeRefs {
   Checksum256 codeHash{};
   std::uint8_t vmType = 0;
   std::uint8_t vmVersion = 0;
   std::uint32_t numRefs = 0;
};

class XAdmin : public Service {
public:
   static constexpr auto account = "x-admin"_a;

   using AdminAccounts = SubjectiveTable<0, AdminAccount, &AdminAccount::account>;
   using CodeRefs = SubjectiveTable<1, LocalCodeRefs,
                                    key<&LocalCodeRefs::codeHash, &LocalCodeRefs::vmType, &LocalCodeRefs::vmVersion>>;
   using Token = BasicTable<Db::subjective, 2, AdminToken, key<>>;
   using Sessions = SubjectiveTable<3, AdminSession, &AdminSession::sha256>;
   using Options = BasicTable<Db::session, 0, AdminOptions, key<>>;

   /// Reads the node's configuration. Runs once a start. From x-http.
   void startSession();
   /// Whether this account, or whoever is behind this socket, administers the node.
   /// forwardedFor: the addresses of X-Forwarded-For and Forwarded, nearest last.
   /// From local and privileged services; from others only about a request that they are answering.
   bool isAdmin(std::optional<AccountNumber> account, std::optional<std::int32_t> socket,
                std::vector<std::string> forwardedFor);
   /// Nothing if the request comes from an administrator; otherwise the reply that refuses it. Callers: as isAdmin.
   std::optional<HttpReply> checkAuth(HttpRequest req, std::optional<std::int32_t> socket);
   /// From local services.
   AdminOptions options();
   /// From x-http.
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(XAdmin, action(startSession), action(isAdmin, account, socket, forwardedFor),
              action(checkAuth, req, socket), action(options), action(serveSys, request, socket, user))

} // namespace polis::services

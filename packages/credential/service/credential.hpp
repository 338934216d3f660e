// Bearer keys that may call a few actions of one service, as the account cred-sys.
#pragma once

#include "accounts/service/auth_interface.hpp"
#include "tokens/service/quantity.hpp"

namespace polis::services {

struct CredentialInit {
   bool done = true;
};

struct LastCredential {
   std::uint32_t id = 0;
};

struct Credential {
   std::uint32_t id = 0;
   /// sha256 of the key's SubjectPublicKeyInfo, DER.
   Checksum256 pubkey_fingerprint{};
   TimePointSec creation_date;
   AccountNumber issuer;
   std::optional<TimePointSec> expiry_date;
   /// Methods of the issuer's service that the key may call.
   std::vector<MethodNumber> allowed_actions;

   /// Those that never expire come last.
   std::int64_t expiryKey() const { return expiry_date ? expiry_date->seconds : INT64_MAX; }
};

class Credentials : public Service {
public:
   static constexpr auto account = "credential"_a;
   /// The sender of every transaction that is signed with a credential alone.
   static constexpr auto bearer = "cred-sys"_a;
   static constexpr auto verifyService = "verify-sig"_a;

   using InitTable = Singleton<0, CredentialInit>;
   using LastId = Singleton<1, LastCredential>;
   using Records = Table<2, Credential, &Credential::id, Index<&Credential::pubkey_fingerprint>,
                         Index<&Credential::expiryKey, &Credential::id>>;
   using Tables = std::tuple<InitTable, LastId, Records>;

   /// Creates cred-sys. Does nothing the second time.
   void init();
   /// Issues a credential for the sender's service and returns its id.
   /// expires: seconds from now. Refuses a fingerprint that is in use.
   std::uint32_t issue(Checksum256 pubkey_fingerprint, std::optional<std::uint32_t> expires,
                       std::vector<MethodNumber> allowed_actions);
   Checksum256 getFingerprint(std::uint32_t id);
   std::optional<TimePointSec> get_expiry_date(std::uint32_t id);
   /// The credential whose key is among the claims of the transaction being run. Fails when there are two, or it has
   /// expired.
   std::optional<std::uint32_t> get_active();
   /// The credential, or nothing.
   std::optional<Credential> find(std::uint32_t id);
   /// Buys resources for the transactions of a credential, with tokens that were credited to this service. Sender: its
   /// issuer.
   void resource(std::uint32_t id, Quantity amount);
   /// Ends a credential; resources that are left go to cred-sys. Sender: its issuer.
   void consume(std::uint32_t id);

   /// CR-1: only cred-sys, with the single claim of a credential that is valid and allows the action.
   bool checkAuthSys(std::uint32_t flags, AccountNumber requester, AccountNumber sender, ServiceMethod action,
                     std::vector<ServiceMethod> allowedActions, std::vector<Claim> claims);
   void canAuthUserSys(AccountNumber user);
   std::vector<AccountNumber> getDlgsSys(AccountNumber sender, std::optional<ServiceMethod> method);
   bool isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers, std::optional<ServiceMethod> method);
   bool isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters, std::optional<ServiceMethod> method);
};
POLIS_SERVICE(Credentials, action(init), action(issue, pubkey_fingerprint, expires, allowed_actions),
              action(getFingerprint, id), action(get_expiry_date, id), action(get_active), action(find, id),
              action(resource, id, amount), action(consume, id),
              action(checkAuthSys, flags, requester, sender, action, allowedActions, claims),
              action(canAuthUserSys, user), action(getDlgsSys, sender, method),
              action(isAuthSys, sender, authorizers, method), action(isRejectSys, sender, rejecters, method))

} // namespace polis::services

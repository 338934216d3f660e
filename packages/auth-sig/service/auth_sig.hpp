// Accounts that are controlled by one public key.
#pragma once

#include "accounts/service/auth_interface.hpp"

namespace polis::services {

struct KeyRecord {
   AccountNumber account;
   /// SubjectPublicKeyInfo, DER.
   Bytes pubkey;

   Checksum256 fingerprint() const { return sha256(ByteView(pubkey)); }
};

class AuthSig : public Service {
public:
   static constexpr auto account = "auth-sig"_a;
   static constexpr auto verifyService = "verify-sig"_a;
   using Records = Table<0, KeyRecord, &KeyRecord::account, Index<&KeyRecord::fingerprint, &KeyRecord::account>>;
   using Tables = std::tuple<Records>;

   /// True when the account's key is among the claims; on the first action it must be the first claim.
   bool checkAuthSys(std::uint32_t flags, AccountNumber requester, AccountNumber sender, ServiceMethod action,
                     std::vector<ServiceMethod> allowedActions, std::vector<Claim> claims);
   void canAuthUserSys(AccountNumber user);
   std::vector<AccountNumber> getDlgsSys(AccountNumber sender, std::optional<ServiceMethod> method);
   bool isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers, std::optional<ServiceMethod> method);
   bool isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters, std::optional<ServiceMethod> method);

   /// Sets the sender's key. Refuses what is not a P-256 or secp256k1 public key.
   void setKey(Bytes key);
   /// Creates an account with a key. Fails, having changed nothing, when the name is taken, whoever has it (SEC-1).
   void newAccount(AccountNumber name, Bytes key);
};
POLIS_SERVICE(AuthSig, action(checkAuthSys, flags, requester, sender, action, allowedActions, claims),
              action(canAuthUserSys, user), action(getDlgsSys, sender, method),
              action(isAuthSys, sender, authorizers, method), action(isRejectSys, sender, rejecters, method),
              action(setKey, key), action(newAccount, name, key))

} // namespace polis::services

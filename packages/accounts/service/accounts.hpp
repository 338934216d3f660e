// The registry of accounts.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct AccountsStatus {
   std::uint32_t totalAccounts = 0;
};

struct Account {
   AccountNumber accountNum;
   AccountNumber authService;
   /// Grows whenever the way this account is authorized changes, so that older consents stop counting.
   std::uint64_t authSequence = 0;
};

using AccountsStatusTable = Singleton<0, AccountsStatus>;
using AccountTable = Table<1, Account, &Account::accountNum>;

class Accounts : public Service {
public:
   static constexpr auto account = "accounts"_a;
   static constexpr std::size_t freeNameMinLength = 8;
   using Tables = std::tuple<AccountsStatusTable, AccountTable>;

   /// Enters an account, under auth-delg, for each service that the chain was born with. Does nothing the second time.
   void init();

   /// Lets the next newAccount of this transaction take `name` whatever its length.
   /// Sender: for a subaccount, its base account; for `x-…`, accounts; otherwise accounts or namemarket.
   void preapproveAcc(AccountNumber name);

   /// Creates an account. Returns false, having changed nothing, if the name is taken: callers must test the result.
   /// requireMatch: fail instead if the name is taken by an account of another auth service.
   /// Refuses: names that are invalid; not preapproved: subaccounts unless the sender is their base account, and,
   /// unless the sender is accounts, names below eight characters or starting with `x-`; an auth service that is no
   /// account.
   bool newAccount(AccountNumber name, AccountNumber authService, bool requireMatch);

   /// Puts the sender under another auth service, which has to agree.
   void setAuthServ(AccountNumber authService);

   /// Increments `name`'s authSequence. Sender: its auth service.
   void incAuthSeq(AccountNumber name);

   std::optional<Account> getAccount(AccountNumber name);
   /// Fails if there is no such account.
   AccountNumber getAuthOf(AccountNumber account);
   bool exists(AccountNumber name);
};
POLIS_SERVICE(Accounts, action(init), action(preapproveAcc, name), action(newAccount, name, authService, requireMatch),
              action(setAuthServ, authService), action(incAuthSeq, name), action(getAccount, name),
              action(getAuthOf, account), action(exists, name))

} // namespace polis::services

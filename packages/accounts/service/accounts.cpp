#include "accounts/service/accounts.hpp"

#include <algorithm>

#include "accounts/service/auth_interface.hpp"

namespace polis::services {
namespace {

using CodeTable = BasicTable<Db::native, 2, CodeRow, &CodeRow::codeNum>;

constexpr auto authDelg = "auth-delg"_a;
constexpr auto nameMarket = "namemarket"_a;

/// An instance lives as long as its transaction.
std::vector<AccountNumber> preapproved;

bool isInfrastructureName(std::string_view name) { return name.starts_with("x-"); }

void checkName(AccountNumber name) {
   check(bool(name), "invalid account name");
   const std::string text = name.str();
   check(!name.base().str().ends_with('-'), "account name must not end in a hyphen");
   check(bool(name.base()) && AccountNumber(text) == name, "invalid account name");
   if (std::ranges::contains(preapproved, name))
      return;
   if (name.subIndex()) {
      check(getSender() == name.base(), "Subaccounts can only be created by the primary account");
      return;
   }
   if (getSender() == Accounts::account)
      return;
   check(!isInfrastructureName(text), "The 'x-' account prefix is reserved for infrastructure providers");
   check(text.size() >= Accounts::freeNameMinLength, "account name must be at least 8 characters: " + text);
}

} // namespace

void Accounts::init() {
   const auto status = open<AccountsStatusTable>(Mode::readWrite);
   if (status.get())
      return;
   const auto accounts = open<AccountTable>(Mode::readWrite);
   std::uint32_t total = 0;
   for (const CodeRow& code : openOf<CodeTable>(AccountNumber())) {
      accounts.put({.accountNum = code.codeNum, .authService = authDelg});
      ++total;
   }
   status.put({.totalAccounts = total});
}

void Accounts::preapproveAcc(AccountNumber name) {
   const AccountNumber sender = getSender();
   if (name.subIndex())
      check(sender == name.base(), "subaccount " + name.str() + " can only be created by " + name.base().str());
   else
      check(sender == account || (sender == nameMarket && !isInfrastructureName(name.str())), "unauthorized");
   preapproved.push_back(name);
}

bool Accounts::newAccount(AccountNumber name, AccountNumber authService, bool requireMatch) {
   const auto statusTable = open<AccountsStatusTable>(Mode::readWrite);
   auto status = statusTable.get();
   check(status.has_value(), "not started");
   checkName(name);

   const auto accounts = open<AccountTable>(Mode::readWrite);
   if (const auto existing = accounts.get(name)) {
      check(!requireMatch || existing->authService == authService, "account already exists");
      return false;
   }
   check(accounts.contains(authService), "unknown auth service");
   accounts.put({.accountNum = name, .authService = authService});
   ++status->totalAccounts;
   statusTable.put(*status);
   return true;
}

void Accounts::setAuthServ(AccountNumber authService) {
   const AccountNumber sender = getSender();
   const auto accounts = open<AccountTable>(Mode::readWrite);
   check(accounts.contains(sender), "account " + sender.str() + " does not exist");
   to<AuthInterface>(authService).canAuthUserSys(sender);
   // Read after the call, which may have counted the sequence up.
   auto row = accounts.get(sender);
   row->authService = authService;
   ++row->authSequence;
   accounts.put(*row);
}

void Accounts::incAuthSeq(AccountNumber name) {
   const auto accounts = open<AccountTable>(Mode::readWrite);
   auto row = accounts.get(name);
   check(row.has_value(), "account " + name.str() + " does not exist");
   // The auth service of an account that is about to come under it speaks for its own future only: it is not counted.
   if (row->authService != getSender())
      return;
   ++row->authSequence;
   accounts.put(*row);
}

std::optional<Account> Accounts::getAccount(AccountNumber name) { return open<AccountTable>().get(name); }

AccountNumber Accounts::getAuthOf(AccountNumber account) {
   const auto row = open<AccountTable>().get(account);
   if (!row)
      abortMessage("account " + account.str() + " does not exist");
   return row->authService;
}

bool Accounts::exists(AccountNumber name) { return open<AccountTable>().contains(name); }

} // namespace polis::services

POLIS_DISPATCH(polis::services::Accounts)

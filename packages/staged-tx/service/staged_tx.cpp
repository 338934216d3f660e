#include "staged-tx/service/staged_tx.hpp"

#include "accounts/service/accounts.hpp"
#include "accounts/service/auth_interface.hpp"

#include <algorithm>

namespace polis::services {

namespace {

using Staged = StagedTxService;

StagedTx find(std::uint32_t id) {
   auto row = open<Staged::Proposals>().get(id);
   check(row.has_value(), "Unknown staged tx");
   return std::move(*row);
}

StagedTx find(std::uint32_t id, const Checksum256& txid) {
   auto row = find(id);
   check(row.txid == txid, "specified txid must match staged tx txid");
   return row;
}

void tell(const StagedTx& staged, std::string what) {
   keepHistory<Staged::HistoryTable>(StagedTxUpdated{staged.txid, getSender(), currentBlockTime(), std::move(what)});
}

void answer(const StagedTx& staged, bool accepted) {
   const auto who = to<Accounts>().getAccount(getSender());
   check(who.has_value(), "unknown account");
   open<Staged::Responses>(Mode::readWrite).put({staged.id, getSender(), who->authSequence, accepted});
}

/// Who answered so, and has not changed since how it is authorized.
std::vector<AccountNumber> whoSaid(std::uint32_t id, bool accepted) {
   std::vector<AccountNumber> out;
   for (const auto& row : open<Staged::Responses>().range(id)) {
      if (row.accepted != accepted)
         continue;
      const auto who = to<Accounts>().getAccount(row.account);
      if (who && who->authSequence == row.seq)
         out.push_back(row.account);
   }
   return out;
}

/// Whether these voices decide for an action. A voice may be that of an account whose own deciders have spoken, at any
/// distance and in circles: voices are added until none follows from the others any more.
class Decision {
public:
   Decision(AccountNumber sender, ServiceMethod method, bool accept)
      : sender_(sender), method_(std::move(method)), accept_(accept) {
      // Everybody who is asked, nearest first.
      deciders_.push_back({sender_, authOf(sender_)});
      for (std::size_t i = 0; i < deciders_.size(); ++i) {
         const auto of = deciders_[i];
         if (!of.auth)
            continue;
         for (const auto delegate : to<AuthInterface>(*of.auth).getDlgsSys(of.account, methodFor(of.account))) {
            if (std::ranges::contains(deciders_, delegate, &Decider::account))
               continue;
            check(deciders_.size() < Staged::decidersMax, "too many accounts decide for " + sender_.str());
            deciders_.push_back({delegate, authOf(delegate)});
         }
      }
   }

   bool by(std::vector<AccountNumber> voices) const {
      for (bool grew = true; grew;) {
         grew = false;
         // The farthest first: most chains are settled in one turn.
         for (auto it = deciders_.rbegin(); it != deciders_.rend(); ++it) {
            if (it->account == sender_ || std::ranges::contains(voices, it->account) || !speaks(*it, voices))
               continue;
            voices.push_back(it->account);
            grew = true;
         }
      }
      return speaks(deciders_.front(), voices);
   }

private:
   struct Decider {
      AccountNumber account;
      std::optional<AccountNumber> auth;
   };
   static std::optional<AccountNumber> authOf(AccountNumber account) {
      const auto row = to<Accounts>().getAccount(account);
      return row ? std::optional(row->authService) : std::nullopt;
   }
   /// Only the sender is asked about this method; others decide for each other as such.
   std::optional<ServiceMethod> methodFor(AccountNumber account) const {
      return account == sender_ ? std::optional(method_) : std::nullopt;
   }
   bool speaks(const Decider& decider, const std::vector<AccountNumber>& voices) const {
      if (!decider.auth)
         return false;
      const auto auth = to<AuthInterface>(*decider.auth);
      return accept_ ? auth.isAuthSys(decider.account, voices, methodFor(decider.account))
                     : auth.isRejectSys(decider.account, voices, methodFor(decider.account));
   }

   AccountNumber sender_;
   ServiceMethod method_;
   bool accept_;
   std::vector<Decider> deciders_;
};

bool decide(const Action& action, bool accept, const std::vector<AccountNumber>& voices) {
   return Decision(action.sender, {action.service, action.method}, accept).by(voices);
}

/// The actions, each sender, service and method once.
std::vector<const Action*> distinct(const std::vector<Action>& actions) {
   std::vector<const Action*> out;
   for (const auto& action : actions)
      if (std::ranges::none_of(out, [&](const Action* seen) {
             return seen->sender == action.sender && seen->service == action.service && seen->method == action.method;
          }))
         out.push_back(&action);
   return out;
}

void erase(const StagedTx& staged) {
   const auto responses = open<Staged::Responses>(Mode::readWrite);
   std::vector<AccountNumber> accounts;
   for (const auto& row : responses.range(staged.id))
      accounts.push_back(row.account);
   for (const auto who : accounts)
      responses.erase(staged.id, who);
   const auto parties = open<Staged::Parties>(Mode::readWrite);
   for (const auto& action : staged.action_list.actions)
      parties.erase(staged.id, action.sender);
   open<Staged::Proposals>(Mode::readWrite).erase(staged.id);
   tell(staged, "deleted");
}

void run(const StagedTx& staged) {
   const auto voices = whoSaid(staged.id, true);
   erase(staged);
   for (const auto& action : staged.action_list.actions) {
      check(to<Accounts>().exists(action.sender), "unknown sender in a staged tx: " + action.sender.str());
      check(decide(action, true, voices), "staged tx not authorized: " + action.sender.str() + " has not agreed");
      callRaw(action.sender, action.service, action.method, action.rawData);
   }
   tell(staged, "executed");
}

void acceptAndRun(const StagedTx& staged) {
   answer(staged, true);
   tell(staged, "accepted");
   if (!staged.auto_exec)
      return;
   const auto voices = whoSaid(staged.id, true);
   const auto all = distinct(staged.action_list.actions);
   if (std::ranges::all_of(all, [&](const Action* action) { return decide(*action, true, voices); }))
      run(staged);
}

} // namespace

void StagedTxService::init() {
   const auto inits = open<InitTable>(Mode::readWrite);
   if (inits.get())
      return;
   inits.put({});
   open<LastUsedTable>(Mode::readWrite).put({1});
}

std::uint32_t StagedTxService::propose(std::vector<Action> actions, bool auto_exec) {
   check(!actions.empty(), "Staged transaction must contain at least one action");
   check(!auto_exec || to<Accounts>().exists(actions.front().sender), "Sender account in staged tx is invalid");
   const auto lastUsed = open<LastUsedTable>(Mode::readWrite);
   const auto last = lastUsed.get();
   check(last.has_value(), "staged-tx is not initialized");
   check(last->id != UINT32_MAX, "no ids are left");
   const std::uint32_t id = last->id + 1;
   lastUsed.put({id});
   const StatusView status;
   const auto packed = pack(std::tuple(id, status.blockNum(), actions));
   StagedTx staged{.id = id,
                   .txid = sha256(ByteView(packed)),
                   .propose_block = status.blockNum(),
                   .propose_date = status.time(),
                   .proposer = getSender(),
                   .action_list = {std::move(actions)},
                   .auto_exec = auto_exec};
   const auto parties = open<Parties>(Mode::readWrite);
   for (const auto& action : staged.action_list.actions)
      parties.put({id, action.sender});
   open<Proposals>(Mode::readWrite).put(staged);
   tell(staged, "proposed");
   acceptAndRun(staged);
   return id;
}

void StagedTxService::remove(std::uint32_t id, Checksum256 txid) {
   const auto staged = find(id, txid);
   check(staged.proposer == getSender(), "only the proposer can remove the staged tx");
   erase(staged);
}

void StagedTxService::accept(std::uint32_t id, Checksum256 txid) { acceptAndRun(find(id, txid)); }

void StagedTxService::reject(std::uint32_t id, Checksum256 txid) {
   const auto staged = find(id, txid);
   answer(staged, false);
   tell(staged, "rejected");
   const auto voices = whoSaid(id, false);
   const auto all = distinct(staged.action_list.actions);
   if (std::ranges::any_of(all, [&](const Action* action) { return decide(*action, false, voices); }))
      erase(staged);
}

void StagedTxService::execute(std::uint32_t id, Checksum256 txid) { run(find(id, txid)); }

StagedTx StagedTxService::get_staged_tx(std::uint32_t id) { return find(id); }

} // namespace polis::services

POLIS_DISPATCH(polis::services::StagedTxService)

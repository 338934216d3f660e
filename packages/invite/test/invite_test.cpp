#include "accounts/service/accounts.hpp"
#include "invite/service/invite.hpp"
#include "nft/service/nft.hpp"
#include "tokens/service/tokens.hpp"
#include "vserver/service/vserver.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::Accounts;
using polis::services::InvitePayload;
using polis::services::Invites;
using polis::services::Nfts;
using polis::services::Quantity;
using polis::services::Tokens;
using polis::services::VirtualServer;

namespace {

const Bytes inviteKey(91, 1);
const Claim inviteClaim{"verify-sig"_a, inviteKey};
constexpr auto bearer = "cred-sys"_a;

const Bytes accountKey = polis::fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200"
                                        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                                        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
                             .value();

Bytes payload() {
   const auto hash = sha256(ByteView(inviteKey));
   return pack(InvitePayload{Bytes(hash.begin(), hash.end()), "secret"});
}

} // namespace

POLIS_TEST(invite_makes_as_many_accounts_as_it_says) {
   TestChain chain("Invite");
   const auto alice = chain.account("alice");
   expectEqual(alice.to<Invites>().createInvite(7, payload(), 1, false, Quantity{0}).value(), 7u);
   alice.to<Invites>().createInvite(7, payload(), 1, false, Quantity{0}).fails("invite id is in use");
   const auto guest = chain.as(bearer);
   guest.to<Invites>().createAccount("newcomer"_a, accountKey).fails("claim");
   guest.with({inviteClaim}).to<Invites>().createAccount("alice"_a, accountKey).fails("");
   guest.with({inviteClaim}).to<Invites>().createAccount("newcomer"_a, accountKey).succeeds();
   expect(chain.row<polis::services::AccountTable>(Accounts::account, "newcomer"_a).has_value(), "newcomer exists");
   guest.with({inviteClaim}).to<Invites>().createAccount("newcomer2"_a, accountKey).fails("no accounts left");
}

POLIS_TEST(invite_expires_after_a_week) {
   TestChain chain("Invite");
   chain.account("alice").to<Invites>().createInvite(1, payload(), 2, false, Quantity{0}).succeeds();
   const auto guest = chain.as(bearer).with({inviteClaim});
   chain.advance(Invites::lifetimeS - 60);
   expect(chain.as("alice"_a).to<Invites>().getExpDate(1).value().seconds * 1'000'000 > chain.timeUs(),
          "it says until when");
   guest.to<Invites>().createAccount("intime00"_a, accountKey).succeeds();
   chain.advance(120);
   guest.to<Invites>().createAccount("toolate0"_a, accountKey).fails("expired");
}

POLIS_TEST(invite_only_its_inviter_withdraws_it) {
   TestChain chain("Invite");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<Invites>().createInvite(1, payload(), 1, false, Quantity{0}).succeeds();
   bob.to<Invites>().delInvite(1).fails("only its inviter may delete an invite");
   alice.to<Invites>().delInvite(1).succeeds();
   alice.to<Invites>().delInvite(1).fails("this invite does not exist");
   chain.as(bearer)
       .with({inviteClaim})
       .to<Invites>()
       .createAccount("newcomer"_a, accountKey)
       .fails("claim is not a known credential");
}

POLIS_TEST(invite_pays_for_its_accounts_where_resources_are_billed) {
   TestChain chain("Invite");
   const auto alice = chain.account("alice"), bank = chain.account("bank"), prod = chain.as("prod"_a);
   bank.to<Nfts>().setUserConf(Nfts::autoDebit, true).succeeds();
   const auto money = bank.to<Tokens>().create(std::uint8_t{4}, Quantity{1'000'000'000'000'000}).value();
   bank.to<Tokens>().mint(money, Quantity{1'000'000'000'000'000}, "").succeeds();
   chain.as(Tokens::account).to<Tokens>().setSysToken(money).succeeds();
   for (const auto& user : {alice, prod, bank}) {
      user.to<Tokens>().setUserConf(0, true).succeeds();
      if (user.name() != bank.name())
         bank.to<Tokens>().credit(money, user, Quantity{100'000'000'000}, "").succeeds();
   }
   const auto vserver = chain.as(VirtualServer::account);
   vserver.to<VirtualServer>().init_billing(bank).succeeds();
   alice.to<Invites>().createInvite(1, payload(), 1, false, Quantity{1}).fails("this invite costs no resources");
   vserver.to<VirtualServer>().enable_billing(std::optional<bool>()).succeeds();
   prod.to<Tokens>().credit(money, VirtualServer::account, Quantity{50'000'000'000}, "").succeeds();
   prod.to<VirtualServer>()
       .buy_res_for(Quantity{50'000'000'000}, alice, std::optional<polis::services::Memo>())
       .succeeds();

   const auto reserve = [&](AccountNumber of) { return chain.read<VirtualServer>().get_resources(of).value().value; };
   const auto usual = chain.read<VirtualServer>().std_buffer_cost().value().value;
   const auto cost = chain.read<Invites>().getInvCost(2).value().value;
   expectEqual(cost, 2 * (usual + usual / 5));
   expectEqual(chain.read<Invites>().getInvCost(0).value().value, 0u);
   const auto given = cost + cost / 2; // prices move
   alice.to<Invites>().createInvite(1, payload(), 2, false, Quantity{cost / 2}).fails("the invite costs more");
   alice.to<Invites>().createInvite(1, payload(), 2, false, Quantity{given}).fails("Insufficient shared balance");
   alice.to<Tokens>().credit(money, Invites::account, Quantity{given}, "").succeeds();
   alice.to<Invites>().createInvite(1, payload(), 2, false, Quantity{given}).succeeds();

   const auto guest = chain.as(bearer).with({inviteClaim});
   guest.to<Invites>().createAccount("newcomer"_a, accountKey).succeeds();
   expect(reserve("newcomer"_a) >= usual, "a reserve to begin with");
   const auto before = chain.read<Tokens>().getBalance(money, alice).value().value;
   guest.to<Invites>().createAccount("newcomer2"_a, accountKey).succeeds();
   expect(reserve("newcomer2"_a) > usual * 9 / 10, "for each of them"); // at the price of then
   chain.finishBlock();
   expect(chain.read<Tokens>().getBalance(money, alice).value().value > before, "the rest goes back");
   expectEqual(chain.read<Tokens>().getBalance(money, Invites::account).value().value, 0u);

   // Withdrawn: what was not used comes back whole, but for what its credential has.
   alice.to<Invites>().delInvite(1).succeeds();
   const auto again = chain.read<Invites>().getInvCost(1).value().value * 2;
   alice.to<Tokens>().credit(money, Invites::account, Quantity{again}, "").succeeds();
   alice.to<Invites>().createInvite(2, payload(), 1, false, Quantity{again}).succeeds();
   const auto left = alice.to<Invites>().delInvite(2).value().value;
   expect(left > again / 2 && left < again, "what is left");
   expect(reserve(bearer) > 0, "and that is cred-sys's now");
   // Nobody pays for a credential without resources.
   alice.to<Invites>().createInvite(3, payload(), 0, false, Quantity{0}).succeeds();
   guest.to<Invites>().createAccount("newcomer3"_a, accountKey).fails("no such sub-account");
}

POLIS_TEST(invite_history_is_asked_for) {
   TestChain chain("Invite");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   bob.to<Invites>().createInvite(2, payload(), 1, false, Quantity{0}).succeeds();
   bob.to<Invites>().delInvite(2).succeeds();
   alice.to<Invites>().createInvite(1, payload(), 1, false, Quantity{0}).succeeds();
   chain.as(bearer).with({inviteClaim}).to<Invites>().createAccount("newcomer"_a, accountKey).succeeds();
   const auto ask = [&](std::string_view query) { return chain.graphql("invite", query); };
   expectEqual(ask("{ getInviteCost(numAccounts: 3) }"), R"({"data":{"getInviteCost":"0"}})");
   expectEqual(ask("{ history(inviteId: 1) { edges { node { actor event } } } }"),
               R"({"data":{"history":{"edges":[{"node":{"actor":"alice","event":"created"}},)"
               R"({"node":{"actor":"newcomer","event":"accountRedeemed"}}]}}})");
   expectContains(ask("{ history(inviteId: 1, first: 1) { nodes { block { blockNum blockTime } } } }"),
                  R"({"nodes":[{"block":{"blockNum":)");
   expectContains(ask("{ history(inviteId: 1, first: 1) { nodes { block { blockTime } } } }"), R"("blockTime":"20)");
   expectEqual(ask("{ history(inviteId: 2, last: 1) { pageInfo { hasPreviousPage } edges { node { event } } } }"),
               R"({"data":{"history":{"pageInfo":{"hasPreviousPage":true},"edges":[{"node":{"event":"deleted"}}]}}})");
   expectEqual(ask(R"({ inviteById(inviteId: 1) { inviter state numAccounts } none: inviteById(inviteId: 2) { id }
                        invitesByInviter(inviter: "alice") { edges { node { id secret } } } })"),
               R"({"data":{"inviteById":{"inviter":"alice","state":"used","numAccounts":0},"none":null,)"
               R"("invitesByInviter":{"edges":[{"node":{"id":1,"secret":null}}]}}})");
}

POLIS_TEST(invite_refuses_what_is_malformed) {
   TestChain chain("Invite");
   const auto alice = chain.account("alice");
   alice.to<Invites>().createInvite(1, Bytes{1, 2, 3}, 1, false, Quantity{0}).fails("malformed invite payload");
   alice.to<Invites>()
       .createInvite(1, pack(InvitePayload{Bytes(31), ""}), 1, false, Quantity{0})
       .fails("a fingerprint has 32 bytes");
   alice.to<Invites>()
       .createInvite(1, payload(), 1, true, Quantity{0})
       .fails("an inviter with hooks must be a service");
}

POLIS_TEST_MAIN()

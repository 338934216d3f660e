// Rules of the gate: spec, kernel §1.2 and DB-1 to DB-4.
#include "db/service/db.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::DbGate;

namespace {

constexpr std::uint8_t reads = 1, writes = 2, both = 3;

Bytes prefixOf(AccountNumber account, std::size_t bytes = 8) {
   Bytes key = toKey(account);
   key.resize(bytes);
   return key;
}

/// What comes of opening as a top action, whoever the sender.
Outcome opens(TestChain& chain, AccountNumber sender, Db db, Bytes prefix, std::uint8_t mode,
              RunMode runMode = RunMode::speculative) {
   return chain.run(runMode, action<DbGate>(sender).open(static_cast<std::uint32_t>(db), std::move(prefix), mode));
}

} // namespace

POLIS_TEST(db_a_prefix_begins_with_its_account) {
   TestChain chain;
   const AccountNumber alice{"alice"}, other{"bob"};
   Bytes longer = prefixOf(alice);
   longer.push_back('x');
   // What transactions cannot read in writeOnly, queries can.
   const auto mayRead = [](Db db) { return db == Db::writeOnly ? RunMode::rpc : RunMode::speculative; };
   for (const Db db : {Db::service, Db::writeOnly}) {
      for (const Bytes& own : {prefixOf(alice), longer}) {
         opens(chain, alice, db, own, writes).succeeds();
         opens(chain, alice, db, own, reads, mayRead(db)).succeeds();
      }
      opens(chain, alice, db, prefixOf(other), writes).fails("database prefix belongs to another account");
      opens(chain, alice, db, prefixOf(other), reads, mayRead(db)).fails("database prefix belongs to another account");
      // Subaccounts read what their account and its others keep, and write their own only.
      const AccountNumber first = alice.sub(1), second = alice.sub(2);
      opens(chain, first, db, prefixOf(second), reads, mayRead(db)).succeeds();
      opens(chain, first, db, prefixOf(alice, 7), reads, mayRead(db)).succeeds();
      opens(chain, first, db, prefixOf(second), writes).fails("another account");
      opens(chain, first, db, prefixOf(alice, 7), writes).fails("another account");
      opens(chain, first, db, prefixOf(first), writes).succeeds();
      opens(chain, alice, db, {}, reads, mayRead(db)).fails("another account");
      opens(chain, alice, db, prefixOf(alice, 6), reads, mayRead(db)).fails("another account");
   }
   opens(chain, alice, Db::service, prefixOf(alice), both).succeeds();
}

POLIS_TEST(db_what_is_the_nodes_is_read) {
   TestChain chain;
   const AccountNumber alice{"alice"}, setcode{"setcode"};
   opens(chain, alice, Db::native, {}, reads).succeeds();
   for (const std::uint8_t mode : {writes, both}) {
      opens(chain, alice, Db::native, {}, mode).fails("only privileged services may write to the native database");
      opens(chain, setcode, Db::native, {}, mode).succeeds();
      opens(chain, setcode, Db::blockLog, {}, mode).fails("the block log is read only");
   }
   opens(chain, alice, Db::blockLog, {}, reads, RunMode::rpc).succeeds();
   for (const std::uint32_t db : {4u, 5u, 64u, 65u, 66u, 67u, 68u, 99u})
      opens(chain, setcode, static_cast<Db>(db), prefixOf(setcode), reads, RunMode::rpc)
          .fails("no access to this database");
   for (const std::uint8_t mode : {0, 4, 255})
      opens(chain, alice, Db::native, {}, mode).fails("invalid mode");
}

POLIS_TEST_MAIN()

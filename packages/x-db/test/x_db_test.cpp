// Rules of the gate to the node's own databases: spec, kernel §1.2.
#include "x-db/service/x_db.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::XDb;

namespace {

constexpr std::uint8_t reads = 1, writes = 2, both = 3;

Outcome opens(TestChain& chain, AccountNumber sender, Db db, Bytes prefix, std::uint8_t mode) {
   return chain.run(RunMode::rpc, action<XDb>(sender).open(static_cast<std::uint32_t>(db), std::move(prefix), mode));
}

} // namespace

POLIS_TEST(x_db_a_prefix_begins_with_its_account) {
   TestChain chain;
   // of the chain; of the chain, and privileged there; of the node
   const AccountNumber tokens{"tokens"}, setcode{"setcode"}, local{"x-run"};
   for (const Db db : {Db::subjective, Db::session, Db::temporary}) {
      for (const AccountNumber sender : {tokens, setcode, local}) {
         opens(chain, sender, db, toKey(sender), reads).succeeds();
         for (const std::uint8_t mode : {writes, both}) {
            const auto outcome = opens(chain, sender, db, toKey(sender), mode);
            if (sender == tokens)
               outcome.fails("only local and privileged services may write node-local databases");
            else
               outcome.succeeds();
         }
         opens(chain, sender, db, toKey(AccountNumber{"alice"}), reads).fails("key prefix must match service");
         opens(chain, sender, db, toKey(sender.sub(1)), reads).fails("key prefix must match service");
         opens(chain, sender, db, {}, reads).fails("key prefix must match service");
      }
   }
}

POLIS_TEST(x_db_the_nodes_rows_are_for_its_own_services) {
   TestChain chain;
   const AccountNumber tokens{"tokens"}, setcode{"setcode"}, local{"x-run"};
   for (const Db db : {Db::nativeSubjective, Db::nativeSession})
      for (const std::uint8_t mode : {reads, both}) {
         opens(chain, local, db, {}, mode).succeeds();
         for (const AccountNumber sender : {tokens, setcode})
            opens(chain, sender, db, {}, mode).fails("only privileged local services may open this database");
      }
   opens(chain, tokens, Db::native, {}, reads).succeeds();
   opens(chain, local, Db::native, {}, writes).fails("the native database is read only here");
   for (const std::uint32_t db : {0u, 1u, 3u, 4u, 5u, 99u})
      opens(chain, local, static_cast<Db>(db), toKey(local), reads).fails("no access to this database");
   for (const std::uint8_t mode : {0, 4, 255})
      opens(chain, local, Db::native, {}, mode).fails("invalid mode");
}

POLIS_TEST_MAIN()

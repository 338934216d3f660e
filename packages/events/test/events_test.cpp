#include "events/query/events_query.hpp"
#include "events/query/sql.hpp"
#include "nft/service/nft.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::Events;
using polis::services::EventsQuery;
using polis::services::Nfts;
namespace sql = polis::sql;

namespace {

/// What a condition says of a row with these columns.
std::string told(std::string_view condition, const std::vector<std::string>& params = {}) {
   const auto select = sql::parse("SELECT * FROM t WHERE " + std::string(condition), params);
   if (!select)
      return select.error();
   const auto is = sql::matches(*select, [](std::string_view name) -> std::optional<sql::Value> {
      if (name == "rowid")
         return std::int64_t{7};
      if (name == "n")
         return std::int64_t{5};
      if (name == "big")
         return std::string("18446744073709551615");
      if (name == "price")
         return std::string("100"); // 64 bits, as JSON has them
      if (name == "name")
         return std::string("Alice");
      if (name == "none")
         return sql::Value{};
      return std::nullopt;
   });
   return !is ? is.error() : *is ? "yes" : "no";
}

} // namespace

POLIS_TEST(sql_conditions) {
   for (const auto* yes : {"n = 5",
                           "5 == n",
                           "N <> 4",
                           "n != 4",
                           "n < 6 AND n <= 5 AND n > 4 AND n >= 5",
                           "rowid = 7",
                           "\"ROWID\" = 7",
                           "price > 20",
                           "price = '100'",
                           "price BETWEEN 100 AND 200",
                           "price not between 1 and 99",
                           "name = 'Alice'",
                           "name LIKE 'al%'",
                           "name LIKE '%LIC_'",
                           "name NOT LIKE 'b%'",
                           "n IN (1, 5)",
                           "n NOT IN (1, 2)",
                           "none IS NULL",
                           "n IS NOT NULL",
                           "NOT n = 4",
                           "n = 4 OR n = 5",
                           "(n = 4 OR n = 5) AND name = 'Alice'",
                           "n > -1",
                           "n < 5.5",
                           "n = 4 OR n = 4 OR (NOT (n = 4))",
                           "name > 'A'",
                           "true",
                           "name = 'Al' OR name = 'Alice'",
                           "big > 1000"})
      expectEqual(told(yes), "yes");
   for (const auto* no : {"n = 6", "none = NULL", "none = 1", "NOT none = 1", "name = 'alice'", "name LIKE 'lice'",
                          "null", "n = 5 AND none = 1", "n IN (1, NULL)", "false", "name < 5"})
      expectEqual(told(no), "no");
   expectEqual(told("n = ? AND name = ?", {"5", "Alice"}), "yes");
   expectEqual(told("name = ?", {"' OR 1 = 1 --"}), "no");
   expectEqual(told("name = 'it''s'"), "no");
   expectEqual(told("X'0aff' = '0AFF'"), "yes"); // bytes are hexadecimal digits in JSON
   expectEqual(told("X'0aff' = '0AFE'"), "no");
}

POLIS_TEST(sql_refusals) {
   expectEqual(told("other = 1"), "no such column: other");
   expectContains(told("n ="), "expected a name at byte");
   expectContains(told("n = 5 n"), "not understood at byte");
   expectContains(told("n = 'x"), "a quote that does not end");
   expectContains(told("n = ?"), "more question marks than parameters");
   expectContains(told("n = 5", {"a"}), "more parameters than question marks");
   expectContains(told(std::string(40, '(') + "n = 5" + std::string(40, ')')), "nested too deeply");
   expectContains(told("n = 5; DROP TABLE t"), "not understood");
   std::string longOne = "n = 1";
   for (int i = 0; i < 600; ++i)
      longOne += " OR n = 1";
   expectContains(told(longOne), "too long");
   expectEqual(sql::parse(std::string(20'000, ' '), {}).error(), "a query has at most 16384 bytes");
}

POLIS_TEST(sql_row_bounds) {
   const auto bounds = [](std::string_view condition) {
      const auto found = sql::parse("SELECT * FROM t WHERE " + std::string(condition), {}).value().rowBounds();
      return std::to_string(found.low) + ".." + (found.high == UINT64_MAX ? "" : std::to_string(found.high));
   };
   expectEqual(bounds("ROWID > 3 AND ROWID < 9"), "4..8");
   expectEqual(bounds("3 <= ROWID AND n = 1"), "3..");
   expectEqual(bounds("ROWID = 5"), "5..5");
   expectEqual(bounds("ROWID > 3 OR n = 1"), "0..");
   expectEqual(bounds("NOT ROWID > 3"), "0..");
}

// Query services written for the protocol ask for the histories of their services in these words.
POLIS_TEST(events_are_found_by_sql) {
   TestChain chain("Nft,Events");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   for (int i = 0; i < 4; ++i)
      (i == 2 ? bob : alice).to<Nfts>().mint().succeeds();
   alice.to<Nfts>().credit(1, bob, "a \"gift\"").succeeds();
   const auto asked = [&](std::string query, std::vector<std::string> params) {
      return chain.run(RunMode::rpc,
                       action<EventsQuery>(AccountNumber{}).sqlQuery(std::move(query), std::move(params)));
   };
   const auto ask = [&](std::string query, std::vector<std::string> params = {}) {
      const auto outcome = asked(std::move(query), std::move(params));
      outcome.succeeds();
      return polis::format::unpack<std::string>(outcome.result()).value_or("");
   };
   // Events of the boot come before.
   const auto first = ask(R"(SELECT ROWID FROM "history.nft.minted" LIMIT 1)");
   const auto number = std::strtoul(first.substr(first.find(':') + 2).c_str(), nullptr, 10);
   const auto minted = [&](unsigned nft, std::string_view issuer) {
      return "{\"rowid\":\"" + std::to_string(number + nft - 1) + "\",\"nftId\":" + std::to_string(nft) +
             ",\"issuer\":\"" + std::string(issuer) + "\"}";
   };
   expectEqual(ask(R"(SELECT ROWID, * FROM "history.nft.minted" WHERE issuer = 'alice' ORDER BY ROWID ASC LIMIT 2)"),
               "[" + minted(1, "alice") + "," + minted(2, "alice") + "]");
   expectEqual(ask(R"(SELECT ROWID, * FROM "history.nft.minted" WHERE issuer = ? AND ROWID < )" +
                       std::to_string(number + 3) + " ORDER BY ROWID DESC",
                   {"bob"}),
               "[" + minted(3, "bob") + "]");
   expectEqual(ask(R"(SELECT ROWID, * FROM "history.nft.minted" WHERE ROWID > )" + std::to_string(number + 1) +
                   " ORDER BY ROWID DESC LIMIT 1"),
               "[" + minted(4, "alice") + "]");
   expectEqual(ask(R"(SELECT nftid FROM "history.nft.minted" ORDER BY nftId DESC LIMIT 1)"), R"([{"nftId":4}])");
   expectContains(ask(R"(SELECT memo FROM "history.nft.credited")"), R"({"memo":"a \"gift\""})");
   expectEqual(ask(R"(SELECT * FROM "history.nft.burned")"), "[]");
   const auto refused = [&](std::string query, std::string_view why) { asked(std::move(query), {}).fails(why); };
   // So do administrators of the node.
   const auto reply =
       chain.post("events", "/sql", "application/sql", R"(SELECT nftId FROM "history.nft.minted" LIMIT 1)");
   expectEqual(reply.status, 200);
   expectEqual(asText(reply.body), R"([{"nftId":1}])");
   expectEqual(chain.get("events", "/sql").status, 405);
   HttpRequest proxied;
   proxied.host = "events.psibase.io";
   proxied.method = "POST";
   proxied.target = "/sql";
   proxied.body = polis::toBytes(R"(SELECT nftId FROM "history.nft.minted" LIMIT 1)");
   proxied.headers = {{"X-Forwarded-For", "203.0.113.7"}};
   expect(chain.http(proxied).status == 401 || chain.http(proxied).status == 403, "others may not");
   refused(R"(SELECT * FROM "history.nft.eaten")", "no such event of nft");
   refused(R"(SELECT * FROM "history.nobody.eaten")", "no schema is known for nobody");
   refused(R"(SELECT * FROM nft)", "no such table: nft");
   refused(R"(SELECT color FROM "history.nft.minted")", "no such column: color");
   refused(R"(DELETE FROM "history.nft.minted")", "SQL: expected select");
}

// So query services learn in which block something happened.
POLIS_TEST(events_are_found_with_their_blocks) {
   TestChain chain("Nft,Events");
   const auto alice = chain.account("alice");
   alice.to<Nfts>().mint().succeeds();
   alice.to<Nfts>().mint().succeeds();
   chain.startBlock();
   alice.to<Nfts>().mint().succeeds();
   const auto ask = [&](const std::string& query) {
      const auto outcome =
          chain.run(RunMode::rpc, action<EventsQuery>(AccountNumber{}).sqlQuery(query, std::vector<std::string>{}));
      outcome.succeeds();
      return polis::format::unpack<std::string>(outcome.result()).value_or("");
   };
   const auto numberIn = [](std::string_view text, std::string_view name) {
      const auto at = text.find("\"" + std::string(name) + "\":");
      const auto from = at == text.npos ? text.size() : text.find_first_of("0123456789", at);
      return from >= text.size() ? 0 : std::strtoll(std::string(text.substr(from)).c_str(), nullptr, 10);
   };
   const auto last = ask(R"(SELECT ROWID FROM "history.nft.minted" ORDER BY ROWID DESC LIMIT 1)");
   const auto third = numberIn(last, "rowid");
   const auto first = numberIn(ask(R"(SELECT ROWID FROM "history.nft.minted" ORDER BY ROWID ASC LIMIT 1)"), "rowid");
   const auto blocks = [&](const std::string& values) {
      return ask("WITH rows(rowIndex, rowId) AS (VALUES " + values +
                 ")         SELECT r.rowIndex, m.blockNum, m.blockTime         FROM rows r "
                 "        JOIN \"history.transact.blockStart\" m ON m.ROWID = (             SELECT ROWID "
                 "            FROM \"history.transact.blockStart\"             WHERE ROWID <= r.rowId "
                 "            ORDER BY ROWID DESC             LIMIT 1         )");
   };
   const auto found = blocks("(0, " + std::to_string(third) + "), (1, " + std::to_string(first) + ")");
   const auto second = found.find("},{");
   if (!expect(second != found.npos, "two rows: " + found))
      return;
   expectContains(found, R"([{"rowIndex":"0","blockNum":)");
   expectContains(found.substr(second), R"({"rowIndex":"1","blockNum":)");
   expectContains(found, R"("blockTime":"20)");
   expectEqual(numberIn(found, "blockNum"), numberIn(found.substr(second), "blockNum") + 1);
   expectEqual(blocks("(7, 0)"), "[]"); // before any block
}

POLIS_TEST(sql_newest_of_each_is_the_only_other_form) {
   const auto parsed = [](std::string_view values, std::string_view columns, std::string_view join) {
      const auto found = sql::parse("WITH g(i, n) AS (VALUES " + std::string(values) + ") SELECT " +
                                        std::string(columns) + " FROM g r JOIN \"t.u.v\" m ON " + std::string(join),
                                    {});
      return found ? std::to_string(found->given->rows.size()) + " " + std::to_string(found->given->upTo)
                   : found.error();
   };
   const std::string good = R"(m.ROWID = (SELECT ROWID FROM "t.u.v" WHERE ROWID <= r.n ORDER BY ROWID DESC LIMIT 1))";
   expectEqual(parsed("(1, 2), (3, 4)", "r.i, m.x", good), "2 1");
   expectEqual(parsed("(1, 2)", "m.x", good + ";"), "1 1");
   expectContains(parsed("(1)", "m.x", good), "a row of another length");
   expectContains(parsed("(1, 2)", "r.x", good), "no such column: x");
   expectContains(parsed("(1, 2)", "z.x", good), "no such column: x");
   expectContains(parsed("(1, 'a')", "m.x", good), "expected a whole number");
   expectContains(parsed("(1, 2)", "m.x", "m.y = 1"), "only rows of one ROWID can be joined");
   expectContains(parsed("(1, 2)", "m.x",
                         R"(m.ROWID = (SELECT ROWID FROM "t.u.w" WHERE ROWID <= r.n ORDER BY ROWID DESC LIMIT 1))"),
                  "expected t.u.v");
   expectContains(parsed("(1, 2)", "m.x", good + " LIMIT 1"), "not understood");
}

POLIS_TEST(events_numbers_are_the_protocols) {
   TestChain chain("Events");
   const auto alice = chain.account("alice");
   const auto history = alice.to<Events>().event(0, "made"_m, Bytes{1, 2}).value();
   const auto merkle = alice.to<Events>().event(1, "made"_m, Bytes{}).value();
   expectEqual(alice.to<Events>().event(0, "made"_m, Bytes{}).value(), history + 1);
   expectEqual(alice.to<Events>().event(1, "made"_m, Bytes{}).value(), merkle + 1);
   alice.to<Events>().event(2, "made"_m, Bytes{}).fails("unknown event log");
   alice.to<Events>().init().succeeds();
}

POLIS_TEST(events_indexes_are_of_the_senders_own_events_and_their_members) {
   TestChain chain("Events,Nft");
   const auto alice = chain.account("alice"), nft = chain.as("nft"_a);
   const auto events = nft.to<Events>();
   events.addIndex(0, "nft"_a, "minted"_m, 0).succeeds();
   events.addIndex(0, "nft"_a, "minted"_m, 0).succeeds(); // as it is already
   events.addIndex(0, "nft"_a, "minted"_m, 1).succeeds();
   events.addIndex(0, "nft"_a, "minted"_m, 2).fails("Unknown column");
   events.addIndex(1, "nft"_a, "transferred"_m, 3).succeeds();
   events.addIndex(1, "nft"_a, "minted"_m, 0).fails("Unknown event");
   events.addIndex(0, "nft"_a, "missing"_m, 0).fails("Unknown event");
   events.addIndex(2, "nft"_a, "minted"_m, 0).fails("unknown event log");
   alice.to<Events>().addIndex(0, "nft"_a, "minted"_m, 0).fails("Wrong sender");
   alice.to<Events>().addIndex(0, alice, "made"_m, 0).fails("Unknown event");
}
POLIS_TEST_MAIN()

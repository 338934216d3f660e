// HTTP of setcode: GraphQL.
#include "setcode/service/setcode.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(SetCodeQuery, SetCode::account)

namespace {

struct CodeRecord {
   AccountNumber codeNum;
   /// "isPrivileged", "isVerify".
   std::vector<std::string> flags;
   Checksum256 codeHash{};
   std::uint8_t vmType = 0;
   std::uint8_t vmVersion = 0;

   /// The code itself, in hexadecimal.
   std::string codeHex() const {
      const auto row =
          unpack<CodeByHashRow>(native::space(Db::native, Mode::read)
                                    .get(native::rowKey(native::codeByHashTable, codeHash, vmType, vmVersion))
                                    .value_or(Bytes{}));
      check(row.has_value(), "the chain does not hold this code");
      return toHex(row->code);
   }
};
POLIS_GRAPHQL(CodeRecord, field(codeHex))

struct Query {
   std::optional<CodeRecord> code(AccountNumber account) const {
      const auto row = native::code(account);
      if (!row)
         return std::nullopt;
      CodeRecord record{row->codeNum, {}, row->codeHash, row->vmType, row->vmVersion};
      if (row->flags & CodeRow::isPrivileged)
         record.flags.push_back("isPrivileged");
      if (row->flags & CodeRow::isVerify)
         record.flags.push_back("isVerify");
      return record;
   }
};
POLIS_GRAPHQL(Query, field(code, account))

} // namespace

std::optional<HttpReply> SetCodeQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::SetCodeQuery)

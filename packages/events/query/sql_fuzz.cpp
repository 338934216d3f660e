// Any query, over one row: understood or refused; and a row that fulfils the condition lies within its bounds.
#include "sql.hpp"

#include "base/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   const std::string_view query(reinterpret_cast<const char*>(data), size);
   const auto select =
       polis::sql::parse(query, query.contains('?') ? std::vector<std::string>{"5"} : std::vector<std::string>{});
   if (!select)
      return 0;
   ASSERT(select->nodes.size() <= polis::sql::nodesMax);
   const auto bounds = select->rowBounds();
   for (const std::int64_t id : {std::int64_t{0}, std::int64_t{5}, INT64_MAX}) {
      const auto is = polis::sql::matches(*select, [&](std::string_view column) -> std::optional<polis::sql::Value> {
         if (column == "rowid")
            return id;
         if (column.size() == 1)
            return column == "n" ? polis::sql::Value{} : polis::sql::Value(std::string(column));
         return std::nullopt;
      });
      if (is && *is) {
         const auto row = static_cast<std::uint64_t>(id);
         ASSERT(bounds.low <= row && row <= bounds.high);
      }
   }
   return 0;
}

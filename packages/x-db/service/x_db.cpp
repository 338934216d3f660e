#include "x_db.hpp"

namespace polis::services {

std::uint32_t XDb::open(std::uint32_t db, Bytes prefix, std::uint8_t mode) {
   check(mode >= 1 && mode <= 3, "invalid mode");
   const bool writes = mode & 2;
   const auto sender = getSender();
   switch (static_cast<Db>(db)) {
   case Db::subjective:
   case Db::session:
   case Db::temporary: {
      const auto key = polis::sdk::detail::bigEndian(sender.value);
      check(prefix.size() >= 8 && __builtin_memcmp(prefix.data(), &key, 8) == 0, "key prefix must match service");
      if (writes)
         check(isPrivilegedOnChain(sender) || isLocal(sender),
               "only local and privileged services may write node-local databases");
      break;
   }
   case Db::nativeSubjective:
   case Db::nativeSession: {
      const auto code = localCodeOf(sender);
      check(code && (code->flags & CodeRow::isPrivileged), "only privileged local services may open this database");
      break;
   }
   case Db::native:
      check(!writes, "the native database is read only here");
      break;
   default:
      abortMessage("no access to this database");
   }
   polis::sdk::detail::handOutHandle(db, prefix, mode);
   return 0;
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::XDb)

#include "db.hpp"

namespace polis::services {

namespace {

/// Whether the prefix starts with the first `size` bytes of the account's key.
bool startsWith(ByteView prefix, AccountNumber account, std::size_t size) {
   const auto key = polis::sdk::detail::bigEndian(account.value);
   return prefix.size() >= size && __builtin_memcmp(prefix.data(), &key, size) == 0;
}

bool isPrivileged(AccountNumber account) {
   const auto row = native::code(account);
   return row && (row->flags & CodeRow::isPrivileged);
}

} // namespace

std::uint32_t DbGate::open(std::uint32_t db, Bytes prefix, std::uint8_t mode) {
   check(mode >= 1 && mode <= 3, "invalid mode");
   const bool reads = mode & 1;
   const bool writes = mode & 2;
   const auto sender = getSender();
   switch (static_cast<Db>(db)) {
   case Db::service:
   case Db::writeOnly:
      // a subaccount may read what its base account and its siblings keep
      check(!reads || startsWith(prefix, sender, 7), "database prefix belongs to another account");
      check(!writes || startsWith(prefix, sender, 8), "database prefix belongs to another account");
      break;
   case Db::native:
      check(!writes || isPrivileged(sender), "only privileged services may write to the native database");
      break;
   case Db::blockLog:
      check(!writes, "the block log is read only");
      break;
   default:
      abortMessage("no access to this database");
   }
   polis::sdk::detail::handOutHandle(db, prefix, mode);
   return 0;
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::DbGate)

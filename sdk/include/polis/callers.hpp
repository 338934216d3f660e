#pragma once
// Who may call an action. Services of the chain reach node-local ones in queries and callbacks, with any arguments that
// they like; what the node then does is nobody else's business. Every action of a local service that acts for its
// caller, or tells it what others may not know, therefore begins with one of these.

#include <polis/native.hpp>
#include <polis/service.hpp>
#include <polis/subjective.hpp>

#include <initializer_list>

namespace polis::sdk {

/// The sender's code in the node-local table, if this node runs any under its name.
inline std::optional<CodeRow> localCodeOf(AccountNumber account) {
   auto row = subjectively([&] { return native::get<CodeRow>(Db::nativeSubjective, native::codeTable, account); });
   if (row && row->codeHash == Checksum256{})
      row.reset();
   return row;
}

inline bool isLocal(AccountNumber account) { return localCodeOf(account).has_value(); }

/// Whether governance has made the account part of the system.
inline bool isPrivilegedOnChain(AccountNumber account) {
   const auto row = native::code(account);
   return row && (row->flags & CodeRow::isPrivileged);
}

/// Fails unless the sender is one of these.
inline void onlyFrom(std::initializer_list<AccountNumber> allowed) {
   const auto sender = getSender();
   for (const auto account : allowed)
      if (sender == account)
         return;
   abortMessage("'" + sender.str() + "' may not call this");
}

/// Fails unless the sender is a node-local service.
inline void onlyFromLocal() {
   if (const auto sender = getSender(); !isLocal(sender))
      abortMessage("'" + sender.str() + "' may not call this: it is not a service of this node");
}

/// Fails unless the sender is a node-local service, or a privileged one of the chain.
inline void onlyFromSystem() {
   if (const auto sender = getSender(); !isPrivilegedOnChain(sender) && !isLocal(sender))
      abortMessage("'" + sender.str() + "' may not call this: it is not part of the system");
}

} // namespace polis::sdk

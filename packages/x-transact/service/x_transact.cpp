#include "x_transact.hpp"

#include <algorithm>

namespace polis::services {

namespace {

/// The last of the types, of the node's own: which transactions a callback is about.
constexpr std::uint32_t interestType = 6;

void checkCallback(std::uint32_t type, const Action& action) {
   onlyFrom({"transact+1"_a});
   check(type >= 3 && type <= interestType, "unknown callback type");
   check(action.sender == AccountNumber{} && (action.rawData.empty() || type == interestType),
         "a callback has no sender and no arguments");
}

NotifyRow rowOf(std::uint32_t type) {
   auto row = native::get<NotifyRow>(Db::nativeSubjective, native::notifyTable, type);
   return row ? std::move(*row) : NotifyRow{static_cast<NotifyType>(type), {}};
}

} // namespace

void XTransact::addCallback(std::uint32_t type, Action action) {
   checkCallback(type, action);
   subjectively([&] {
      auto row = rowOf(type);
      if (std::find(row.actions.begin(), row.actions.end(), action) != row.actions.end())
         return;
      row.actions.push_back(action);
      native::put(Db::nativeSubjective, native::notifyTable, row, type);
   });
}

void XTransact::removeCallback(std::uint32_t type, Action action) {
   checkCallback(type, action);
   subjectively([&] {
      auto row = rowOf(type);
      const auto at = std::find(row.actions.begin(), row.actions.end(), action);
      check(at != row.actions.end(), "no such callback");
      row.actions.erase(at);
      if (row.actions.empty())
         native::space(Db::nativeSubjective).remove(native::rowKey(native::notifyTable, type));
      else
         native::put(Db::nativeSubjective, native::notifyTable, row, type);
   });
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::XTransact)

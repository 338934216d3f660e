#include "dyn_ld.hpp"

namespace polis::services {

namespace {

/// Writes the sender's groups and what they come to; none: forgets the sender.
void put(DynDepGroups row) {
   auto groups = open<DynLd::DynDepGroupsTable>(Mode::readWrite);
   auto all = open<DynLd::DynDepsTable>(Mode::readWrite);
   if (row.groups.empty()) {
      groups.erase(row.service);
      all.erase(row.service);
      return;
   }
   std::map<std::string, AccountNumber> meant;
   for (const auto& [group, deps] : row.groups)
      for (const auto& dep : deps)
         if (const auto [at, isNew] = meant.try_emplace(dep.name, dep.service); !isNew && at->second != dep.service)
            abortMessage(dep.name + " is both " + at->second.str() + " and " + dep.service.str());
   DynDeps deps{row.service, {}};
   for (const auto& [name, service] : meant)
      deps.deps.push_back({name, service});
   all.put(deps);
   groups.put(row);
}

DynDepGroups groupsOfSender() {
   return open<DynLd::DynDepGroupsTable>().get(getSender()).value_or(DynDepGroups{getSender(), {}});
}

} // namespace

void DynLd::link(std::string group, std::vector<DynDep> deps) {
   auto row = groupsOfSender();
   row.groups[std::move(group)] = std::move(deps);
   put(std::move(row));
}

void DynLd::unlink(std::string group) {
   auto row = groupsOfSender();
   row.groups.erase(group);
   put(std::move(row));
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::DynLd)

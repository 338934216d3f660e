// Which services are meant by the names that an app uses.
#pragma once

#include <polis/sdk.hpp>

#include <map>

namespace polis::services {

using namespace polis::sdk;

struct DynDep {
   std::string name;
   AccountNumber service;
};

/// All groups of a service together, each name once, ascending.
struct DynDeps {
   AccountNumber service;
   std::vector<DynDep> deps;
};

/// As they were linked; a group is what one package brought.
struct DynDepGroups {
   AccountNumber service;
   std::map<std::string, std::vector<DynDep>> groups;
};

class DynLd : public Service {
public:
   static constexpr auto account = "dyn-ld"_a;
   using DynDepsTable = Table<0, DynDeps, &DynDeps::service>;
   using DynDepGroupsTable = Table<1, DynDepGroups, &DynDepGroups::service>;
   using Tables = std::tuple<DynDepsTable, DynDepGroupsTable>;

   /// Sets what the sender's group holds. Refuses a name that another group, or the same, gives to another service.
   void link(std::string group, std::vector<DynDep> deps);
   /// Removes the sender's group; nothing to do if it is not there.
   void unlink(std::string group);
};
POLIS_SERVICE(DynLd, action(link, group, deps), action(unlink, group))

} // namespace polis::services

#include "auth-dyn/test/manager.hpp"

namespace polis::services {

void Manager::set(AccountNumber name, DynamicAuthPolicy policy, std::optional<DynamicAuthPolicy> forGreetings) {
   open<Policies>(Mode::readWrite).put({name, std::move(policy), std::move(forGreetings)});
}

DynamicAuthPolicy Manager::get_policy(AccountNumber name, std::optional<ServiceMethod> method) {
   const auto row = open<Policies>().get(name);
   check(row.has_value(), "no policy for " + name.str());
   return method && method->method == "greet"_m && row->forGreetings ? *row->forGreetings : row->policy;
}

bool Manager::has_policy(AccountNumber name) { return open<Policies>().contains(name); }

} // namespace polis::services

POLIS_DISPATCH(polis::services::Manager)

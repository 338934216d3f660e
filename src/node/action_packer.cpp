#include "node/action_packer.hpp"

namespace polis::node {

using format::AccountNumber;
using format::MethodNumber;

std::expected<void, std::string> ActionPacker::add(const format::ServiceSchema& schema) {
   auto types = format::CompiledSchema::compile(schema.types);
   if (!types)
      return std::unexpected("the schema of " + schema.service.str() + ": " + types.error());
   auto service = std::make_shared<Service>(Service{std::move(*types), {}});
   for (const auto& [name, function] : schema.actions) {
      Method method;
      method.name = name;
      auto params = service->types.add(function.params);
      if (!params)
         return std::unexpected("the schema of " + schema.service.str() + ", " + name + ": " + params.error());
      method.params = *params;
      if (function.result) {
         auto result = service->types.add(*function.result);
         if (!result)
            return std::unexpected("the schema of " + schema.service.str() + ", " + name + ": " + result.error());
         method.result = *result;
      }
      service->methods.emplace(MethodNumber(std::string_view(name)), std::move(method));
   }
   services_[schema.service] = std::move(service);
   return {};
}

std::expected<Bytes, std::string> ActionPacker::pack(AccountNumber service, MethodNumber method,
                                                     std::string_view json) const {
   const auto it = services_.find(service);
   if (it == services_.end())
      return std::unexpected("there is no schema of the service " + service.str() +
                             ", so arguments cannot be packed; give rawData instead");
   const auto m = it->second->methods.find(method);
   if (m == it->second->methods.end()) {
      std::string there;
      for (const auto& [number, known] : it->second->methods)
         there += (there.empty() ? "" : ", ") + known.name;
      return std::unexpected("the service " + service.str() + " has no action " + method.str() + "; it has " + there);
   }
   auto packed = it->second->types.fromJson(m->second.params, json);
   if (!packed)
      return std::unexpected("arguments of " + service.str() + "::" + m->second.name + ": " + packed.error().message +
                             " at byte " + std::to_string(packed.error().offset) + " of " +
                             std::string(json.substr(0, 200)));
   return std::move(*packed);
}

std::expected<std::string, std::string> ActionPacker::result(AccountNumber service, MethodNumber method,
                                                             ByteView packed) const {
   const auto it = services_.find(service);
   if (it == services_.end())
      return std::unexpected("there is no schema of the service " + service.str());
   const auto m = it->second->methods.find(method);
   if (m == it->second->methods.end() || !m->second.result)
      return std::string();
   auto json = it->second->types.toJson(*m->second.result, packed);
   if (!json)
      return std::unexpected("what " + service.str() + "::" + m->second.name + " returned does not fit its schema");
   return std::move(*json);
}

} // namespace polis::node

#include "node/action_packer.hpp"

#include <algorithm>

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
      if (const auto* object = std::get_if<format::ObjectType>(&function.params.kind))
         for (method.arguments.emplace(); const auto& member : object->members)
            method.arguments->push_back(member.name);
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

std::string ActionPacker::strangeArgument(AccountNumber service, MethodNumber method, std::string_view json) const {
   const auto it = services_.find(service);
   if (it == services_.end())
      return {};
   const auto m = it->second->methods.find(method);
   format::JsonReader reader(json);
   if (m == it->second->methods.end() || !m->second.arguments || reader.token() != format::JsonToken::beginObject)
      return {};
   const auto& arguments = *m->second.arguments;
   for (reader.advance(); reader.token() == format::JsonToken::key; reader.skip()) {
      if (std::ranges::find(arguments, reader.text()) != arguments.end())
         continue;
      std::string there;
      for (const auto& argument : arguments)
         there += (there.empty() ? "" : ", ") + argument;
      return service.str() + "::" + m->second.name + " has no argument " + std::string(reader.text()) + "; it takes " +
             (there.empty() ? "none" : there);
   }
   return {};
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

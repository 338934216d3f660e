#pragma once
#include "format/chain.hpp"
#include "format/dynamic.hpp"
#include "format/schema.hpp"
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace polis::node {

/// Turns JSON arguments into packed actions, by the schemas of the called services.
class ActionPacker {
public:
   /// Replaces the schema of the same service. Errors: the schema contradicts itself.
   [[nodiscard]] std::expected<void, std::string> add(const format::ServiceSchema& schema);
   bool knows(format::AccountNumber service) const { return services_.contains(service); }

   /// Errors: unknown service or method (with the methods there are), arguments that do not fit.
   [[nodiscard]] std::expected<Bytes, std::string> pack(format::AccountNumber service, format::MethodNumber method,
                                                        std::string_view json) const;
   /// A sentence about the first argument in `json` that the action does not have; empty when there is none. Packing
   /// passes over such members, as the protocol wants; to a person they are a mistake.
   std::string strangeArgument(format::AccountNumber service, format::MethodNumber method, std::string_view json) const;
   /// What the action returned, as JSON; empty when it returns nothing.
   [[nodiscard]] std::expected<std::string, std::string> result(format::AccountNumber service,
                                                                format::MethodNumber method, ByteView packed) const;

private:
   struct Method {
      std::string name;
      format::TypeId params = 0;
      std::optional<format::TypeId> result;
      std::optional<std::vector<std::string>> arguments; ///< none: they have no names
   };
   struct Service {
      format::CompiledSchema types;
      std::map<format::MethodNumber, Method> methods;
   };
   std::map<format::AccountNumber, std::shared_ptr<const Service>> services_;
};

} // namespace polis::node

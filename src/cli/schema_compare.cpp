#include "cli/schema_compare.hpp"

#include "format/schema.hpp"

#include <map>
#include <set>

namespace polis::cli {
namespace {

using namespace format;

struct Parts {
   Schema types;
   std::map<std::string, AnyType> named; ///< what is compared, by what it is
};

std::expected<Parts, std::string> partsOf(std::string_view text) {
   Parts out;
   if (auto service = fromJson<ServiceSchema>(text); service && service->service) {
      out.types = std::move(service->types);
      for (auto& [name, function] : service->actions) {
         out.named.emplace("action " + name, std::move(function.params));
         if (function.result)
            out.named.emplace("result of " + name, std::move(*function.result));
      }
      for (auto* events : {&service->history, &service->merkle})
         for (auto& [name, event] : *events)
            out.named.emplace((events == &service->merkle ? "merkle event " : "event ") + name, std::move(event.type));
      return out;
   }
   auto schema = fromJson<Schema>(text);
   if (!schema)
      return std::unexpected(schema.error().message);
   out.types = std::move(*schema);
   for (const auto& [name, type] : out.types)
      if (!name.starts_with('@'))
         out.named.emplace("type " + name, type);
   return out;
}

std::string inWords(std::uint32_t difference) {
   if (difference & incompatible)
      return "incompatible";
   std::string out;
   for (const auto& [bit, words] : {std::pair(addField, "more optional members or alternatives"),
                                    std::pair(dropField, "fewer optional members or alternatives"),
                                    std::pair(addAlternative, "bytes in place of a packed value"),
                                    std::pair(dropAlternative, "a packed value in place of bytes")})
      if (difference & bit)
         out += (out.empty() ? "" : "; ") + std::string(words);
   return out;
}

} // namespace

std::expected<SchemaChanges, std::string> compareSchemas(std::string_view before, std::string_view after) {
   const auto old = partsOf(before), young = partsOf(after);
   if (!old || !young)
      return std::unexpected(!old ? "the first is no schema: " + old.error()
                                  : "the second is no schema: " + young.error());
   std::set<std::string> names;
   for (const auto* parts : {&*old, &*young})
      for (const auto& [name, type] : parts->named)
         names.insert(name);
   SchemaChanges out{{}, true};
   const auto say = [&](const std::string& name, const std::string& what) { out.text += name + ": " + what + "\n"; };
   for (const std::string& name : names) {
      const auto was = old->named.find(name), is = young->named.find(name);
      if (was == old->named.end()) {
         say(name, "new");
      } else if (is == young->named.end()) {
         say(name, "gone");
         out.compatible = false;
      } else if (const auto difference = compareTypes(old->types, was->second, young->types, is->second)) {
         say(name, inWords(difference));
         out.compatible &= !(difference & (incompatible | downgrade));
      }
   }
   return out;
}

} // namespace polis::cli

// Any schema, any bytes under it: what is accepted comes back from its JSON, and nothing crashes.
// Input: the schema in JSON, a NUL, then bytes that are read as a value and as JSON.
#include "base/assert.hpp"
#include "format/dynamic.hpp"

#include <algorithm>

namespace polis::format {
namespace {

void run(ByteView data) {
   const auto split = std::ranges::find(data, 0);
   const auto schemaBytes = data.first(static_cast<std::size_t>(split - data.begin()));
   const ByteView rest = split == data.end() ? ByteView() : data.subspan(schemaBytes.size() + 1);
   const auto schema = fromJson<Schema>(asText(schemaBytes));
   if (!schema)
      return;
   const auto repacked = unpackStrict<Schema>(pack(*schema));
   ASSERT(repacked.has_value() && toJson(*repacked) == toJson(*schema));
   const auto compiled = CompiledSchema::compile(*schema);
   if (!compiled)
      return;
   for (const auto& [name, source] : *schema) {
      ASSERT(compareTypes(*schema, source, *schema, source) == equivalent || !resolve(*schema, source));
      const TypeId type = compiled->find(name).value();
      const Validity validity = compiled->validate(type, rest);
      const auto json = compiled->toJson(type, rest);
      ASSERT(json.has_value() == (validity != Validity::invalid));
      static_cast<void>(compiled->explain(type, rest));
      if (json)
         static_cast<void>(compiled->toKey(type, rest));
      // Whatever JSON is accepted packs to valid bytes that show the same value.
      if (const auto packed = compiled->fromJson(type, asText(rest))) {
         ASSERT(compiled->validate(type, *packed) == Validity::valid);
         const auto shown = compiled->toJson(type, *packed);
         ASSERT(shown.has_value());
         if (const auto again = compiled->fromJson(type, *shown))
            ASSERT(compiled->toJson(type, *again).value_or("") == *shown);
      }
   }
}

} // namespace
} // namespace polis::format

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   polis::format::run({data, size});
   return 0;
}

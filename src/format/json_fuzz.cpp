// Any text as JSON of every protocol structure: what is accepted is valid when packed, and its own JSON is accepted.
#include "base/assert.hpp"
#include "format/builtin_types.hpp"

namespace polis::format {
namespace {

void run(ByteView data) {
   if (data.empty())
      return;
   const BuiltinType& type = builtinTypes()[data[0] % builtinTypes().size()];
   const auto packed = type.fromJson(asText(data.subspan(1)));
   if (!packed)
      return;
   ASSERT(type.validate(*packed) == Validity::valid);
   const auto json = type.toJson(*packed);
   ASSERT(json.has_value());
   const auto again = type.fromJson(*json);
   ASSERT(again.has_value()); // names may not come back the same
}

} // namespace
} // namespace polis::format

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   polis::format::run({data, size});
   return 0;
}

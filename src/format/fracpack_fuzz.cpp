// Every protocol structure: the typed and the schema-driven reader agree, and a valid value has one encoding only.
#include "base/assert.hpp"
#include "format/builtin_types.hpp"
#include "format/chain.hpp"
#include "format/dynamic.hpp"
#include "format/native_tables.hpp"
#include "format/view.hpp"

#include <vector>

namespace polis::format {
namespace {

struct Both {
   const BuiltinType* builtin;
   CompiledSchema schema;
   TypeId type;
};

const std::vector<Both>& all() {
   static const std::vector<Both> made = [] {
      std::vector<Both> out;
      for (const BuiltinType& builtin : builtinTypes()) {
         auto schema = CompiledSchema::compile(builtin.schema());
         ASSERT(schema.has_value());
         const auto type = schema->find(builtin.name);
         ASSERT(type.has_value());
         out.push_back({&builtin, std::move(*schema), *type});
      }
      return out;
   }();
   return made;
}

bool holdsMaps(std::string_view name) { return name.find("Schema") != std::string_view::npos; }

void readView(ByteView bytes) {
   const auto view = View<SignedTransaction>::of(bytes);
   if (!view)
      return;
   std::size_t total = 0;
   const auto inner = view->get<&SignedTransaction::transaction>().view();
   for (const View<Action> action : inner.get<&Transaction::actions>())
      total += action.get<&Action::rawData>().size() + action.get<&Action::sender>().value % 2;
   for (const auto proof : view->get<&SignedTransaction::proofs>())
      total += proof.size();
   ASSERT(total < bytes.size() * 8 + 8);
}

/// A valid value has one encoding only.
template <class T>
void repack(ByteView bytes) {
   const auto value = unpackStrict<T>(bytes);
   if (value)
      ASSERT(pack(*value) == Bytes(bytes.begin(), bytes.end()));
}

void run(ByteView data) {
   if (data.empty())
      return;
   const Both& both = all()[data[0] % all().size()];
   const ByteView bytes = data.subspan(1);
   const Validity typed = both.builtin->validate(bytes);
   ASSERT(typed == both.schema.validate(both.type, bytes));
   const auto json = both.builtin->toJson(bytes);
   const auto dynamicJson = both.schema.toJson(both.type, bytes);
   ASSERT(json.has_value() == (typed != Validity::invalid) && dynamicJson.has_value() == json.has_value());
   static_cast<void>(both.schema.explain(both.type, bytes));
   readView(bytes);
   repack<SignedTransaction>(bytes);
   repack<Transaction>(bytes);
   repack<SignedBlock>(bytes);
   repack<StatusRow>(bytes);
   repack<SocketRow>(bytes);
   repack<TransactionTrace>(bytes);
   repack<std::tuple<HttpRequest, std::optional<TLSInfo>, std::optional<SocketEndpoint>>>(bytes);
   if (!json)
      return;
   if (!holdsMaps(both.builtin->name))
      ASSERT(*json == *dynamicJson);
   const auto again = both.builtin->fromJson(*json);
   // JSON is not exact: invalid UTF-8 is shown as `?`, names may not come back, and it nests less deeply than bytes.
   if (!again)
      return;
   const auto dynamicAgain = both.schema.fromJson(both.type, *json);
   ASSERT(dynamicAgain.has_value());
   if (!holdsMaps(both.builtin->name))
      ASSERT(*dynamicAgain == *again);
}

} // namespace
} // namespace polis::format

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   polis::format::run({data, size});
   return 0;
}

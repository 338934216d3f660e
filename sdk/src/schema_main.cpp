// Prints the ServiceSchema of one service: compiled natively from the service's own header at build time.

#include POLIS_SCHEMA_HEADER

#include "format/json.hpp"
#include "format/schema.hpp"

#include <cstdio>
#include <fstream>

namespace {

using namespace polis::format;
using polis::sdk::Db;

template <class T>
std::string lastName() {
   std::string name(declaredName<T>());
   if (const auto at = name.rfind("::"); at != std::string::npos)
      name = name.substr(at + 2);
   return name;
}

template <class... A, std::size_t... i, std::size_t n>
std::vector<Member> parameters(SchemaBuilder& builder, std::type_identity<std::tuple<A...>>, std::index_sequence<i...>,
                               const std::array<std::string_view, n>& names) {
   std::vector<Member> members;
   (members.push_back({std::string(names[i]), builder.add<A>()}), ...);
   return members;
}

template <class Info>
void addAction(SchemaBuilder& builder, ServiceSchema& schema, const Info& info) {
   using Traits = polis::sdk::detail::MethodTraits<std::remove_cvref_t<decltype(Info::member)>>;
   using Result = std::remove_cvref_t<typename Traits::Result>;
   using Args = typename Traits::Args;
   FunctionType function;
   function.params = {ObjectType{parameters(builder, std::type_identity<Args>(),
                                            std::make_index_sequence<std::tuple_size_v<Args>>(), info.parameterNames)}};
   if constexpr (!std::is_void_v<Result>)
      function.result = builder.add<Result>();
   schema.actions.emplace(std::string(info.name), std::move(function));
}

template <class E>
std::string accessOf() {
   if constexpr (requires { E::isPublic; })
      return E::isPublic ? "public" : "private";
   else
      return "private";
}

template <class... E>
void addEvents(SchemaBuilder& builder, std::map<std::string, EventType, MethodOrder>& out,
               std::type_identity<std::tuple<E...>>) {
   (out.emplace(std::string(E::eventName), EventType{builder.add<E>(), accessOf<E>()}), ...);
}

std::string databaseName(Db db) {
   switch (db) {
   case Db::writeOnly:
      return "writeOnly";
   case Db::subjective:
      return "subjective";
   case Db::session:
      return "session";
   default:
      return "service";
   }
}

/// Index of a member among a row's, found by its address in an object.
template <class Row, class M>
std::optional<std::uint32_t> memberIndex(M Row::* member) {
   static Row row{};
   const void* wanted = &(row.*member);
   std::optional<std::uint32_t> found;
   withFields(row, [&](const auto&... members) {
      std::uint32_t i = 0;
      ((static_cast<const void*>(&members) == wanted ? void(found = i) : void(), ++i), ...);
   });
   return found;
}

template <class Row, auto... members>
std::vector<FieldId> fields(polis::sdk::Key<members...>) {
   std::vector<FieldId> out;
   auto add = [&](auto member) {
      if constexpr (std::is_member_object_pointer_v<decltype(member)>)
         if (const auto index = memberIndex<Row>(member))
            out.push_back({{*index}, std::nullopt, std::nullopt});
   };
   (add(members), ...);
   return out;
}

template <class T>
void addTable(SchemaBuilder& builder, std::map<std::string, std::vector<TableInfo>>& out) {
   TableInfo info;
   info.name = lastName<typename T::Row>();
   info.table = T::number;
   info.type = builder.add<typename T::Row>();
   info.indexes.push_back(fields<typename T::Row>(typename T::Primary()));
   [&]<class... I>(std::type_identity<std::tuple<I...>>) {
      (info.indexes.push_back(fields<typename T::Row>(static_cast<const typename I::AsKey&>(I()))), ...);
   }(std::type_identity<typename T::Secondary>());
   out[databaseName(T::db)].push_back(std::move(info));
}

template <class S>
ServiceSchema makeSchema() {
   ServiceSchema schema;
   SchemaBuilder builder;
   schema.service = S::account;
   std::apply([&](const auto&... info) { (addAction(builder, schema, info), ...); },
              polisActions(static_cast<const S*>(nullptr)));
   if constexpr (requires { typename S::HistoryEvents; })
      addEvents(builder, schema.history, std::type_identity<typename S::HistoryEvents>());
   if constexpr (requires { typename S::MerkleEvents; })
      addEvents(builder, schema.merkle, std::type_identity<typename S::MerkleEvents>());
   if constexpr (requires { typename S::Tables; }) {
      schema.database.emplace();
      [&]<class... T>(std::type_identity<std::tuple<T...>>) {
         (addTable<T>(builder, *schema.database), ...);
      }(std::type_identity<typename S::Tables>());
   }
   schema.types = builder.take();
   return schema;
}

} // namespace

int main(int argc, char** argv) {
   const auto text = toJson(makeSchema<POLIS_SCHEMA_CLASS>());
   if (argc < 2) {
      std::puts(text.c_str());
      return 0;
   }
   std::ofstream out(argv[1]);
   out << text;
   return out.flush() ? 0 : 1;
}

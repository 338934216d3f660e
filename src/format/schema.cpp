#include "format/schema.hpp"

#include <set>

namespace polis::format {
namespace {

constexpr std::string_view kindNames[] = {"Struct", "Object", "Array", "List",     "Option", "Variant",
                                          "Tuple",  "Int",    "Float", "FracPack", "Custom"};

void writeMembers(JsonWriter& writer, const std::vector<Member>& members) {
   writer.beginObject();
   for (const Member& member : members) {
      writer.key(member.name);
      member.type.writeJson(writer);
   }
   writer.endObject();
}

bool readMembers(JsonReader& reader, std::vector<Member>& members) {
   if (!reader.expect(JsonToken::beginObject, "{"))
      return false;
   while (reader.token() == JsonToken::key) {
      Member& member = members.emplace_back();
      member.name = reader.text();
      reader.advance();
      if (!AnyType::readJson(reader, member.type))
         return false;
   }
   return reader.expect(JsonToken::endObject, "}");
}

/// Arrays and customs: an object whose `type` is a type and whose other member is read by `other`.
template <class Other>
bool readTypeAnd(JsonReader& reader, AnyType& type, std::string_view name, const Other& other) {
   if (!reader.expect(JsonToken::beginObject, "{"))
      return false;
   bool hasType = false, hasOther = false;
   while (reader.token() == JsonToken::key) {
      const std::string_view key = reader.text();
      if (key == "type") {
         reader.advance();
         hasType = true;
         if (!AnyType::readJson(reader, type))
            return false;
      } else if (key == name) {
         reader.advance();
         hasOther = true;
         if (!other())
            return false;
      } else {
         reader.skip();
      }
   }
   if (!hasType || !hasOther)
      return reader.fail("a member of the type is missing");
   return reader.expect(JsonToken::endObject, "}");
}

} // namespace

void AnyType::writeJson(JsonWriter& writer) const {
   if (const auto* reference = std::get_if<TypeName>(&kind))
      return writer.string(reference->name);
   writer.beginObject();
   writer.key(kindNames[kind.index()]);
   std::visit(
       [&]<class K>(const K& content) {
          if constexpr (std::is_same_v<K, StructType> || std::is_same_v<K, ObjectType>) {
             writeMembers(writer, content.members);
          } else if constexpr (std::is_same_v<K, VariantType>) {
             writeMembers(writer, content.alternatives);
          } else if constexpr (std::is_same_v<K, TupleType>) {
             writer.beginArray();
             for (const AnyType& type : content.types)
                type.writeJson(writer);
             writer.endArray();
          } else if constexpr (std::is_same_v<K, ArrayType>) {
             writer.beginObject();
             writer.key("type");
             content.type->writeJson(writer);
             writer.key("len");
             writer.integer(content.len);
             writer.endObject();
          } else if constexpr (std::is_same_v<K, CustomType>) {
             writer.beginObject();
             writer.key("type");
             content.type->writeJson(writer);
             writer.key("id");
             writer.string(content.id);
             writer.endObject();
          } else if constexpr (std::is_same_v<K, IntType> || std::is_same_v<K, FloatType>) {
             format::writeJson(writer, content);
          } else if constexpr (!std::is_same_v<K, TypeName>) {
             content.type->writeJson(writer);
          }
       },
       kind);
   writer.endObject();
}

bool AnyType::readJson(JsonReader& reader, AnyType& type) {
   if (reader.token() == JsonToken::string) {
      type.kind = TypeName{std::string(reader.text())};
      reader.advance();
      return true;
   }
   if (!reader.expect(JsonToken::beginObject, "a type: a name or {\"kind\": …}"))
      return false;
   const std::string kind(reader.text());
   if (!reader.expect(JsonToken::key, "the kind of a type"))
      return false;
   bool fine = false;
   if (kind == "Struct") {
      fine = readMembers(reader, type.kind.emplace<StructType>().members);
   } else if (kind == "Object") {
      fine = readMembers(reader, type.kind.emplace<ObjectType>().members);
   } else if (kind == "Variant") {
      fine = readMembers(reader, type.kind.emplace<VariantType>().alternatives);
   } else if (kind == "Tuple") {
      fine = format::readJson(reader, type.kind.emplace<TupleType>().types);
   } else if (kind == "Array") {
      auto& content = type.kind.emplace<ArrayType>();
      fine = readTypeAnd(reader, *content.type, "len", [&] { return format::readJson(reader, content.len); });
   } else if (kind == "Custom") {
      auto& content = type.kind.emplace<CustomType>();
      fine = readTypeAnd(reader, *content.type, "id", [&] { return format::readJson(reader, content.id); });
   } else if (kind == "List") {
      fine = readJson(reader, *type.kind.emplace<ListType>().type);
   } else if (kind == "Option") {
      fine = readJson(reader, *type.kind.emplace<OptionType>().type);
   } else if (kind == "FracPack") {
      fine = readJson(reader, *type.kind.emplace<FracPackType>().type);
   } else if (kind == "Int") {
      fine = format::readJson(reader, type.kind.emplace<IntType>());
   } else if (kind == "Float") {
      fine = format::readJson(reader, type.kind.emplace<FloatType>());
   } else {
      return reader.fail("no such kind of type");
   }
   return fine && reader.expect(JsonToken::endObject, "}");
}

AnyType AnyType::schemaType(SchemaBuilder& builder) {
   return builder.named(&detail::typeMark<AnyType>, "AnyType", [&] {
      const AnyType self{TypeName{"AnyType"}};
      const AnyType members = SchemaBuilder::custom(SchemaBuilder::list(builder.add<Member>()), "map");
      return AnyType{VariantType{{{"Struct", members},
                                  {"Object", members},
                                  {"Array", builder.add<ArrayType>()},
                                  {"List", self},
                                  {"Option", self},
                                  {"Variant", members},
                                  {"Tuple", SchemaBuilder::list(self)},
                                  {"Int", builder.add<IntType>()},
                                  {"Float", builder.add<FloatType>()},
                                  {"FracPack", self},
                                  {"Custom", builder.add<CustomType>()},
                                  {"@Type", builder.add<std::string>()}}}};
   });
}

const AnyType* resolve(const Schema& schema, const AnyType& type) {
   const AnyType* at = &type;
   // A chain without a cycle is no longer than the schema.
   for (std::size_t steps = 0; steps <= schema.size(); ++steps) {
      const auto* reference = std::get_if<TypeName>(&at->kind);
      if (!reference)
         return at;
      const auto found = schema.find(reference->name);
      if (found == schema.end())
         return nullptr;
      at = &found->second;
   }
   return nullptr;
}

namespace {

class Comparison {
public:
   Comparison(const Schema& oldSchema, const Schema& newSchema) : oldSchema_(oldSchema), newSchema_(newSchema) {}

   std::uint32_t compare(const AnyType& before, const AnyType& after) {
      const AnyType* a = strip(oldSchema_, before);
      const AnyType* b = strip(newSchema_, after);
      if (!a || !b)
         return incompatible;
      if (!seen_.emplace(a, b).second)
         return equivalent;
      if (++depth_ > depthMax)
         return incompatible;
      const std::uint32_t difference = compareStripped(*a, *b);
      --depth_;
      return difference & incompatible ? std::uint32_t{incompatible} : difference;
   }

private:
   static constexpr unsigned depthMax = 1000;

   template <class K>
   static const K* as(const AnyType& type) {
      return std::get_if<K>(&type.kind);
   }

   static bool isScalar(const AnyType* type) { return type && (as<IntType>(*type) || as<FloatType>(*type)); }

   /// Without references, customs and structs around one scalar.
   static const AnyType* strip(const Schema& schema, const AnyType& type) {
      const AnyType* at = &type;
      for (unsigned steps = 0; steps < depthMax; ++steps) {
         at = resolve(schema, *at);
         if (!at)
            return nullptr;
         if (const auto* custom = as<CustomType>(*at)) {
            at = &*custom->type;
            continue;
         }
         if (const auto* wrapper = as<StructType>(*at); wrapper && wrapper->members.size() == 1) {
            const AnyType* inner = stripCustoms(schema, wrapper->members[0].type);
            if (isScalar(inner))
               return inner;
         }
         return at;
      }
      return nullptr;
   }
   static const AnyType* stripCustoms(const Schema& schema, const AnyType& type) {
      const AnyType* at = &type;
      for (unsigned steps = 0; steps < depthMax; ++steps) {
         at = resolve(schema, *at);
         const auto* custom = at ? as<CustomType>(*at) : nullptr;
         if (!custom)
            return at;
         at = &*custom->type;
      }
      return nullptr;
   }

   bool isOption(const Schema& schema, const AnyType& type) {
      const AnyType* stripped = strip(schema, type);
      return stripped && as<OptionType>(*stripped);
   }
   bool isByteList(const Schema& schema, const AnyType& type) {
      const auto* list = as<ListType>(type);
      const AnyType* element = list ? strip(schema, *list->type) : nullptr;
      const auto* integer = element ? as<IntType>(*element) : nullptr;
      return integer && integer->bits == 8;
   }

   /// Members of an Object or a Tuple.
   static std::optional<std::vector<const AnyType*>> extensibleMembers(const AnyType& type) {
      std::vector<const AnyType*> out;
      if (const auto* object = as<ObjectType>(type)) {
         for (const Member& member : object->members)
            out.push_back(&member.type);
         return out;
      }
      if (const auto* tuple = as<TupleType>(type)) {
         for (const AnyType& member : tuple->types)
            out.push_back(&member);
         return out;
      }
      return std::nullopt;
   }

   std::uint32_t compareStripped(const AnyType& a, const AnyType& b) {
      const auto membersA = extensibleMembers(a), membersB = extensibleMembers(b);
      if (membersA && membersB) {
         const std::size_t common = std::min(membersA->size(), membersB->size());
         std::uint32_t difference = equivalent;
         for (std::size_t i = 0; i < common; ++i)
            difference |= compare(*(*membersA)[i], *(*membersB)[i]);
         for (std::size_t i = common; i < membersB->size(); ++i)
            difference |= isOption(newSchema_, *(*membersB)[i]) ? addField : incompatible;
         for (std::size_t i = common; i < membersA->size(); ++i)
            difference |= isOption(oldSchema_, *(*membersA)[i]) ? dropField : incompatible;
         return difference;
      }
      if (as<FracPackType>(a) && isByteList(newSchema_, b))
         return addAlternative;
      if (isByteList(oldSchema_, a) && as<FracPackType>(b))
         return dropAlternative;
      if (a.kind.index() != b.kind.index())
         return incompatible;
      if (const auto *x = as<IntType>(a), *y = as<IntType>(b); x)
         return x->bits == y->bits && (x->isSigned == y->isSigned || x->bits == 8) ? equivalent : incompatible;
      if (const auto *x = as<FloatType>(a), *y = as<FloatType>(b); x)
         return x->exp == y->exp && x->mantissa == y->mantissa ? equivalent : incompatible;
      if (const auto *x = as<StructType>(a), *y = as<StructType>(b); x) {
         if (x->members.size() != y->members.size())
            return incompatible;
         std::uint32_t difference = equivalent;
         for (std::size_t i = 0; i < x->members.size(); ++i)
            difference |= compare(x->members[i].type, y->members[i].type);
         return difference;
      }
      if (const auto *x = as<ArrayType>(a), *y = as<ArrayType>(b); x)
         return x->len == y->len ? compare(*x->type, *y->type) : incompatible;
      if (const auto *x = as<ListType>(a), *y = as<ListType>(b); x)
         return compare(*x->type, *y->type);
      if (const auto *x = as<OptionType>(a), *y = as<OptionType>(b); x)
         return compare(*x->type, *y->type);
      if (const auto *x = as<FracPackType>(a), *y = as<FracPackType>(b); x)
         return compare(*x->type, *y->type);
      if (const auto *x = as<VariantType>(a), *y = as<VariantType>(b); x) {
         const std::size_t common = std::min(x->alternatives.size(), y->alternatives.size());
         std::uint32_t difference = equivalent;
         for (std::size_t i = 0; i < common; ++i)
            difference |= compare(x->alternatives[i].type, y->alternatives[i].type);
         // The protocol counts alternatives with the bits of fields.
         if (y->alternatives.size() > common)
            difference |= addField;
         if (x->alternatives.size() > common)
            difference |= dropField;
         return difference;
      }
      return incompatible;
   }

   const Schema& oldSchema_;
   const Schema& newSchema_;
   std::set<std::pair<const AnyType*, const AnyType*>> seen_;
   unsigned depth_ = 0;
};

} // namespace

std::uint32_t compareTypes(const Schema& oldSchema, const AnyType& before, const Schema& newSchema,
                           const AnyType& after) {
   return Comparison(oldSchema, newSchema).compare(before, after);
}

std::pair<std::string, bool> SchemaBuilder::nameFor(const void* mark, std::string wanted) {
   if (const auto known = names_.find(mark); known != names_.end())
      return {known->second, false};
   std::string name = wanted;
   for (unsigned i = 2; schema_.contains(name); ++i)
      name = wanted + std::to_string(i);
   names_.emplace(mark, name);
   return {name, true};
}

} // namespace polis::format

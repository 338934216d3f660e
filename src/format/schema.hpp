// Schemas: descriptions of types that travel with a service. Source: spec, formats §6.
#pragma once

#include "format/json.hpp"
#include "format/kinds.hpp"
#include "format/names.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace polis::format {

/// A value on the heap, copied with its owner; for types that contain themselves.
template <class T>
class Box {
public:
   Box() : value_(std::make_unique<T>()) {}
   Box(T value) : value_(std::make_unique<T>(std::move(value))) {}
   Box(const Box& other) : value_(std::make_unique<T>(*other.value_)) {}
   Box(Box&& other) : Box() { std::swap(value_, other.value_); }
   Box& operator=(Box other) {
      std::swap(value_, other.value_);
      return *this;
   }

   T& operator*() { return *value_; }
   const T& operator*() const { return *value_; }
   T* operator->() { return value_.get(); }
   const T* operator->() const { return value_.get(); }

private:
   std::unique_ptr<T> value_;
};

struct AnyType;
struct Member;
class SchemaBuilder;

struct StructType {
   using Transparent = std::true_type;
   std::vector<Member> members;
};
struct ObjectType {
   using Transparent = std::true_type;
   std::vector<Member> members;
};
struct ArrayType {
   Box<AnyType> type;
   std::uint64_t len = 0;
};
struct ListType {
   using Transparent = std::true_type;
   Box<AnyType> type;
};
struct OptionType {
   using Transparent = std::true_type;
   Box<AnyType> type;
};
struct VariantType {
   using Transparent = std::true_type;
   std::vector<Member> alternatives;
};
struct TupleType {
   using Transparent = std::true_type;
   std::vector<AnyType> types;
};
struct IntType {
   std::uint32_t bits = 0;
   bool isSigned = false;
};
struct FloatType {
   std::uint32_t exp = 0;
   std::uint32_t mantissa = 0;
};
struct FracPackType {
   using Transparent = std::true_type;
   Box<AnyType> type;
};
struct CustomType {
   Box<AnyType> type;
   std::string id{};
};
/// Refers to a type of the same schema.
struct TypeName {
   using Transparent = std::true_type;
   std::string name{};
};

/// A type. The order of the alternatives is the protocol's.
struct AnyType {
   using Transparent = std::true_type;
   std::variant<StructType, ObjectType, ArrayType, ListType, OptionType, VariantType, TupleType, IntType, FloatType,
                FracPackType, CustomType, TypeName>
       kind;

   void writeJson(JsonWriter& writer) const;
   static bool readJson(JsonReader& reader, AnyType& type);
   static AnyType schemaType(SchemaBuilder& builder);
};

/// A member of a struct or an alternative of a variant.
struct Member {
   std::string name{};
   AnyType type{};
};

/// Named types. Names that begin with `@` are private to the schema.
using Schema = std::map<std::string, AnyType>;

struct FunctionType {
   AnyType params{}; ///< an Object of the arguments
   std::optional<AnyType> result{};
};
struct EventType {
   AnyType type{};
   std::string access{"public"}; ///< `public` or `private`
};
struct FieldId {
   std::vector<std::uint32_t> path{}; ///< member indices, from the row inwards
   std::optional<std::string> transform{};
   std::optional<AnyType> type{}; ///< after the transform
};
struct TableInfo {
   std::optional<std::string> name{};
   std::uint16_t table = 0;
   AnyType type{};
   std::vector<std::vector<FieldId>> indexes{};
};

/// Names are ordered and equal as their method numbers are.
struct MethodOrder {
   bool operator()(std::string_view a, std::string_view b) const { return MethodNumber(a) < MethodNumber(b); }
};

struct ServiceSchema {
   AccountNumber service{};
   Schema types{};
   std::map<std::string, FunctionType, MethodOrder> actions{};
   std::map<std::string, EventType, MethodOrder> history{};
   std::map<std::string, EventType, MethodOrder> merkle{};
   std::optional<std::map<std::string, std::vector<TableInfo>>> database{};
};

namespace frac {
template <class T>
struct Codec<Box<T>> : VariableCodec {
   static constexpr std::uint32_t bodyMin = 1;
   static std::size_t bodySize(const Box<T>& box) { return Codec<T>::bodySize(*box); }
   static std::uint8_t* write(const Box<T>& box, std::uint8_t* out) { return Codec<T>::write(*box, out); }
   template <bool store>
   static bool read(Reader& reader, std::uint32_t position, Box<T>* out) {
      T* inner = nullptr;
      if constexpr (store)
         inner = &**out;
      return Codec<T>::template read<store>(reader, position, inner);
   }
};
} // namespace frac

/// How two versions of a type differ, as seen by one that reads the other's data. Bits of a mask.
enum SchemaDifference : std::uint32_t {
   equivalent = 0,
   incompatible = 1,
   addField = 2,
   dropField = 4,
   addAlternative = 8,
   dropAlternative = 16,
   upgrade = addField | addAlternative,
   downgrade = dropField | dropAlternative,
};

/// Compares `after` (names in `newSchema`) with `before` (names in `oldSchema`).
std::uint32_t compareTypes(const Schema& oldSchema, const AnyType& before, const Schema& newSchema,
                           const AnyType& after);

/// The type that a chain of references ends at; null for a dangling or circular one.
const AnyType* resolve(const Schema& schema, const AnyType& type);

// --- Schemas of C++ types --------------------------------------------------------------------------------------------

namespace detail {
template <class T>
concept SelfDescribing = requires(SchemaBuilder& builder) { T::schemaType(builder); };
/// Its address stands for the type.
template <class T>
inline constexpr char typeMark = 0;
} // namespace detail

/// Collects the schemas of types under their names. A type of its own form has `static AnyType
/// schemaType(SchemaBuilder&)`; a struct with a special JSON form names it in `static constexpr auto customId`.
class SchemaBuilder {
public:
   /// The type, as used inside this schema: a reference to its name if it has one.
   template <class T>
   AnyType add();

   Schema take() { return std::move(schema_); }
   const Schema& schema() const { return schema_; }

   static AnyType integer(std::uint32_t bits, bool isSigned) { return {IntType{bits, isSigned}}; }
   static AnyType custom(AnyType type, std::string id) { return {CustomType{std::move(type), std::move(id)}}; }
   static AnyType list(AnyType type) { return {ListType{std::move(type)}}; }

   /// Describes a type under its name, once. `describe` is called after the name is taken, and may refer to it.
   template <class Describe>
   AnyType named(const void* mark, std::string wanted, const Describe& describe) {
      auto [name, isNew] = nameFor(mark, std::move(wanted));
      if (isNew) {
         schema_[name];
         AnyType type = describe();
         schema_[name] = std::move(type);
      }
      return {TypeName{name}};
   }

private:
   template <class T>
   AnyType describe();
   template <class T>
   std::vector<Member> members();
   /// A name for the type that `mark` stands for; true if it is new.
   std::pair<std::string, bool> nameFor(const void* mark, std::string wanted);

   Schema schema_;
   std::map<const void*, std::string> names_;
};

template <class T>
AnyType SchemaBuilder::add() {
   if constexpr (detail::SelfDescribing<T>) {
      return T::schemaType(*this);
   } else if constexpr (Struct<T> && !std::is_same_v<T, TimePointSec> && !std::is_same_v<T, TimePointUSec>) {
      return named(&detail::typeMark<T>, std::string(declaredName<T>()), [this] { return describe<T>(); });
   } else {
      return describe<T>();
   }
}

template <class T>
std::vector<Member> SchemaBuilder::members() {
   std::vector<Member> out;
   [&]<class... M, std::size_t... I>(TypeList<M...>, std::index_sequence<I...>) {
      (out.push_back({std::string(fieldName<T, I>), add<M>()}), ...);
   }(FieldTypes<T>(), std::make_index_sequence<fieldCount<T>>());
   return out;
}

template <class T>
AnyType SchemaBuilder::describe() {
   if constexpr (std::is_same_v<T, bool>) {
      return custom(integer(1, false), "bool");
   } else if constexpr (std::is_enum_v<T>) {
      return describe<std::underlying_type_t<T>>();
   } else if constexpr (std::is_integral_v<T>) {
      return integer(8 * sizeof(T), std::is_signed_v<T>);
   } else if constexpr (std::is_floating_point_v<T>) {
      return {sizeof(T) == 4 ? FloatType{8, 24} : FloatType{11, 53}};
   } else if constexpr (Name<T>) {
      return custom({StructType{{{"value", integer(64, false)}}}},
                    std::is_same_v<T, AccountNumber> ? "AccountNumber" : "MethodNumber");
   } else if constexpr (std::is_same_v<T, TimePointSec> || std::is_same_v<T, TimePointUSec>) {
      return custom(integer(64, true), std::string(declaredName<T>()));
   } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
      return custom(list(integer(8, false)), "string");
   } else if constexpr (json::ByteList<T>) {
      AnyType byte = describe<std::remove_cv_t<typename T::value_type>>();
      if constexpr (Array<T>)
         return custom({ArrayType{std::move(byte), std::tuple_size_v<T>}}, "hex");
      else
         return custom(list(std::move(byte)), "hex");
   } else if constexpr (NestedFrac<T>) {
      return custom({FracPackType{[&]<class U>(std::type_identity<Nested<U>>) {
                       return this->add<U>();
                    }(std::type_identity<T>())}},
                    "hex");
   } else if constexpr (Optional<T>) {
      return {OptionType{add<typename T::value_type>()}};
   } else if constexpr (isInstanceOf<T, Box>) {
      return add<std::remove_cvref_t<decltype(*std::declval<T&>())>>();
   } else if constexpr (Variant<T>) {
      VariantType out;
      [&]<class... A>(std::type_identity<std::variant<A...>>) {
         (out.alternatives.push_back({json::typeName<A>(), add<A>()}), ...);
      }(std::type_identity<T>());
      return {std::move(out)};
   } else if constexpr (Map<T>) {
      AnyType entry{ObjectType{{{"first", add<typename T::key_type>()}, {"second", add<typename T::mapped_type>()}}}};
      if constexpr (json::TextMap<T>)
         return custom(list(std::move(entry)), "map");
      else
         return list(std::move(entry));
   } else if constexpr (Vector<T> || Set<T> || ListView<T>) {
      return list(add<std::remove_cv_t<typename T::value_type>>());
   } else if constexpr (Array<T>) {
      return {ArrayType{add<typename T::value_type>(), std::tuple_size_v<T>}};
   } else if constexpr (Tuple<T>) {
      return [&]<class... M>(TypeList<M...>) {
         TupleType out;
         (out.types.push_back(this->add<M>()), ...);
         return AnyType{std::move(out)};
      }(MemberTypes<T>());
   } else if constexpr (Transparent<T>) {
      return add<TransparentInner<T>>();
   } else {
      static_assert(Struct<T>, "this type has no schema");
      AnyType type;
      if constexpr (FixedLayoutStruct<T>)
         type.kind = StructType{members<T>()};
      else
         type.kind = ObjectType{members<T>()};
      if constexpr (requires { T::customId; })
         return custom(std::move(type), T::customId);
      else
         return type;
   }
}

/// A schema that holds `name` and all that it refers to.
template <class T>
Schema schemaOf(const std::string& name) {
   SchemaBuilder builder;
   AnyType type = builder.add<T>();
   Schema schema = builder.take();
   schema.try_emplace(name, std::move(type));
   return schema;
}
template <class T>
Schema schemaOf() {
   return schemaOf<T>(std::string(declaredName<T>()));
}

} // namespace polis::format

#include "format/type_notation.hpp"

#include <charconv>

namespace polis::format {
namespace {

class NotationParser {
public:
   explicit NotationParser(std::string_view text) : rest_(text) {}

   std::optional<AnyType> run() {
      AnyType type;
      if (!parse(type) || !rest_.empty())
         return std::nullopt;
      return type;
   }

private:
   static constexpr unsigned depthMax = 64;

   bool take(char c) {
      skipSpace();
      if (!rest_.starts_with(c))
         return false;
      rest_.remove_prefix(1);
      return true;
   }
   void skipSpace() {
      while (rest_.starts_with(' '))
         rest_.remove_prefix(1);
   }
   std::string_view word() {
      skipSpace();
      std::size_t size = 0;
      while (size < rest_.size() && std::string_view("(){},:").find(rest_[size]) == std::string_view::npos)
         ++size;
      const std::string_view found = rest_.substr(0, size);
      rest_.remove_prefix(size);
      return found;
   }

   template <class T>
   static AnyType typeOf() {
      return SchemaBuilder().add<T>();
   }

   static bool simple(std::string_view name, AnyType& type) {
      struct Simple {
         std::string_view name;
         AnyType (*make)();
      };
      static constexpr Simple table[] = {
          {"bool", &typeOf<bool>},
          {"u8", &typeOf<std::uint8_t>},
          {"uint8", &typeOf<std::uint8_t>},
          {"u16", &typeOf<std::uint16_t>},
          {"uint16", &typeOf<std::uint16_t>},
          {"u32", &typeOf<std::uint32_t>},
          {"uint32", &typeOf<std::uint32_t>},
          {"u64", &typeOf<std::uint64_t>},
          {"uint64", &typeOf<std::uint64_t>},
          {"i8", &typeOf<std::int8_t>},
          {"int8", &typeOf<std::int8_t>},
          {"i16", &typeOf<std::int16_t>},
          {"int16", &typeOf<std::int16_t>},
          {"i32", &typeOf<std::int32_t>},
          {"int32", &typeOf<std::int32_t>},
          {"i64", &typeOf<std::int64_t>},
          {"int64", &typeOf<std::int64_t>},
          {"duration", &typeOf<std::int64_t>},
          {"f32", &typeOf<float>},
          {"float32", &typeOf<float>},
          {"f64", &typeOf<double>},
          {"double", &typeOf<double>},
          {"string", &typeOf<std::string>},
          {"bytes", &typeOf<Bytes>},
          {"hex", &typeOf<Bytes>},
          {"AccountNumber", &typeOf<AccountNumber>},
          {"MethodNumber", &typeOf<MethodNumber>},
          {"Checksum256", &typeOf<Checksum256>},
          {"TimePointSec", &typeOf<TimePointSec>},
          {"TimePointUSec", &typeOf<TimePointUSec>},
      };
      for (const Simple& entry : table)
         if (entry.name == name) {
            type = entry.make();
            return true;
         }
      return false;
   }

   /// The name that an alternative has by its type.
   static std::string tagOf(std::string_view notation) {
      static constexpr std::pair<std::string_view, std::string_view> tags[] = {
          {"u8", "uint8"},  {"u16", "uint16"}, {"u32", "uint32"}, {"u64", "uint64"},  {"i8", "int8"},
          {"i16", "int16"}, {"i32", "int32"},  {"i64", "int64"},  {"f32", "float32"}, {"f64", "double"}};
      for (const auto& [from, to] : tags)
         if (from == notation)
            return std::string(to);
      return std::string(notation);
   }

   static bool isUnsignedByte(const AnyType& type) {
      const auto* integer = std::get_if<IntType>(&type.kind);
      return integer && integer->bits == 8 && !integer->isSigned;
   }
   static AnyType bytesOrList(AnyType type, bool bytes) {
      return bytes ? SchemaBuilder::custom(std::move(type), "hex") : std::move(type);
   }

   /// Types between brackets, each with its name if it has one.
   bool members(char end, std::vector<Member>& out) {
      if (take(end))
         return true;
      do {
         const std::string_view before = rest_;
         const std::string_view name = word();
         Member member;
         if (take(':')) {
            member.name = name;
            if (!parse(member.type))
               return false;
         } else {
            rest_ = before;
            if (!parse(member.type))
               return false;
            member.name = tagOf(name);
         }
         out.push_back(std::move(member));
      } while (take(','));
      return take(end);
   }

   bool one(char end, AnyType& type) { return parse(type) && take(end); }

   bool parse(AnyType& type) {
      if (++depth_ > depthMax)
         return false;
      const bool fine = parseHere(type);
      --depth_;
      return fine;
   }

   bool parseHere(AnyType& type) {
      const std::string_view name = word();
      if (name == "object-option") {
         type = *parseTypeNotation("option(object{a:u32,b:string,c:i16})");
         return true;
      }
      const bool braces = rest_.starts_with('{');
      if (!braces && !rest_.starts_with('('))
         return simple(name, type);
      rest_.remove_prefix(1);
      const char end = braces ? '}' : ')';
      AnyType inner;
      if (name == "struct" || name == "object") {
         std::vector<Member> out;
         if (!members(end, out))
            return false;
         // Members without names are a, b, c, …
         for (std::size_t i = 0; i < out.size(); ++i)
            if (AnyType ignored; simple(out[i].name, ignored))
               out[i].name = std::string(1, static_cast<char>('a' + i % 26));
         if (name == "struct")
            type.kind = StructType{std::move(out)};
         else
            type.kind = ObjectType{std::move(out)};
         return true;
      }
      if (name == "variant")
         return members(end, type.kind.emplace<VariantType>().alternatives);
      if (name == "tuple") {
         std::vector<Member> out;
         if (!members(end, out))
            return false;
         auto& types = type.kind.emplace<TupleType>().types;
         for (Member& member : out)
            types.push_back(std::move(member.type));
         return true;
      }
      if (name == "map") {
         AnyType key, value;
         if (!parse(key) || !take(',') || !one(end, value))
            return false;
         type = SchemaBuilder::custom(
             SchemaBuilder::list({ObjectType{{{"first", std::move(key)}, {"second", std::move(value)}}}}), "map");
         return true;
      }
      if (name == "array") {
         if (!parse(inner) || !take(','))
            return false;
         const std::string_view digits = word();
         std::uint64_t count = 0;
         const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), count);
         if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || !take(end))
            return false;
         const bool bytes = isUnsignedByte(inner);
         type = bytesOrList({ArrayType{std::move(inner), count}}, bytes);
         return true;
      }
      if (name == "bytes") {
         const std::string_view element = word();
         type = element == "char" ? typeOf<std::vector<char>>() : typeOf<Bytes>();
         return take(end);
      }
      if (!one(end, inner))
         return false;
      if (name == "list" || name == "set") {
         const bool bytes = name == "list" && isUnsignedByte(inner);
         type = bytesOrList(SchemaBuilder::list(std::move(inner)), bytes);
      } else if (name == "option") {
         type.kind = OptionType{std::move(inner)};
      } else if (name == "fracpack" || name == "nested") {
         type = SchemaBuilder::custom({FracPackType{std::move(inner)}}, "hex");
      } else if (name == "enum" || name == "duration") {
         type = std::move(inner);
      } else {
         return false;
      }
      return true;
   }

   std::string_view rest_;
   unsigned depth_ = 0;
};

} // namespace

std::optional<AnyType> parseTypeNotation(std::string_view text) { return NotationParser(text).run(); }

} // namespace polis::format

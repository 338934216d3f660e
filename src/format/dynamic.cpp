#include "format/dynamic.hpp"

#include "base/assert.hpp"
#include "format/key.hpp"
#include "format/time_text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <span>

namespace polis::format {

using frac::load16;
using frac::load32;
using frac::Reader;
using frac::store16;
using frac::store32;

namespace {

enum class Kind : std::uint8_t { integer, floating, list, array, option, variant, nested, object, structure, custom };

enum class Custom : std::uint8_t { none, boolean, string, hex, map, timeSec, timeUSec, account, method };

struct Type {
   Kind kind{};
   Custom custom{};
   bool isTuple = false; ///< an object without names
   bool isSigned = false;
   std::uint8_t bits = 0;

   // Layout; see frac::Codec.
   bool isFixed = false;
   bool anyBytes = false;
   bool isContainer = false;
   bool emptyAllowed = false;
   std::uint32_t size = 4;
   std::uint32_t bodyMin = 0;
   std::uint32_t areaSize = 0;
   std::uint32_t areaMin = 0;
   std::uint32_t required = 0; ///< members up to the last that is not optional

   std::uint64_t count = 0;            ///< of an array
   std::uint64_t values = 1;           ///< of itself and within it, where it has no bytes
   std::vector<TypeId> children;       ///< members, alternatives, or the one element or content
   std::vector<TypeId> plain;          ///< the same without customs
   std::vector<std::uint32_t> offsets; ///< of members in the fixed area, and its size
   std::vector<std::string> names;
};

constexpr std::uint32_t sizeMax = std::uint32_t{1} << 30;
constexpr std::uint64_t emptyValuesMax = 64; ///< values without bytes, which cost nothing to ask for
/// A value by schema takes no more bytes than this many times its JSON text, and some for what the text may leave out.
constexpr std::size_t packedMultipleMax = 8, packedExtraMax = 65536;
/// What a value in a list or a map claims of the reader, about what an object in memory would: that it takes time is
/// what counts.
constexpr std::size_t claimedByValue = 40, claimedByObject = 64, claimedByEntry = 96;
constexpr std::uint32_t defaultArrayMax = 65536;
constexpr unsigned defaultDepthMax = 64;
constexpr unsigned typeDepthMax = 1000;

} // namespace

struct CompiledSchema::Types {
   std::vector<Type> types;
   std::map<std::string, TypeId, std::less<>> byName;
   Schema schema; ///< for types that are added later

   // --- Building -----------------------------------------------------------------------------------------------------

   std::string error;
   unsigned depth = 0;

   bool fail(std::string message) {
      if (error.empty())
         error = std::move(message);
      return false;
   }

   /// The type's id; building it if it is new.
   bool build(const AnyType& source, TypeId& id) {
      if (const auto* reference = std::get_if<TypeName>(&source.kind))
         return buildNamed(reference->name, id);
      id = static_cast<TypeId>(types.size());
      types.emplace_back();
      return fill(source, id);
   }

   bool buildNamed(const std::string& name, TypeId& id) {
      if (const auto known = byName.find(name); known != byName.end()) {
         id = known->second;
         return true;
      }
      const auto found = schema.find(name);
      if (found == schema.end())
         return fail("no type is named \"" + name + "\"");
      const AnyType* source = &found->second;
      if (std::holds_alternative<TypeName>(source->kind)) {
         source = resolve(schema, *source);
         if (!source)
            return fail("\"" + name + "\" refers to nothing or to itself");
         // One id for all names of a type, so that a recursion through an alias ends.
         const std::string target = lastName(name);
         if (!buildNamed(target, id))
            return false;
         byName.emplace(name, id);
         return true;
      }
      id = static_cast<TypeId>(types.size());
      types.emplace_back();
      byName.emplace(name, id);
      return fill(*source, id) || fail("in \"" + name + "\"");
   }

   std::string lastName(std::string name) const {
      while (true) {
         const auto found = schema.find(name);
         const auto* next = found == schema.end() ? nullptr : std::get_if<TypeName>(&found->second.kind);
         if (!next)
            return name;
         name = next->name;
      }
   }

   bool fill(const AnyType& source, TypeId id) {
      if (++depth > typeDepthMax)
         return fail("the types nest too deeply");
      Type type;
      const bool fine = std::visit([&](const auto& kind) { return fillKind(kind, type); }, source.kind);
      --depth;
      if (!fine)
         return false;
      types[id] = std::move(type);
      return true;
   }

   bool child(const AnyType& source, Type& type) {
      TypeId id;
      if (!build(source, id))
         return false;
      type.children.push_back(id);
      return true;
   }
   bool members(const std::vector<Member>& sources, Type& type) {
      for (const Member& member : sources) {
         type.names.push_back(member.name);
         if (!child(member.type, type))
            return false;
      }
      return true;
   }

   bool fillKind(const StructType& source, Type& type) {
      type.kind = Kind::structure;
      return members(source.members, type);
   }
   bool fillKind(const ObjectType& source, Type& type) {
      type.kind = Kind::object;
      return members(source.members, type);
   }
   bool fillKind(const TupleType& source, Type& type) {
      type.kind = Kind::object;
      type.isTuple = true;
      for (const AnyType& member : source.types)
         if (!child(member, type))
            return false;
      return true;
   }
   bool fillKind(const VariantType& source, Type& type) {
      type.kind = Kind::variant;
      if (source.alternatives.size() > 128)
         return fail("a variant has more than 128 alternatives");
      return members(source.alternatives, type);
   }
   bool fillKind(const ArrayType& source, Type& type) {
      type.kind = Kind::array;
      type.count = source.len;
      return child(*source.type, type);
   }
   bool fillKind(const ListType& source, Type& type) {
      type.kind = Kind::list;
      return child(*source.type, type);
   }
   bool fillKind(const OptionType& source, Type& type) {
      type.kind = Kind::option;
      return child(*source.type, type);
   }
   bool fillKind(const FracPackType& source, Type& type) {
      type.kind = Kind::nested;
      return child(*source.type, type);
   }
   bool fillKind(const IntType& source, Type& type) {
      type.kind = Kind::integer;
      type.isSigned = source.isSigned;
      switch (source.bits) {
      case 1:
      case 8:
      case 16:
      case 32:
      case 64:
         type.bits = static_cast<std::uint8_t>(source.bits);
         return true;
      default:
         return fail("integers have 1, 8, 16, 32 or 64 bits");
      }
   }
   bool fillKind(const FloatType& source, Type& type) {
      type.kind = Kind::floating;
      if (source.exp == 8 && source.mantissa == 24)
         type.bits = 32;
      else if (source.exp == 11 && source.mantissa == 53)
         type.bits = 64;
      else
         return fail("floats have 8 and 24 or 11 and 53 bits");
      return true;
   }
   bool fillKind(const CustomType& source, Type& type) {
      static constexpr std::pair<std::string_view, Custom> ids[] = {{"bool", Custom::boolean},
                                                                    {"string", Custom::string},
                                                                    {"hex", Custom::hex},
                                                                    {"map", Custom::map},
                                                                    {"TimePointSec", Custom::timeSec},
                                                                    {"TimePointUSec", Custom::timeUSec},
                                                                    {"AccountNumber", Custom::account},
                                                                    {"MethodNumber", Custom::method}};
      type.kind = Kind::custom;
      for (const auto& [id, custom] : ids)
         if (source.id == id)
            type.custom = custom;
      return child(*source.type, type);
   }
   bool fillKind(const TypeName&, Type&) { return fail("a name stands where a type is described"); }

   // --- Layout -------------------------------------------------------------------------------------------------------

   enum class Progress : std::uint8_t { none, begun, done };
   std::vector<Progress> progress;

   /// Lays out every type that has none yet.
   bool layoutAll() {
      progress.resize(types.size(), Progress::none);
      for (TypeId id = 0; id < types.size(); ++id)
         if (!layout(id))
            return false;
      for (Type& type : types)
         if (type.plain.empty())
            for (const TypeId id : type.children)
               type.plain.push_back(withoutCustom(id));
      // A custom that does not match what it is put on counts for nothing.
      for (Type& type : types)
         if (type.kind == Kind::custom && !matches(type.custom, types[type.plain[0]]))
            type.custom = Custom::none;
      return true;
   }

   TypeId withoutCustom(TypeId id) const {
      while (types[id].kind == Kind::custom)
         id = types[id].children[0];
      return id;
   }

   bool layout(TypeId id) {
      if (progress[id] == Progress::done)
         return true;
      if (progress[id] == Progress::begun)
         return fail("a type contains itself without a list, an option or a variant between");
      if (++depth > typeDepthMax)
         return fail("the types nest too deeply");
      progress[id] = Progress::begun;
      const Kind kind = types[id].kind;
      // Behind these a type may come back to itself.
      if (kind != Kind::list && kind != Kind::option && kind != Kind::variant)
         for (const TypeId child : types[id].children)
            if (!layout(child))
               return false;
      if (!layoutSelf(types[id]))
         return false;
      progress[id] = Progress::done;
      --depth;
      return true;
   }

   bool layoutSelf(Type& type) {
      switch (type.kind) {
      case Kind::integer:
      case Kind::floating:
         type.isFixed = true;
         type.anyBytes = type.bits != 1;
         type.size = type.bodyMin = type.areaSize = type.bits == 1 ? 1 : type.bits / 8;
         return true;
      case Kind::list:
         type.isContainer = type.emptyAllowed = true;
         type.bodyMin = 4;
         return true;
      case Kind::option:
         type.bodyMin = 4;
         return true;
      case Kind::variant:
         type.bodyMin = 5;
         return true;
      case Kind::nested: {
         const Type& content = types[type.children[0]];
         type.isContainer = true;
         type.emptyAllowed = content.bodyMin == 0 && !content.isContainer && content.kind != Kind::option;
         type.bodyMin = 4;
         return true;
      }
      case Kind::array: {
         const Type& element = types[type.children[0]];
         const std::uint64_t slot = element.size;
         if (slot ? type.count > sizeMax / slot : type.count > emptyValuesMax)
            return fail("an array is too large");
         if (slot == 0 && (type.values += type.count * element.values) > emptyValuesMax)
            return fail("an array is too large");
         type.areaSize = type.bodyMin = static_cast<std::uint32_t>(type.count * slot);
         type.isFixed = element.isFixed;
         type.anyBytes = element.anyBytes;
         type.size = type.isFixed ? type.areaSize : 4;
         return true;
      }
      case Kind::custom: {
         const Type& content = types[type.children[0]];
         type.isFixed = content.isFixed;
         type.anyBytes = content.anyBytes;
         type.isContainer = content.isContainer;
         type.emptyAllowed = content.emptyAllowed;
         type.size = content.size;
         type.bodyMin = content.bodyMin;
         type.areaSize = content.areaSize;
         type.values = content.values;
         return true;
      }
      case Kind::object:
      case Kind::structure:
         break;
      }
      bool allFixed = true;
      type.anyBytes = true;
      type.offsets.assign(1, 0);
      std::uint64_t offset = 0;
      for (std::size_t i = 0; i < type.children.size(); ++i) {
         const Type& member = types[type.children[i]];
         allFixed &= member.isFixed;
         type.anyBytes &= member.anyBytes;
         if (types[withoutCustom(type.children[i])].kind != Kind::option)
            type.required = static_cast<std::uint32_t>(i + 1);
         offset += member.size;
         type.values = std::min(type.values + member.values, emptyValuesMax + 1);
         if (offset > sizeMax)
            return fail("a struct is too large");
         type.offsets.push_back(static_cast<std::uint32_t>(offset));
      }
      type.areaSize = static_cast<std::uint32_t>(offset);
      type.areaMin = type.offsets[type.required];
      if (type.kind == Kind::object) {
         if (offset > 65535)
            return fail("an object's fixed area is larger than 65535 bytes");
         type.anyBytes = false;
         type.bodyMin = 2 + type.areaMin;
      } else {
         type.isFixed = allFixed;
         type.anyBytes &= allFixed;
         type.bodyMin = type.areaSize;
         if (allFixed)
            type.size = type.areaSize;
      }
      return true;
   }

   bool isByte(TypeId id) const { return types[id].kind == Kind::integer && types[id].bits == 8; }

   bool isU64(const Type& type) const { return type.kind == Kind::integer && type.bits == 64 && !type.isSigned; }

   bool matches(Custom custom, const Type& plain) const {
      const auto wraps = [&](const auto& accepts) {
         return accepts(plain) ||
                (plain.kind == Kind::structure && plain.children.size() == 1 && accepts(types[plain.plain[0]]));
      };
      switch (custom) {
      case Custom::none:
         return true;
      case Custom::boolean:
         return plain.kind == Kind::integer && plain.bits == 1 && !plain.isSigned;
      case Custom::string:
         return plain.kind == Kind::list && isByte(plain.plain[0]);
      case Custom::hex:
         return plain.isFixed || plain.kind == Kind::nested ||
                (plain.kind == Kind::list && types[plain.plain[0]].isFixed && types[plain.plain[0]].size > 0);
      case Custom::map: {
         if (plain.kind != Kind::list)
            return false;
         const Type& entry = types[plain.plain[0]];
         return (entry.kind == Kind::object || entry.kind == Kind::structure) && entry.children.size() == 2;
      }
      case Custom::timeSec:
      case Custom::timeUSec:
         return wraps([](const Type& type) { return type.kind == Kind::integer && type.bits > 1; });
      case Custom::account:
      case Custom::method:
         return wraps([&](const Type& type) { return isU64(type); });
      }
      return false;
   }

   // --- Reading ------------------------------------------------------------------------------------------------------
   // Paths are put together from the inside out, when an error unwinds.

   static bool at(DynamicError& where, std::string_view name) {
      where.path = where.path.empty() || where.path[0] == '[' ? std::string(name) + where.path
                                                              : std::string(name) + '.' + where.path;
      return false;
   }
   static bool at(DynamicError& where, std::uint64_t index) { return at(where, '[' + std::to_string(index) + ']'); }
   std::string memberName(const Type& type, std::size_t i) const {
      return type.isTuple ? '[' + std::to_string(i) + ']' : type.names[i];
   }

   bool read(Reader& reader, TypeId id, std::uint32_t position, DynamicError& where) const {
      const Type& type = types[id];
      if (type.isFixed)
         return readFixed(reader, type, position, where);
      switch (type.kind) {
      case Kind::custom:
         return read(reader, type.plain[0], position, where);
      case Kind::list:
         return readList(reader, type, position, where);
      case Kind::option: {
         if (reader.end - position < 4)
            return reader.fail(FracRule::truncated, position);
         if (++reader.depth > fracDepthMax)
            return reader.fail(FracRule::tooDeep, position);
         reader.heap = position + 4;
         reader.known = true;
         const bool fine = readOptionSlot(reader, type, position, where);
         --reader.depth;
         return fine;
      }
      case Kind::variant: {
         if (reader.end - position < 5)
            return reader.fail(FracRule::truncated, position);
         const std::uint8_t tag = reader.data[position];
         const std::uint32_t size = load32(reader.data + position + 1);
         if (tag >= type.children.size() || tag > 127)
            return reader.fail(FracRule::badTag, position);
         if (size > reader.end - position - 5)
            return reader.fail(FracRule::truncated, position + 1);
         if (++reader.depth > fracDepthMax)
            return reader.fail(FracRule::tooDeep, position);
         if (!readContained(reader, type.plain[tag], position + 5, size, where))
            return at(where, type.names[tag]);
         --reader.depth;
         return true;
      }
      case Kind::nested: {
         if (reader.end - position < 4)
            return reader.fail(FracRule::truncated, position);
         const std::uint32_t size = load32(reader.data + position);
         if (size > reader.end - position - 4)
            return reader.fail(FracRule::truncated, position);
         if (++reader.depth > fracDepthMax)
            return reader.fail(FracRule::tooDeep, position);
         if (!readContained(reader, type.plain[0], position + 4, size, where))
            return false;
         --reader.depth;
         return true;
      }
      case Kind::array:
      case Kind::structure: {
         if (reader.end - position < type.areaSize)
            return reader.fail(FracRule::truncated, position);
         if (++reader.depth > fracDepthMax)
            return reader.fail(FracRule::tooDeep, position);
         reader.heap = position + type.areaSize;
         reader.known = true;
         if (type.kind == Kind::array) {
            const TypeId element = type.plain[0];
            for (std::uint64_t i = 0; i < type.count; ++i, position += types[element].size)
               if (!readSlot(reader, element, position, where))
                  return at(where, i);
         } else {
            for (std::size_t i = 0; i < type.plain.size(); ++i)
               if (!readSlot(reader, type.plain[i], position + type.offsets[i], where))
                  return at(where, memberName(type, i));
         }
         --reader.depth;
         return true;
      }
      case Kind::object:
         return readObject(reader, type, position, where);
      case Kind::integer:
      case Kind::floating:
         break;
      }
      ASSERT(false);
      return false;
   }

   bool readFixed(Reader& reader, const Type& type, std::uint32_t position, DynamicError& where) const {
      if (type.anyBytes)
         return true;
      switch (type.kind) {
      case Kind::custom:
         return readFixed(reader, types[type.plain[0]], position, where);
      case Kind::integer:
         return reader.data[position] <= 1 || reader.fail(FracRule::badBool, position);
      case Kind::array: {
         const Type& element = types[type.plain[0]];
         for (std::uint64_t i = 0; i < type.count; ++i, position += element.size)
            if (!readFixed(reader, element, position, where))
               return at(where, i);
         return true;
      }
      default:
         for (std::size_t i = 0; i < type.plain.size(); ++i)
            if (!readFixed(reader, types[type.plain[i]], position + type.offsets[i], where))
               return at(where, memberName(type, i));
         return true;
      }
   }

   /// As frac::readBody.
   bool readBody(Reader& reader, TypeId id, std::uint32_t position, DynamicError& where) const {
      const Type& type = types[id];
      if (type.isFixed) {
         if (reader.end - position < type.size)
            return reader.fail(FracRule::truncated, position);
         reader.heap = position + type.size;
         reader.known = true;
      }
      return read(reader, id, position, where);
   }

   bool readThrough(Reader& reader, TypeId id, std::uint32_t slot, std::uint32_t word, DynamicError& where) const {
      const Type& type = types[id];
      if (type.isContainer && word == 0)
         return type.emptyAllowed || reader.fail(FracRule::badOffset, slot);
      std::uint32_t target;
      if (!reader.follow(slot, word, target))
         return false;
      if (type.isContainer && reader.end - target >= 4 && load32(reader.data + target) == 0)
         return reader.fail(FracRule::emptyThroughOffset, slot);
      return readBody(reader, id, target, where);
   }

   bool readOptionSlot(Reader& reader, const Type& type, std::uint32_t slot, DynamicError& where) const {
      const std::uint32_t word = load32(reader.data + slot);
      return word == 1 || readThrough(reader, type.plain[0], slot, word, where);
   }

   bool readSlot(Reader& reader, TypeId id, std::uint32_t slot, DynamicError& where) const {
      const Type& type = types[id];
      if (type.isFixed)
         return readFixed(reader, type, slot, where);
      if (type.kind == Kind::option)
         return readOptionSlot(reader, type, slot, where);
      return readThrough(reader, id, slot, load32(reader.data + slot), where);
   }

   bool readContained(Reader& reader, TypeId id, std::uint32_t position, std::uint32_t size,
                      DynamicError& where) const {
      const std::uint32_t outerEnd = reader.end;
      reader.end = position + size;
      if (!readBody(reader, id, position, where))
         return false;
      if (reader.known && reader.heap != reader.end)
         return reader.fail(FracRule::badContentSize, position);
      reader.heap = reader.end;
      reader.end = outerEnd;
      reader.known = true;
      return true;
   }

   bool readList(Reader& reader, const Type& type, std::uint32_t position, DynamicError& where) const {
      const Type& element = types[type.plain[0]];
      if (reader.end - position < 4)
         return reader.fail(FracRule::truncated, position);
      const std::uint32_t bytes = load32(reader.data + position);
      const std::uint32_t begin = position + 4;
      if (bytes > reader.end - begin)
         return reader.fail(FracRule::truncated, position);
      if (element.size == 0 ? bytes : bytes % element.size)
         return reader.fail(FracRule::badListSize, position);
      const std::uint32_t stop = begin + bytes;
      reader.heap = stop;
      reader.known = true;
      if (element.anyBytes)
         return true;
      for (std::uint32_t slot = begin; slot != stop; slot += element.size)
         if (!readSlot(reader, type.plain[0], slot, where))
            return at(where, (slot - begin) / element.size);
      return true;
   }

   bool readObject(Reader& reader, const Type& type, std::uint32_t position, DynamicError& where) const {
      if (reader.end - position < 2)
         return reader.fail(FracRule::truncated, position);
      const std::uint32_t area = load16(reader.data + position);
      const std::uint32_t fixed = position + 2;
      if (area > reader.end - fixed)
         return reader.fail(FracRule::truncated, position);
      if (area < type.areaSize && (area < type.areaMin || (area - type.areaMin) % 4))
         return reader.fail(FracRule::badFixedArea, position);
      if (++reader.depth > fracDepthMax)
         return reader.fail(FracRule::tooDeep, position);
      reader.heap = fixed + area;
      reader.known = true;
      for (std::size_t i = 0; i < type.plain.size(); ++i) {
         if (i >= type.required && type.offsets[i] >= area)
            break;
         if (!readSlot(reader, type.plain[i], fixed + type.offsets[i], where))
            return at(where, memberName(type, i));
      }
      if (area > type.areaSize && !reader.extension(fixed + type.areaSize, fixed + area))
         return false;
      if (area > type.areaMin && load32(reader.data + fixed + area - 4) == 1)
         return reader.fail(FracRule::trailingNone, fixed + area - 4);
      --reader.depth;
      return true;
   }

   /// The whole of `bytes` as one value.
   bool readAll(Reader& reader, TypeId id, ByteView bytes, DynamicError& where) const {
      bool fine = false;
      if (bytes.size() <= std::numeric_limits<std::uint32_t>::max()) {
         reader.data = bytes.data();
         reader.end = static_cast<std::uint32_t>(bytes.size());
         fine = readBody(reader, withoutCustom(id), 0, where) &&
                (!reader.known || reader.heap == reader.end || reader.fail(FracRule::trailingBytes, reader.heap));
      } else {
         reader.fail(FracRule::truncated, 0);
      }
      if (!fine) {
         where.rule = reader.rule;
         where.offset = reader.errorAt;
      }
      return fine;
   }

   // --- Walking valid bytes ------------------------------------------------------------------------------------------

   /// Where the body of the member with the slot at `slot` is; null for an absent or empty one.
   static const std::uint8_t* bodyOf(const std::uint8_t* slot) {
      const std::uint32_t word = load32(slot);
      return word < 4 ? nullptr : slot + word;
   }

   std::uint64_t loadUnsigned(const Type& type, const std::uint8_t* at) const {
      std::uint64_t value = 0;
      std::memcpy(&value, at, type.size);
      return value;
   }
   std::int64_t loadSigned(const Type& type, const std::uint8_t* at) const {
      if (type.bits == 1)
         return -std::int64_t{*at};
      const std::uint64_t raw = loadUnsigned(type, at);
      const unsigned unused = 64 - type.bits;
      return static_cast<std::int64_t>(raw << unused) >> unused;
   }

   /// One member of a struct, array or list whose slot is at `slot`.
   void jsonOfSlot(JsonWriter& writer, TypeId id, const std::uint8_t* slot) const {
      const Type& plain = types[withoutCustom(id)];
      if (plain.isFixed)
         return jsonOf(writer, id, slot);
      if (plain.kind == Kind::option)
         return jsonOfOption(writer, plain, slot);
      jsonOf(writer, id, bodyOf(slot));
   }

   void jsonOfOption(JsonWriter& writer, const Type& option, const std::uint8_t* slot) const {
      const std::uint32_t word = load32(slot);
      if (word == 1)
         writer.null();
      else
         jsonOf(writer, option.children[0], word ? slot + word : nullptr);
   }

   /// The body at `body`; null for an empty container.
   void jsonOf(JsonWriter& writer, TypeId id, const std::uint8_t* body) const {
      const Type& type = types[id];
      switch (type.kind) {
      case Kind::custom:
         return jsonOfCustom(writer, type, body);
      case Kind::integer:
         if (type.isSigned)
            writer.signedInteger(loadSigned(type, body), type.bits == 64);
         else
            writer.unsignedInteger(loadUnsigned(type, body), type.bits == 64);
         return;
      case Kind::floating:
         if (type.bits == 32)
            writer.number(std::bit_cast<float>(load32(body)));
         else
            writer.number(std::bit_cast<double>(loadUnsigned(type, body)));
         return;
      case Kind::list:
         writer.beginArray();
         if (body) {
            const std::uint32_t bytes = load32(body), slot = types[type.children[0]].size;
            for (std::uint32_t at = 0; at < bytes; at += slot)
               jsonOfSlot(writer, type.children[0], body + 4 + at);
         }
         writer.endArray();
         return;
      case Kind::array:
         writer.beginArray();
         for (std::uint64_t i = 0; i < type.count; ++i)
            jsonOfSlot(writer, type.children[0], body + i * types[type.children[0]].size);
         writer.endArray();
         return;
      case Kind::option:
         return jsonOfOption(writer, type, body);
      case Kind::variant: {
         const std::string& name = type.names[*body];
         if (json::isUntagged(name))
            return jsonOfTop(writer, type.children[*body], body + 5);
         writer.beginObject();
         writer.key(name);
         jsonOfTop(writer, type.children[*body], body + 5);
         writer.endObject();
         return;
      }
      case Kind::nested:
         return jsonOfTop(writer, type.children[0], body ? body + 4 : nullptr);
      case Kind::object:
      case Kind::structure: {
         const bool isObject = type.kind == Kind::object;
         const std::uint32_t area = isObject ? load16(body) : type.areaSize;
         const std::uint8_t* fixed = body + (isObject ? 2 : 0);
         if (type.isTuple)
            writer.beginArray();
         else
            writer.beginObject();
         for (std::size_t i = 0; i < type.children.size(); ++i) {
            if (!type.isTuple)
               writer.key(type.names[i]);
            if (isObject && i >= type.required && type.offsets[i] >= area)
               writer.null();
            else
               jsonOfSlot(writer, type.children[i], fixed + type.offsets[i]);
         }
         if (type.isTuple)
            writer.endArray();
         else
            writer.endObject();
         return;
      }
      }
   }

   /// A complete value: of a list or nested value with its size word, which may be zero.
   void jsonOfTop(JsonWriter& writer, TypeId id, const std::uint8_t* body) const { jsonOf(writer, id, body); }

   /// The bytes that a hexadecimal custom shows.
   ByteView hexBytes(const Type& plain, const std::uint8_t* body) const {
      if (plain.isFixed)
         return {body, plain.size};
      return body ? ByteView(body + 4, load32(body)) : ByteView();
   }

   void jsonOfCustom(JsonWriter& writer, const Type& type, const std::uint8_t* body) const {
      const Type& plain = types[type.plain[0]];
      switch (type.custom) {
      case Custom::none:
         return jsonOf(writer, type.children[0], body);
      case Custom::boolean:
         return writer.boolean(*body != 0);
      case Custom::string:
         return writer.string(asText(hexBytes(plain, body)));
      case Custom::hex:
         return writer.hex(hexBytes(plain, body));
      case Custom::timeSec:
         return writer.string(timeText(TimePointSec{timeOf(plain, body)}));
      case Custom::timeUSec:
         return writer.string(timeText(TimePointUSec{timeOf(plain, body)}));
      case Custom::account:
         return writer.string(AccountNumber(wordOf(body)).str());
      case Custom::method:
         return writer.string(MethodNumber(wordOf(body)).str());
      case Custom::map: {
         writer.beginObject();
         if (body) {
            const Type& entry = types[plain.plain[0]];
            for (std::uint32_t at = 0; at < load32(body); at += entry.size) {
               const std::uint8_t* slot = body + 4 + at;
               const std::uint8_t* fixed = entry.isFixed ? slot : bodyOf(slot) + (entry.kind == Kind::object ? 2 : 0);
               const std::uint32_t area = entry.kind == Kind::object ? load16(fixed - 2) : entry.areaSize;
               writer.key(keyText(entry, fixed, area));
               if (entry.offsets[1] >= area && entry.kind == Kind::object && entry.required < 2)
                  writer.null();
               else
                  jsonOfSlot(writer, entry.children[1], fixed + entry.offsets[1]);
            }
         }
         writer.endObject();
         return;
      }
      }
   }

   /// The JSON of a map's key, as text.
   std::string keyText(const Type& entry, const std::uint8_t* fixed, std::uint32_t area) const {
      std::string json;
      JsonWriter writer(json);
      if (entry.kind == Kind::object && entry.required < 1 && area == 0)
         writer.null();
      else
         jsonOfSlot(writer, entry.children[0], fixed);
      if (!json.starts_with('"'))
         return json;
      JsonReader reader(json);
      return std::string(reader.text());
   }

   static std::uint64_t wordOf(const std::uint8_t* body) {
      std::uint64_t value;
      std::memcpy(&value, body, sizeof value);
      return value;
   }
   /// Times are integers, or structs of one.
   const Type& timeType(const Type& plain) const { return plain.kind == Kind::integer ? plain : types[plain.plain[0]]; }
   std::int64_t timeOf(const Type& plain, const std::uint8_t* body) const {
      const Type& integer = timeType(plain);
      return integer.isSigned ? loadSigned(integer, body) : static_cast<std::int64_t>(loadUnsigned(integer, body));
   }

   // --- Packing JSON -------------------------------------------------------------------------------------------------

   using Mark = JsonReader::Mark;
   static constexpr Mark absent{std::numeric_limits<std::uint64_t>::max()};
   static constexpr std::size_t appended = std::numeric_limits<std::size_t>::max(); ///< in the place of an offset

   /// The text that is read, and how deep packing is in it: types can nest where the text does not.
   class Input {
   public:
      /// before: bytes that the output has already.
      explicit Input(JsonReader& reader, std::size_t before = 0)
         : reader_(reader), bytesMax_(before + packedMultipleMax * reader.size() + packedExtraMax) {}
      JsonReader* operator->() { return &reader_; }

      /// Makes room for so many more bytes; fails where a type asks for much more than the text can hold.
      bool grow(Bytes& out, std::size_t bytes) {
         if (bytes > bytesMax_ || out.size() > bytesMax_ - bytes)
            return reader_.fail("the value is too large for its text");
         out.resize(out.size() + bytes);
         return true;
      }

      bool enter() { return ++nesting_ <= jsonDepthMax || reader_.fail("nested too deeply"); }
      void leave() { --nesting_; }

   private:
      JsonReader& reader_;
      std::size_t bytesMax_;
      unsigned nesting_ = 0;
   };

   /// Appends the complete value; of a fixed-size type its bytes.
   bool pack(Input& reader, TypeId id, Bytes& out) const {
      const Type& type = types[id];
      if (type.isFixed) {
         const std::size_t at = out.size();
         return reader.grow(out, type.size) && packFixed(reader, id, out, at);
      }
      if (!reader.enter())
         return false;
      const bool fine = packVariable(reader, id, type, out);
      reader.leave();
      return fine;
   }

   bool packVariable(Input& reader, TypeId id, const Type& type, Bytes& out) const {
      switch (type.kind) {
      case Kind::custom:
         return packCustom(reader, type, out);
      case Kind::option: {
         const std::size_t slot = out.size();
         return reader.grow(out, 4) && packSlot(reader, id, out, slot);
      }
      case Kind::list:
         return packList(reader, type, out);
      case Kind::array: {
         const std::size_t at = out.size();
         return reader.grow(out, type.areaSize) && packElements(reader, type, out, at);
      }
      case Kind::variant:
         return packVariant(reader, type, out);
      case Kind::nested:
         return packNested(reader, type.children[0], out);
      case Kind::object:
      case Kind::structure:
         return packMembers(reader, type, out, appended);
      case Kind::integer:
      case Kind::floating:
         break;
      }
      ASSERT(false);
      return false;
   }

   /// Writes a member whose slot at `slot` is there already; its body goes to the end of `out`.
   bool packSlot(Input& reader, TypeId id, Bytes& out, std::size_t slot) const {
      const Type& type = types[id];
      if (type.isFixed)
         return packFixed(reader, id, out, slot);
      TypeId content = id;
      if (const Type& plain = types[withoutCustom(id)]; plain.kind == Kind::option) {
         if (reader->token() == JsonToken::null) {
            reader->advance();
            store32(out.data() + slot, 1);
            return true;
         }
         content = plain.children[0];
      }
      const std::size_t body = out.size();
      if (!pack(reader, content, out))
         return false;
      link(content, out, slot, body);
      return true;
   }

   /// Points the slot to the body that was appended, and drops it if it is an empty container.
   void link(TypeId id, Bytes& out, std::size_t slot, std::size_t body) const {
      if (types[id].isContainer && load32(out.data() + body) == 0) {
         out.resize(body);
         store32(out.data() + slot, 0);
      } else {
         store32(out.data() + slot, body - slot);
      }
   }

   bool packFixed(Input& reader, TypeId id, Bytes& out, std::size_t at) const {
      const Type& type = types[id];
      switch (type.kind) {
      case Kind::custom:
         return packFixedCustom(reader, type, out, at);
      case Kind::integer:
      case Kind::floating:
         return packNumber(reader, type, out.data() + at);
      case Kind::array:
         return packElements(reader, type, out, at);
      default:
         return packMembers(reader, type, out, at);
      }
   }

   bool packNumber(Input& reader, const Type& type, std::uint8_t* at) const {
      if (type.kind == Kind::integer)
         return packInteger(reader, type, at);
      if (type.bits == 32) {
         float value;
         if (!reader->takeFloat(value))
            return false;
         std::memcpy(at, &value, sizeof value);
      } else {
         double value;
         if (!reader->takeDouble(value))
            return false;
         std::memcpy(at, &value, sizeof value);
      }
      return true;
   }

   bool packInteger(Input& reader, const Type& type, std::uint8_t* at) const {
      std::uint64_t raw;
      if (type.isSigned) {
         const std::int64_t min = std::numeric_limits<std::int64_t>::min() >> (64 - type.bits);
         std::int64_t value;
         if (!reader->takeSigned(value, min, type.bits == 1 ? 0 : -(min + 1)))
            return false;
         raw = type.bits == 1 ? static_cast<std::uint64_t>(-value) : static_cast<std::uint64_t>(value);
      } else if (!reader->takeUnsigned(raw, ~std::uint64_t{0} >> (64 - type.bits))) {
         return false;
      }
      std::memcpy(at, &raw, type.size);
      return true;
   }

   /// The elements of an array, whose fixed area is at `at`.
   bool packElements(Input& reader, const Type& type, Bytes& out, std::size_t at) const {
      if (!reader->expect(JsonToken::beginArray, "["))
         return false;
      const TypeId element = type.children[0];
      for (std::uint64_t i = 0; i < type.count; ++i) {
         if (reader->token() == JsonToken::endArray)
            return reader->fail("the array has too few elements");
         if (!packSlot(reader, element, out, at + i * types[element].size))
            return false;
      }
      return reader->expect(JsonToken::endArray, "] after the last element");
   }

   bool packList(Input& reader, const Type& type, Bytes& out) const {
      const TypeId element = type.children[0];
      const std::uint32_t slot = types[element].size;
      const std::size_t count = reader->count();
      if (!reader->expect(JsonToken::beginArray, "["))
         return false;
      if (slot == 0 && count)
         return reader->fail("elements of this type have no bytes");
      if (count * std::uint64_t{slot} > sizeMax)
         return reader->fail("the list is too long");
      const Kind kind = types[element].kind, plain = types[withoutCustom(element)].kind;
      const bool isNumber = kind == Kind::integer || kind == Kind::floating;
      const bool isObject = plain == Kind::object || plain == Kind::structure;
      if (!isNumber && !reader->claim(count, isObject ? claimedByObject : claimedByValue))
         return false;
      if (isNumber && count) { // room is made for all of them when the first is good
         const Mark first = reader->mark();
         std::uint8_t trial[8];
         if (!packNumber(reader, types[element], trial))
            return false;
         reader->rewind(first);
      }
      const std::size_t start = out.size();
      if (!reader.grow(out, 4 + count * slot))
         return false;
      store32(out.data() + start, count * slot);
      if (isNumber) { // nothing else is appended
         std::uint8_t* const at = out.data() + start + 4;
         const bool isDouble = kind == Kind::floating && slot == sizeof(double);
         for (std::size_t i = isDouble ? reader->takeDoubles(at, count) : 0; i < count;) {
            if (!packNumber(reader, types[element], at + i * slot))
               return false;
            ++i;
            if (isDouble)
               i += reader->takeDoubles(at + i * slot, count - i);
         }
      } else {
         for (std::size_t i = 0; i < count; ++i)
            if (!packSlot(reader, element, out, start + 4 + i * slot))
               return false;
      }
      reader->advance();
      return true;
   }

   bool packVariant(Input& reader, const Type& type, Bytes& out) const {
      std::size_t tag = 0;
      const bool tagged = reader->token() == JsonToken::beginObject;
      if (tagged) {
         reader->advance();
         if (reader->token() != JsonToken::key)
            return reader->fail("expected the name of an alternative");
         const std::string_view name = reader->text();
         while (tag < type.names.size() && (type.names[tag] != name || json::isUntagged(name)))
            ++tag;
         if (tag == type.names.size())
            return reader->fail("no such alternative");
         reader->advance();
      } else {
         while (tag < type.names.size() && !json::isUntagged(type.names[tag]))
            ++tag;
         if (tag == type.names.size())
            return reader->fail("expected {\"type\": value}");
      }
      const std::size_t start = out.size();
      if (!reader.grow(out, 5))
         return false;
      out[start] = static_cast<std::uint8_t>(tag);
      if (!pack(reader, type.children[tag], out))
         return false;
      store32(out.data() + start + 1, out.size() - start - 5);
      return !tagged || reader->expect(JsonToken::endObject, "} after the alternative");
   }

   bool packNested(Input& reader, TypeId content, Bytes& out) const {
      const std::size_t start = out.size();
      if (!reader.grow(out, 4) || !pack(reader, content, out))
         return false;
      store32(out.data() + start, out.size() - start - 4);
      return true;
   }

   /// A struct whose fixed area is at `at`, or a value that is `appended`.
   bool packMembers(Input& reader, const Type& type, Bytes& out, std::size_t at) const {
      // First find every member's last value; then pack in order, for bodies lie in the order of the members.
      const std::size_t count = type.children.size();
      constexpr std::size_t fewMembers = 16; // as many need no allocation
      std::array<Mark, fewMembers> few;
      std::vector<Mark> many;
      if (count > fewMembers)
         many.resize(count);
      const std::span<Mark> marks(count > fewMembers ? many.data() : few.data(), count);
      std::ranges::fill(marks, absent);
      bool single = false; // a tuple given as its first member
      if (type.isTuple) {
         if (reader->token() == JsonToken::null) {
            reader->advance();
         } else if (reader->token() == JsonToken::beginArray) {
            reader->advance();
            for (std::size_t i = 0; reader->token() != JsonToken::endArray; ++i) {
               if (i == count)
                  return reader->fail("the tuple has too many elements");
               marks[i] = reader->mark();
               reader->skip();
            }
            reader->advance();
         } else if (count == 0 || reader->token() == JsonToken::end) {
            return reader->fail("expected [");
         } else {
            marks[0] = reader->mark();
            single = true;
         }
      } else {
         if (!reader->expect(JsonToken::beginObject, "{"))
            return false;
         for (std::size_t next = 0; reader->token() == JsonToken::key;) {
            const std::string_view name = reader->text();
            reader->advance();
            std::size_t i = next;
            if (i >= count || type.names[i] != name)
               for (i = 0; i < count && type.names[i] != name;)
                  ++i;
            if (i < count) {
               marks[i] = reader->mark();
               next = i + 1;
            }
            reader->skip();
         }
         if (!reader->expect(JsonToken::endObject, "}"))
            return false;
      }
      if (single)
         reader->skip();
      const Mark behind = reader->mark();

      const bool isObject = type.kind == Kind::object;
      std::size_t written = count;
      if (isObject)
         while (written > type.required && !isPresent(reader, marks[written - 1]))
            --written;
      const std::uint32_t area = type.offsets[written];
      if (at == appended) {
         at = out.size();
         if (!reader.grow(out, area + (isObject ? 2u : 0u)))
            return false;
         if (isObject) {
            store16(out.data() + at, area);
            at += 2;
         }
      }
      for (std::size_t i = 0; i < written; ++i) {
         const std::size_t slot = at + type.offsets[i];
         if (marks[i] == absent) {
            if (!packMissing(reader, type, i, out, slot))
               return false;
         } else {
            reader->rewind(marks[i]);
            if (!packSlot(reader, type.children[i], out, slot))
               return false;
         }
      }
      reader->rewind(behind);
      return true;
   }

   static bool isPresent(Input& reader, Mark mark) {
      if (mark == absent)
         return false;
      reader->rewind(mark);
      return reader->token() != JsonToken::null;
   }

   /// A member that the JSON does not name. A tuple's is the default; a struct's must be optional, a list or text.
   bool packMissing(Input& reader, const Type& type, std::size_t i, Bytes& out, std::size_t slot) const {
      const Type& member = types[type.plain[i]];
      if (!type.isTuple && member.kind != Kind::option && member.kind != Kind::list)
         return reader->fail("the member \"" + type.names[i] + "\" is missing");
      return packDefaultSlot(reader, type.plain[i], out, slot) || reader->fail("a missing value has no default");
   }

   bool packDefaultSlot(Input& reader, TypeId id, Bytes& out, std::size_t slot, unsigned nesting = 0) const {
      const Type& type = types[id];
      if (type.isFixed)
         return true; // zeros
      if (type.kind == Kind::option) {
         store32(out.data() + slot, 1);
         return true;
      }
      const std::size_t body = out.size();
      if (!packDefault(reader, id, out, nesting))
         return false;
      link(id, out, slot, body);
      return true;
   }

   bool packDefault(Input& reader, TypeId id, Bytes& out, unsigned nesting) const {
      const Type& type = types[id];
      const std::size_t start = out.size();
      if (++nesting > defaultDepthMax || type.areaSize > defaultArrayMax)
         return false;
      switch (type.kind) {
      case Kind::list:
         return reader.grow(out, 4);
      case Kind::option:
         if (!reader.grow(out, 4))
            return false;
         store32(out.data() + start, 1);
         return true;
      case Kind::variant:
         if (type.plain.empty())
            return false;
         if (!reader.grow(out, 5) || !packDefault(reader, type.plain[0], out, nesting))
            return false;
         store32(out.data() + start + 1, out.size() - start - 5);
         return true;
      case Kind::nested:
         if (!reader.grow(out, 4) || !packDefault(reader, type.plain[0], out, nesting))
            return false;
         store32(out.data() + start, out.size() - start - 4);
         return true;
      case Kind::object: {
         if (!reader.grow(out, 2 + type.areaMin))
            return false;
         store16(out.data() + start, type.areaMin);
         for (std::size_t i = 0; i < type.required; ++i)
            if (!packDefaultSlot(reader, type.plain[i], out, start + 2 + type.offsets[i], nesting))
               return false;
         return true;
      }
      default:
         if (!reader.grow(out, type.areaSize))
            return false;
         if (type.isFixed)
            return true;
         if (type.kind == Kind::array) {
            for (std::uint64_t i = 0; i < type.count; ++i)
               if (!packDefaultSlot(reader, type.plain[0], out, start + i * types[type.plain[0]].size, nesting))
                  return false;
         } else {
            for (std::size_t i = 0; i < type.plain.size(); ++i)
               if (!packDefaultSlot(reader, type.plain[i], out, start + type.offsets[i], nesting))
                  return false;
         }
         return true;
      }
   }

   bool packFixedCustom(Input& reader, const Type& type, Bytes& out, std::size_t at) const {
      const Type& plain = types[type.plain[0]];
      std::string_view text;
      switch (type.custom) {
      case Custom::boolean:
         out[at] = reader->token() == JsonToken::boolean && reader->boolean();
         return reader->expect(JsonToken::boolean, "true or false");
      case Custom::hex: {
         if (!reader->takeHex(out.data() + at, plain.size))
            return false;
         Reader check{out.data(), static_cast<std::uint32_t>(out.size())};
         DynamicError where;
         return readFixed(check, plain, static_cast<std::uint32_t>(at), where) ||
                reader->fail("the bytes are no value of their type");
      }
      case Custom::account:
      case Custom::method: {
         if (!reader->takeText(text, "a name"))
            return false;
         const std::uint64_t value =
             type.custom == Custom::account ? AccountNumber(text).value : MethodNumber(text).value;
         std::memcpy(out.data() + at, &value, sizeof value);
         return true;
      }
      case Custom::timeSec:
      case Custom::timeUSec:
         return packTime(reader, type.custom, timeType(plain), out.data() + at);
      default:
         return packFixed(reader, type.children[0], out, at);
      }
   }

   bool packTime(Input& reader, Custom custom, const Type& integer, std::uint8_t* at) const {
      std::string_view text;
      if (!reader->takeText(text, "a time"))
         return false;
      std::int64_t value;
      if (custom == Custom::timeSec) {
         const auto time = parseTimeSec(text);
         if (!time)
            return reader->fail("expected a time such as 2024-02-29T12:00:00Z");
         value = time->seconds;
      } else {
         const auto time = parseTimeUSec(text);
         if (!time)
            return reader->fail("expected a time such as 2024-02-29T12:00:00Z");
         value = time->microseconds;
      }
      std::memcpy(at, &value, integer.size);
      const bool fits = integer.isSigned ? loadSigned(integer, at) == value
                                         : value >= 0 && loadUnsigned(integer, at) == static_cast<std::uint64_t>(value);
      return fits || reader->fail("the time is out of range");
   }

   bool packCustom(Input& reader, const Type& type, Bytes& out) const {
      const Type& plain = types[type.plain[0]];
      switch (type.custom) {
      case Custom::string: {
         std::string_view text;
         if (!reader->takeText(text, "a string"))
            return false;
         appendSized(out, asBytes(text));
         return true;
      }
      case Custom::hex: {
         Bytes bytes;
         if (!reader->takeHex(bytes))
            return false;
         const std::size_t start = out.size();
         appendSized(out, bytes);
         Reader check{nullptr, 0};
         DynamicError where;
         // A list's size word is its own; that of a nested value too.
         return readAll(check, type.plain[0], ByteView(out).subspan(start), where) ||
                reader->fail("the bytes are no value of their type");
      }
      case Custom::map:
         return packMap(reader, plain, out);
      default:
         return pack(reader, type.children[0], out);
      }
   }

   static void appendSized(Bytes& out, ByteView bytes) {
      std::uint8_t size[4];
      store32(size, bytes.size());
      append(out, size);
      append(out, bytes);
   }

   /// A std::map, whose entries are first and second, goes in ascending order of its keys; any other list of pairs in
   /// the order of the text. Of repeated keys the last counts.
   bool packMap(Input& reader, const Type& list, Bytes& out) const {
      const TypeId entryId = list.plain[0];
      const Type& entry = types[entryId];
      // Keys as they are packed, and the order-preserving ones, each kind in one piece.
      struct Entry {
         std::uint64_t prefix; ///< the first bytes of its order-preserving key, as a number
         std::uint32_t key, keyEnd, order, orderEnd;
         Mark value;
      };
      const auto sizeOf = [](const Bytes& bytes) { return static_cast<std::uint32_t>(bytes.size()); };
      Bytes keys, orders;
      std::vector<Entry> entries;
      const std::size_t count = reader->count();
      if (!reader->expect(JsonToken::beginObject, "{") || !reader->claim(count, claimedByEntry))
         return false;
      entries.reserve(count);
      while (reader->token() == JsonToken::key) {
         Entry& added = entries.emplace_back(Entry{0, sizeOf(keys), 0, sizeOf(orders), 0, absent});
         if (!packKey(reader, entry.children[0], keys))
            return false;
         keyOfTop(orders, entry.plain[0], keys.data() + added.key);
         added.keyEnd = sizeOf(keys);
         added.orderEnd = sizeOf(orders);
         for (std::uint32_t i = 0; i < sizeof added.prefix; ++i)
            added.prefix = added.prefix << 8 | (added.order + i < added.orderEnd ? orders[added.order + i] : 0u);
         added.value = reader->mark();
         reader->skip();
      }
      if (!reader->expect(JsonToken::endObject, "}"))
         return false;
      const Mark behind = reader->mark();

      // Of equal keys the first keeps its place and the last its value.
      const auto order = [&](const Entry& e) { return ByteView(orders).subspan(e.order, e.orderEnd - e.order); };
      const auto isLess = [&](const Entry& a, const Entry& b) {
         if (a.prefix != b.prefix)
            return a.prefix < b.prefix;
         const ByteView left = order(a), right = order(b);
         const auto compared =
             std::lexicographical_compare_three_way(left.begin(), left.end(), right.begin(), right.end());
         return compared != 0 ? compared < 0 : a.key < b.key;
      };
      if (!std::ranges::is_sorted(entries, isLess))
         std::ranges::sort(entries, isLess);
      std::size_t kept = 0;
      for (const Entry& next : entries) {
         if (kept && std::ranges::equal(order(entries[kept - 1]), order(next)))
            entries[kept - 1].value = next.value;
         else
            entries[kept++] = next;
      }
      entries.resize(kept);
      if (entry.names.size() != 2 || entry.names[0] != "first" || entry.names[1] != "second")
         std::ranges::sort(entries, {}, &Entry::key);

      const std::size_t start = out.size();
      if (!reader.grow(out, 4 + entries.size() * entry.size))
         return false;
      store32(out.data() + start, entries.size() * entry.size);
      for (std::size_t i = 0; i < entries.size(); ++i) {
         const std::size_t slot = start + 4 + i * entry.size;
         reader->rewind(entries[i].value);
         const ByteView key = ByteView(keys).subspan(entries[i].key, entries[i].keyEnd - entries[i].key);
         if (!packEntry(reader, entry, key, out, slot))
            return false;
      }
      reader->rewind(behind);
      return true;
   }

   /// One pair of a map, whose slot is at `slot`; the reader stands at its value.
   bool packEntry(Input& reader, const Type& entry, ByteView key, Bytes& out, std::size_t slot) const {
      std::size_t fixed = slot;
      const bool isObject = entry.kind == Kind::object;
      const bool elided = isObject && entry.required < 2 && reader->token() == JsonToken::null;
      if (!entry.isFixed) {
         const std::size_t body = out.size();
         store32(out.data() + slot, body - slot);
         const std::uint32_t area = entry.offsets[elided ? 1 : 2];
         fixed = isObject ? body + 2 : body;
         if (!reader.grow(out, fixed - body + area))
            return false;
         if (isObject)
            store16(out.data() + body, area);
      }
      placeKey(entry.plain[0], key, out, fixed);
      if (elided) {
         reader->advance();
         return true;
      }
      return packSlot(reader, entry.children[1], out, fixed + entry.offsets[1]);
   }

   /// The key is read as the text that it is; types that are no text take it as they take any string.
   bool packKey(Input& reader, TypeId id, Bytes& out) const {
      reader->keyAsString();
      const bool subnormal = reader->allowSubnormal(false);
      const bool fine = pack(reader, id, out);
      reader->allowSubnormal(subnormal);
      return fine;
   }

   /// Puts a packed value into a slot.
   void placeKey(TypeId id, ByteView packed, Bytes& out, std::size_t slot) const {
      const Type& type = types[id];
      if (type.isFixed) {
         std::memcpy(out.data() + slot, packed.data(), packed.size());
         return;
      }
      if (type.kind == Kind::option) {
         // The packed form is the slot and then the body.
         const std::uint32_t word = load32(packed.data());
         const std::size_t body = out.size();
         append(out, packed.subspan(4));
         store32(out.data() + slot, word < 4 ? word : body - slot);
         return;
      }
      const std::size_t body = out.size();
      append(out, packed);
      link(id, out, slot, body);
   }

   // --- Keys ---------------------------------------------------------------------------------------------------------

   bool isOctet(const Type& plain) const { return plain.kind == Kind::integer && plain.size == 1; }

   void keyOfSlot(Bytes& out, TypeId id, const std::uint8_t* slot) const {
      const Type& type = types[id];
      if (type.isFixed)
         return keyOf(out, type, slot);
      if (type.kind == Kind::option)
         return keyOfOption(out, type, slot);
      keyOf(out, type, bodyOf(slot));
   }

   void keyOfTop(Bytes& out, TypeId id, const std::uint8_t* body) const { keyOf(out, types[id], body); }

   void keyOfNone(Bytes& out, const Type& content) const { out.insert(out.end(), isOctet(content) ? 2u : 1u, 0); }

   template <class Content>
   void keyOfSome(Bytes& out, const Type& content, const Content& write) const {
      if (!isOctet(content)) {
         out.push_back(1);
         write();
         return;
      }
      write();
      if (out.back() == 0)
         out.push_back(1);
   }

   void keyOfOption(Bytes& out, const Type& option, const std::uint8_t* slot) const {
      const Type& content = types[option.plain[0]];
      const std::uint32_t word = load32(slot);
      if (word == 1)
         return keyOfNone(out, content);
      keyOfSome(out, content, [&] { keyOf(out, content, word ? slot + word : nullptr); });
   }

   void keyOf(Bytes& out, const Type& type, const std::uint8_t* body) const {
      switch (type.kind) {
      case Kind::integer: {
         std::uint64_t value = loadUnsigned(type, body);
         if (type.isSigned)
            value ^= std::uint64_t{1} << (8 * type.size - 1);
         for (std::uint32_t i = type.size; i-- > 0;)
            out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
         return;
      }
      case Kind::floating:
         if (type.bits == 32)
            keys::appendScalar(out, std::bit_cast<float>(load32(body)));
         else
            keys::appendScalar(out, std::bit_cast<double>(loadUnsigned(type, body)));
         return;
      case Kind::list: {
         const Type& element = types[type.plain[0]];
         if (body)
            for (std::uint32_t at = 0; at < load32(body); at += element.size)
               keyOfSome(out, element, [&] { keyOfSlot(out, type.plain[0], body + 4 + at); });
         return keyOfNone(out, element);
      }
      case Kind::array:
         for (std::uint64_t i = 0; i < type.count; ++i)
            keyOfSlot(out, type.plain[0], body + i * types[type.plain[0]].size);
         return;
      case Kind::option:
         return keyOfOption(out, type, body);
      case Kind::variant:
         keys::appendVarUint(out, *body);
         return keyOfTop(out, type.plain[*body], body + 5);
      case Kind::nested:
         return keyOfTop(out, type.plain[0], body ? body + 4 : nullptr);
      case Kind::object:
      case Kind::structure: {
         const bool isObject = type.kind == Kind::object;
         const std::uint32_t area = isObject ? load16(body) : type.areaSize;
         const std::uint8_t* fixed = body + (isObject ? 2 : 0);
         for (std::size_t i = 0; i < type.plain.size(); ++i) {
            if (isObject && i >= type.required && type.offsets[i] >= area)
               keyOfNone(out, types[types[type.plain[i]].plain[0]]);
            else
               keyOfSlot(out, type.plain[i], fixed + type.offsets[i]);
         }
         return;
      }
      case Kind::custom:
         return keyOf(out, types[type.plain[0]], body);
      }
   }

   // --- Explaining ---------------------------------------------------------------------------------------------------

   static constexpr std::size_t lineBytesMax = 120;

   void line(std::string& out, const std::string& path, std::size_t offset, ByteView raw, std::string_view text) const {
      out += std::to_string(offset);
      out.append(out.size() % 8 ? 1 : 1, '\t');
      out += path.empty() ? "value" : path;
      out += '\t';
      out += raw.size() <= 16 ? toHex(raw) : toHex(raw.first(16)) + "… (" + std::to_string(raw.size()) + " bytes)";
      out += '\t';
      out += text.substr(0, lineBytesMax);
      if (text.size() > lineBytesMax)
         out += "…";
      out += '\n';
   }

   void explainSlot(std::string& out, const std::string& path, TypeId id, const std::uint8_t* start,
                    const std::uint8_t* slot) const {
      const Type& plain = types[withoutCustom(id)];
      if (plain.isFixed)
         return explainBody(out, path, id, start, slot, slot);
      const std::uint32_t word = load32(slot);
      const auto offset = static_cast<std::size_t>(slot - start);
      if (plain.kind == Kind::option) {
         if (word == 1)
            return line(out, path, offset, {slot, 4}, "absent");
         return explainBody(out, path, plain.children[0], start, word ? slot + word : nullptr, slot);
      }
      explainBody(out, path, id, start, word ? slot + word : nullptr, slot);
   }

   static std::string joined(const std::string& path, const std::string& name) {
      return path.empty() || name.starts_with('[') ? path + name : path + '.' + name;
   }

   void explainBody(std::string& out, const std::string& path, TypeId id, const std::uint8_t* start,
                    const std::uint8_t* body, const std::uint8_t* slot) const {
      const Type& type = types[id];
      const auto offset = static_cast<std::size_t>((body ? body : slot) - start);
      const bool shownAsNested = type.custom == Custom::hex && types[withoutCustom(id)].kind == Kind::nested;
      const bool opaque =
          type.kind == Kind::integer || type.kind == Kind::floating ||
          (type.kind == Kind::custom && type.custom != Custom::none && type.custom != Custom::map && !shownAsNested);
      if (opaque || !body) {
         std::string text;
         JsonWriter writer(text);
         jsonOf(writer, id, body);
         const Type& plain = types[withoutCustom(id)];
         const ByteView raw = !body           ? ByteView(slot, 4)
                              : plain.isFixed ? ByteView(body, plain.size)
                                              : ByteView(body, 4 + load32(body));
         return line(out, path, offset, raw, text);
      }
      switch (type.kind) {
      case Kind::custom:
         return explainBody(out, path, type.plain[0], start, body, slot);
      case Kind::list: {
         const std::uint32_t bytes = load32(body), size = types[type.children[0]].size;
         line(out, path, offset, {body, 4}, "list of " + std::to_string(bytes / size));
         for (std::uint32_t at = 0; at < bytes; at += size)
            explainSlot(out, path + '[' + std::to_string(at / size) + ']', type.children[0], start, body + 4 + at);
         return;
      }
      case Kind::array:
         for (std::uint64_t i = 0; i < type.count; ++i)
            explainSlot(out, path + '[' + std::to_string(i) + ']', type.children[0], start,
                        body + i * types[type.children[0]].size);
         return;
      case Kind::option:
         return explainSlot(out, path, id, start, body);
      case Kind::variant:
         line(out, path, offset, {body, 5}, "alternative " + type.names[*body]);
         return explainBody(out, joined(path, type.names[*body]), type.children[*body], start, body + 5, body);
      case Kind::nested:
         line(out, path, offset, {body, 4}, "nested value of " + std::to_string(load32(body)) + " bytes");
         return explainBody(out, path, type.children[0], start, body + 4, body);
      case Kind::object:
      case Kind::structure: {
         const bool isObject = type.kind == Kind::object;
         const std::uint32_t area = isObject ? load16(body) : type.areaSize;
         const std::uint8_t* fixed = body + (isObject ? 2 : 0);
         if (isObject)
            line(out, path, offset, {body, 2}, "object, fixed area of " + std::to_string(area) + " bytes");
         for (std::size_t i = 0; i < type.children.size(); ++i)
            if (!isObject || i < type.required || type.offsets[i] < area)
               explainSlot(out, joined(path, memberName(type, i)), type.children[i], start, fixed + type.offsets[i]);
         if (isObject && area > type.areaSize)
            line(out, joined(path, "(unknown)"), static_cast<std::size_t>(fixed + type.areaSize - start),
                 {fixed + type.areaSize, area - type.areaSize}, "members that this schema does not know");
         return;
      }
      default:
         return;
      }
   }
};

// --- Interface -------------------------------------------------------------------------------------------------------

CompiledSchema::CompiledSchema(std::unique_ptr<Types> types) : types_(std::move(types)) {}
CompiledSchema::~CompiledSchema() = default;
CompiledSchema::CompiledSchema(CompiledSchema&&) noexcept = default;
CompiledSchema& CompiledSchema::operator=(CompiledSchema&&) noexcept = default;

std::expected<CompiledSchema, std::string> CompiledSchema::compile(const Schema& schema) {
   auto types = std::make_unique<Types>();
   types->schema = schema;
   for (const auto& [name, type] : schema) {
      TypeId id;
      if (!types->buildNamed(name, id))
         return std::unexpected("type \"" + name + "\": " + types->error);
   }
   if (!types->layoutAll())
      return std::unexpected(types->error);
   return CompiledSchema(std::move(types));
}

std::optional<TypeId> CompiledSchema::find(std::string_view name) const {
   const auto found = types_->byName.find(name);
   return found == types_->byName.end() ? std::nullopt : std::optional(found->second);
}

std::expected<TypeId, std::string> CompiledSchema::add(const AnyType& type) {
   const std::size_t before = types_->types.size();
   TypeId id;
   types_->depth = 0;
   types_->error.clear();
   if (!types_->build(type, id) || !types_->layoutAll()) {
      types_->types.resize(before);
      types_->progress.resize(before);
      return std::unexpected(types_->error);
   }
   return id;
}

Validity CompiledSchema::validate(TypeId type, ByteView bytes) const {
   Reader reader{nullptr, 0};
   DynamicError where;
   if (!types_->readAll(reader, type, bytes, where))
      return Validity::invalid;
   return reader.extended ? Validity::extended : Validity::valid;
}

std::expected<void, DynamicError> CompiledSchema::check(TypeId type, ByteView bytes) const {
   Reader reader{nullptr, 0};
   DynamicError where;
   if (!types_->readAll(reader, type, bytes, where))
      return std::unexpected(where);
   return {};
}

std::expected<void, DynamicError> CompiledSchema::writeJson(TypeId type, ByteView bytes, JsonWriter& writer) const {
   if (auto checked = check(type, bytes); !checked)
      return checked;
   types_->jsonOfTop(writer, type, bytes.data());
   return {};
}

std::expected<std::string, DynamicError> CompiledSchema::toJson(TypeId type, ByteView bytes) const {
   std::string out;
   JsonWriter writer(out);
   if (const auto written = writeJson(type, bytes, writer); !written)
      return std::unexpected(written.error());
   return out;
}

bool CompiledSchema::readJson(TypeId type, JsonReader& reader, Bytes& out) const {
   Types::Input input(reader, out.size());
   return types_->pack(input, type, out);
}

std::expected<Bytes, JsonError> CompiledSchema::fromJson(TypeId type, std::string_view json) const {
   JsonReader reader(json);
   reader.allowSubnormal(true);
   Bytes out;
   out.reserve(json.size()); // mostly it is shorter; where not, it need not grow from nothing
   if (!readJson(type, reader, out) || !reader.expect(JsonToken::end, "nothing after the value"))
      return std::unexpected(reader.error());
   return out;
}

std::expected<Bytes, DynamicError> CompiledSchema::toKey(TypeId type, ByteView bytes) const {
   if (const auto checked = check(type, bytes); !checked)
      return std::unexpected(checked.error());
   Bytes out;
   types_->keyOfTop(out, type, bytes.data());
   return out;
}

std::string CompiledSchema::explain(TypeId type, ByteView bytes) const {
   if (const auto checked = check(type, bytes); !checked) {
      const DynamicError& error = checked.error();
      return "invalid at byte " + std::to_string(error.offset) + ", in " +
             (error.path.empty() ? "the value itself" : error.path) + ": " + std::string(describe(error.rule)) + "\n";
   }
   // A value without bytes has a place all the same.
   static constexpr std::uint8_t nowhere[4] = {};
   const std::uint8_t* body = bytes.empty() ? nowhere : bytes.data();
   std::string out;
   types_->explainBody(out, "", type, body, body, body);
   return out;
}

} // namespace polis::format

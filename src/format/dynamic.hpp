// Values of types known only by a schema: fracpack to and from JSON, validation, keys.
// It obeys the rules of fracpack.hpp and json.hpp, and shares no table with them but the reader's state.
#pragma once

#include "base/bytes.hpp"
#include "format/fracpack.hpp"
#include "format/json.hpp"
#include "format/schema.hpp"

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace polis::format {

/// Where and why bytes are no value of a type.
struct DynamicError {
   FracRule rule = FracRule::none;
   std::uint32_t offset = 0;
   std::string path{}; ///< such as `actions[0].rawData`
};

/// Index of a type in its CompiledSchema.
using TypeId = std::uint32_t;

/// A schema with its references resolved and its layouts known. Immutable once its types are added; any thread may
/// read.
class CompiledSchema {
public:
   /// Errors: a sentence that names the type and what is wrong with it.
   [[nodiscard]] static std::expected<CompiledSchema, std::string> compile(const Schema& schema);
   ~CompiledSchema();
   CompiledSchema(CompiledSchema&&) noexcept;
   CompiledSchema& operator=(CompiledSchema&&) noexcept;

   std::optional<TypeId> find(std::string_view name) const;
   /// A type that has no name in the schema, such as a function's parameters.
   [[nodiscard]] std::expected<TypeId, std::string> add(const AnyType& type);

   Validity validate(TypeId type, ByteView bytes) const;
   /// Accepts extended values.
   [[nodiscard]] std::expected<void, DynamicError> check(TypeId type, ByteView bytes) const;

   /// Writes valid or extended bytes as JSON.
   [[nodiscard]] std::expected<std::string, DynamicError> toJson(TypeId type, ByteView bytes) const;
   /// The same, as one value of a larger text. On an error nothing has been written.
   [[nodiscard]] std::expected<void, DynamicError> writeJson(TypeId type, ByteView bytes, JsonWriter& writer) const;

   /// Packs the value of a JSON text. A missing member must be optional, a list or text.
   [[nodiscard]] std::expected<Bytes, JsonError> fromJson(TypeId type, std::string_view json) const;
   /// The same for the value that the reader stands at; false when the reader has failed.
   bool readJson(TypeId type, JsonReader& reader, Bytes& out) const;

   /// The order-preserving key of a packed value.
   [[nodiscard]] std::expected<Bytes, DynamicError> toKey(TypeId type, ByteView bytes) const;

   /// Lines that show a value: one for each member, with its path, offset, bytes and meaning.
   [[nodiscard]] std::string explain(TypeId type, ByteView bytes) const;

private:
   struct Types;
   explicit CompiledSchema(std::unique_ptr<Types> types);
   std::unique_ptr<Types> types_;
};

} // namespace polis::format

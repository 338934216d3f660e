#include "format/vectors.hpp"

#include "format/builtin_types.hpp"
#include "format/dynamic.hpp"
#include "format/ids.hpp"
#include "format/jwt.hpp"
#include "format/keys.hpp"
#include "format/merkle.hpp"
#include "format/native_tables.hpp"
#include "format/schema.hpp"
#include "format/semver.hpp"
#include "format/text_encoding.hpp"
#include "format/type_notation.hpp"

#include <cstdlib>
#include <set>

namespace polis::format {
namespace {

/// Any JSON, kept as compact text; empty when absent.
struct Raw {
   std::string text{};

   static bool readJson(JsonReader& reader, Raw& out) {
      out.text.clear();
      JsonWriter writer(out.text);
      return copyJson(reader, writer);
   }
};

/// Compact text with numbers in one spelling, for comparison.
std::string normalised(std::string_view json) {
   JsonReader reader(json);
   std::string out;
   JsonWriter writer(out);
   while (reader.token() != JsonToken::end && reader.token() != JsonToken::error) {
      switch (reader.token()) {
      case JsonToken::number:
         writer.number(std::strtod(std::string(reader.text()).c_str(), nullptr));
         break;
      case JsonToken::null:
         writer.null();
         break;
      case JsonToken::boolean:
         writer.boolean(reader.boolean());
         break;
      case JsonToken::string:
         writer.string(reader.text());
         break;
      case JsonToken::key:
         writer.key(reader.text());
         break;
      case JsonToken::beginObject:
         writer.beginObject();
         break;
      case JsonToken::endObject:
         writer.endObject();
         break;
      case JsonToken::beginArray:
         writer.beginArray();
         break;
      case JsonToken::endArray:
         writer.endArray();
         break;
      default:
         break;
      }
      reader.advance();
   }
   return reader.token() == JsonToken::end ? out : "malformed: " + std::string(json);
}

/// Hexadecimal bytes that may be absent.
using Hex = Bytes;

/// Counts cases. A case fails at its first check that does.
class Judge {
public:
   explicit Judge(VectorReport& report) : report_(report) {}

   void begin(std::string name) {
      name_ = std::move(name);
      failure_.clear();
   }
   bool check(bool condition, std::string_view what) {
      if (!condition && failure_.empty())
         failure_ = what;
      return condition;
   }
   template <class T>
   bool equal(const T& got, const T& wanted, std::string_view what) {
      if (got == wanted)
         return true;
      if (failure_.empty())
         failure_ = std::string(what) + ": got " + brief(show(got)) + ", expected " + brief(show(wanted));
      return false;
   }
   bool equal(std::string_view got, std::string_view wanted, std::string_view what) {
      return equal(std::string(got), std::string(wanted), what);
   }
   void end() {
      if (failure_.empty())
         ++report_.passed;
      else
         report_.failures.push_back(name_ + ": " + failure_);
   }

private:
   static std::string brief(std::string text) {
      constexpr std::size_t shown = 300;
      return text.size() <= shown ? text : text.substr(0, shown) + "…";
   }
   static std::string show(const std::string& text) { return text; }
   static std::string show(const Bytes& bytes) { return toHex(bytes); }
   static std::string show(const Checksum256& bytes) { return toHex(bytes); }
   static std::string show(bool value) { return value ? "true" : "false"; }
   static std::string show(std::uint32_t value) { return std::to_string(value); }
   static std::string show(std::uint64_t value) { return std::to_string(value); }
   static std::string show(std::int64_t value) { return std::to_string(value); }

   VectorReport& report_;
   std::string name_;
   std::string failure_;
};

std::string numbered(std::string_view what, std::size_t index, std::string_view name) {
   return std::string(what) + "[" + std::to_string(index) + "] " + std::string(name);
}

std::string_view nameOf(Validity validity) {
   return validity == Validity::valid ? "valid" : validity == Validity::extended ? "extended" : "invalid";
}

/// Bytes and JSON must be each other's image under the schema.
void judgeBothWays(Judge& judge, const CompiledSchema& schema, TypeId type, const Bytes& packed,
                   std::string_view json) {
   judge.equal(nameOf(schema.validate(type, packed)), "valid", "validity");
   if (const auto written = schema.toJson(type, packed))
      judge.equal(normalised(*written), normalised(json), "JSON of the bytes");
   else
      judge.check(false, "no JSON: " + written.error().path + " " + std::string(describe(written.error().rule)));
   if (const auto made = schema.fromJson(type, json))
      judge.equal(*made, packed, "bytes of the JSON");
   else
      judge.check(false, "no bytes: " + made.error().message);
}

// --- Fracpack --------------------------------------------------------------------------------------------------------

struct FracpackValue {
   std::string type{};
   Hex fracpack{};
   Raw json{};
   std::optional<bool> error{};
   std::optional<Hex> compat{};
   std::optional<std::string> result{};
};
struct FracpackFile {
   Schema schema{};
   std::optional<Hex> schema_bin{};
   std::optional<Schema> schema_schema{};
   std::vector<FracpackValue> values{};
};

void runFracpack(const FracpackFile& file, VectorReport& report) {
   Judge judge(report);
   if (file.schema_bin) {
      judge.begin("schema");
      judge.equal(pack(file.schema), *file.schema_bin, "packed schema");
      const auto back = unpackStrict<Schema>(*file.schema_bin);
      if (judge.check(back.has_value(), "the packed schema does not unpack"))
         judge.equal(toJson(*back), toJson(file.schema), "unpacked schema");
      if (file.schema_schema) {
         const auto compiled = CompiledSchema::compile(*file.schema_schema);
         if (judge.check(compiled.has_value(), "schema_schema does not compile")) {
            const auto type = compiled->find("schema");
            if (judge.check(type.has_value(), "schema_schema has no root"))
               judgeBothWays(judge, *compiled, *type, *file.schema_bin, toJson(file.schema));
         }
      }
      judge.end();
   }
   const auto compiled = CompiledSchema::compile(file.schema);
   for (std::size_t i = 0; i < file.values.size(); ++i) {
      const FracpackValue& value = file.values[i];
      judge.begin(numbered("values", i, value.type + " " + toHex(value.fracpack)));
      const auto type = compiled ? compiled->find(value.type) : std::nullopt;
      if (!compiled) {
         judge.check(false, compiled.error());
      } else if (judge.check(type.has_value(), "no such type")) {
         const Validity validity = compiled->validate(*type, value.fracpack);
         const BuiltinType* builtin = findBuiltinType(value.type);
         if (value.result) {
            judge.equal(nameOf(validity), *value.result, "validity");
            if (builtin)
               judge.equal(nameOf(builtin->validate(value.fracpack)), *value.result, "validity by the typed reader");
         } else if (value.error.value_or(false)) {
            judge.equal(nameOf(validity), "invalid", "validity");
         } else if (judge.check(!value.json.text.empty(), "the case has neither a result nor JSON")) {
            judgeBothWays(judge, *compiled, *type, value.fracpack, value.json.text);
            if (value.compat) {
               judge.equal(nameOf(compiled->validate(*type, *value.compat)), "extended", "validity of compat");
               const auto written = compiled->toJson(*type, *value.compat);
               if (judge.check(written.has_value(), "compat has no JSON"))
                  judge.equal(normalised(*written), normalised(value.json.text), "JSON of compat");
            }
         }
      }
      judge.end();
   }
}

// --- Types in notation -----------------------------------------------------------------------------------------------

struct NotationCase {
   std::string type{};
   // Keys.
   Raw value{};
   std::optional<Hex> key{};
   // JSON.
   std::optional<std::string> input{};
   std::optional<std::string> output{};
   std::optional<Hex> fracpack{};
   std::optional<bool> error{};
};

void runNotation(const std::vector<NotationCase>& cases, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 0; i < cases.size(); ++i) {
      const NotationCase& test = cases[i];
      judge.begin(numbered("", i, test.type + " " + test.input.value_or(test.value.text)));
      const auto notation = parseTypeNotation(test.type);
      auto compiled = CompiledSchema::compile({});
      const auto type = notation && compiled ? compiled->add(*notation) : std::unexpected(std::string("no such type"));
      if (!type) {
         judge.check(false, type.error());
      } else if (test.key) {
         const auto packed = compiled->fromJson(*type, test.value.text);
         if (judge.check(packed.has_value(), "the value does not pack"))
            judge.equal(compiled->toKey(*type, *packed).value_or(Bytes()), *test.key, "key");
      } else if (!judge.check(test.input.has_value(), "the case has neither key nor input")) {
      } else {
         JsonReader reader(*test.input); // with the rules of typed input
         Bytes packed;
         const bool accepted =
             compiled->readJson(*type, reader, packed) && reader.expect(JsonToken::end, "nothing after the value");
         if (test.error.value_or(false)) {
            judge.check(!accepted, "accepted");
         } else if (judge.check(accepted, reader.error().message)) {
            if (test.fracpack)
               judge.equal(packed, *test.fracpack, "fracpack");
            if (test.output)
               judge.equal(compiled->toJson(*type, packed).value_or(""), *test.output, "output");
         }
      }
      judge.end();
   }
}

// --- Names -----------------------------------------------------------------------------------------------------------

struct NameCase {
   std::string name{};
   std::uint64_t value = 0;
   std::optional<std::string> string{};
   std::optional<bool> hashed{};
   std::optional<std::uint64_t> rust_value{};
};
struct NameFile {
   std::vector<NameCase> encode{};
   std::vector<NameCase> decode{};
};

void runAccounts(const NameFile& file, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 0; i < file.encode.size(); ++i) {
      const NameCase& test = file.encode[i];
      judge.begin(numbered("encode", i, test.name));
      judge.equal(AccountNumber(std::string_view(test.name)).value, test.value, "value");
      judge.end();
   }
   for (std::size_t i = 0; i < file.decode.size(); ++i) {
      const NameCase& test = file.decode[i];
      judge.begin(numbered("decode", i, std::to_string(test.value)));
      judge.equal(AccountNumber(test.value).str(), test.name, "name");
      judge.end();
   }
}

void runMethods(const NameFile& file, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 0; i < file.encode.size(); ++i) {
      const NameCase& test = file.encode[i];
      judge.begin(numbered("encode", i, test.name));
      const MethodNumber method{std::string_view(test.name)};
      judge.equal(method.value, test.value, "value");
      if (test.string)
         judge.equal(method.str(), *test.string, "string");
      if (test.hashed)
         judge.equal(method.isHashed(), *test.hashed, "hashed");
      if (test.rust_value)
         judge.equal(names::methodFromText(test.name, names::MethodRules::rust), *test.rust_value, "value in Rust");
      judge.end();
   }
   for (std::size_t i = 0; i < file.decode.size(); ++i) {
      const NameCase& test = file.decode[i];
      judge.begin(numbered("decode", i, std::to_string(test.value)));
      judge.equal(MethodNumber(test.value).str(), test.string.value_or(test.name), "string");
      judge.end();
   }
}

struct ModelFile {
   std::vector<std::string> symbols{};
   std::map<std::string, std::uint32_t> char_to_symbol{};
   std::vector<std::vector<std::uint32_t>> cumulative{};
};

void runModel(const ModelFile& file, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 1; i < file.symbols.size(); ++i) {
      judge.begin(numbered("symbols", i, file.symbols[i]));
      judge.check(i < names::methodAlphabet.size() && file.symbols[i] == std::string(1, names::methodAlphabet[i]),
                  "another symbol");
      judge.end();
   }
   for (const auto& [character, symbol] : file.char_to_symbol) {
      judge.begin("char_to_symbol " + character);
      judge.check(character.size() == 1 && names::methodSymbol(character[0]) == static_cast<int>(symbol),
                  "another symbol");
      judge.end();
   }
   for (std::size_t row = 0; row < file.cumulative.size(); ++row) {
      judge.begin(numbered("cumulative", row, ""));
      bool same =
          row < std::size(names::methodModel) && file.cumulative[row].size() == std::size(names::methodModel[0]);
      for (std::size_t i = 0; same && i < file.cumulative[row].size(); ++i)
         same = names::methodModel[row][i] == file.cumulative[row][i];
      judge.check(same, "another row");
      judge.end();
   }
}

// --- Times -----------------------------------------------------------------------------------------------------------

struct TimeFormat {
   std::string type{};
   std::int64_t value = 0;
   std::string json{};
};
struct TimeParse {
   std::string text{};
   std::optional<std::int64_t> seconds{};
   std::optional<std::int64_t> microseconds{};
   std::optional<bool> error{};
};
struct TimeFile {
   std::vector<TimeFormat> format{};
   std::vector<TimeParse> parse{};
};

void runTimes(const TimeFile& file, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 0; i < file.format.size(); ++i) {
      const TimeFormat& test = file.format[i];
      judge.begin(numbered("format", i, test.type + " " + std::to_string(test.value)));
      if (test.type == "TimePointSec")
         judge.equal(timeText(TimePointSec{test.value}), test.json, "text");
      else if (judge.check(test.type == "TimePointUSec", "no such type"))
         judge.equal(timeText(TimePointUSec{test.value}), test.json, "text");
      judge.end();
   }
   for (std::size_t i = 0; i < file.parse.size(); ++i) {
      const TimeParse& test = file.parse[i];
      judge.begin(numbered("parse", i, test.text));
      const auto seconds = parseTimeSec(test.text);
      const auto microseconds = parseTimeUSec(test.text);
      if (test.error.value_or(false)) {
         judge.check(!seconds && !microseconds, "accepted");
      } else if (judge.check(seconds && microseconds, "rejected")) {
         if (test.seconds)
            judge.equal(seconds->seconds, *test.seconds, "seconds");
         if (test.microseconds)
            judge.equal(microseconds->microseconds, *test.microseconds, "microseconds");
      }
      judge.end();
   }
}

// --- Schemas ---------------------------------------------------------------------------------------------------------

struct SchemaCase {
   std::string name{};
   Raw schema{};
   Hex fracpack{};
};
struct SchemaMatch {
   std::string name{};
   Schema lhs{};
   Schema rhs{};
   std::uint32_t difference = 0;
};
struct SchemaFile {
   std::vector<SchemaCase> schemas{};
   std::vector<SchemaMatch> match{};
};

void runSchemas(const SchemaFile& file, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 0; i < file.schemas.size(); ++i) {
      const SchemaCase& test = file.schemas[i];
      judge.begin(numbered("schemas", i, test.name));
      const auto schema = fromJson<Schema>(test.schema.text);
      if (judge.check(schema.has_value(), schema ? "" : schema.error().message)) {
         judge.equal(pack(*schema), test.fracpack, "fracpack");
         judge.equal(toJson(*schema), test.schema.text, "JSON");
         const auto back = unpackStrict<Schema>(test.fracpack);
         if (judge.check(back.has_value(), "does not unpack"))
            judge.equal(toJson(*back), test.schema.text, "JSON of the bytes");
         const auto compiled = CompiledSchema::compile(*schema);
         judge.check(compiled.has_value(), compiled ? "" : compiled.error());
      }
      judge.end();
   }
   for (std::size_t i = 0; i < file.match.size(); ++i) {
      const SchemaMatch& test = file.match[i];
      judge.begin(numbered("match", i, test.name));
      const AnyType type{TypeName{"T"}};
      judge.equal(compareTypes(test.lhs, type, test.rhs, type), test.difference, "difference");
      judge.end();
   }
}

// --- Protocol structures ---------------------------------------------------------------------------------------------

struct StructureCase {
   std::string name{};
   std::string type{};
   Raw json{};
   Hex fracpack{};
   std::optional<Hex> id{};
   std::optional<Hex> hashed_fracpack{};
   std::optional<Hex> sha256{};
   std::optional<Hex> blockId{};
   std::optional<Hex> signature_preimage{};
   std::optional<Hex> signature_digest{};
   std::optional<Hex> leaf_hash{};
   std::optional<Hex> key{};
};

/// Keys of rows as they are stored, by the row's type.
std::optional<Bytes> keyOfRow(std::string_view type, ByteView bytes) {
   const auto keyed = [&]<class Row>(std::type_identity<Row>) -> std::optional<Bytes> {
      const auto row = unpack<Row>(bytes);
      return row ? std::optional(row->key()) : std::nullopt;
   };
   if (type == "CodeRow")
      return keyed(std::type_identity<CodeRow>());
   if (type == "CodeByHashRow")
      return keyed(std::type_identity<CodeByHashRow>());
   if (type == "StatusRow")
      return StatusRow::key();
   if (type == "ConfigRow")
      return ConfigRow::key();
   if (type == "NotifyRow")
      return keyed(std::type_identity<NotifyRow>());
   if (type == "BlockDataRow")
      return keyed(std::type_identity<BlockDataRow>());
   if (type == "ConsensusChangeRow")
      return keyed(std::type_identity<ConsensusChangeRow>());
   if (type == "SnapshotRow")
      return keyed(std::type_identity<SnapshotRow>());
   if (type == "ScheduledSnapshotRow")
      return keyed(std::type_identity<ScheduledSnapshotRow>());
   if (type == "SocketRow")
      return keyed(std::type_identity<SocketRow>());
   if (type == "RunRow")
      return keyed(std::type_identity<RunRow>());
   if (type == "StateSignature") {
      // Footer row of a snapshot file.
      const auto signature = unpack<StateSignature>(bytes);
      return signature ? std::optional(toKey(std::uint16_t{1}, std::uint8_t{0}, signature->account)) : std::nullopt;
   }
   return std::nullopt;
}

void judgeStructure(Judge& judge, const StructureCase& test, const BuiltinType& type) {
   judge.equal(nameOf(type.validate(test.fracpack)), "valid", "validity");
   if (const auto written = type.toJson(test.fracpack); judge.check(written.has_value(), "does not unpack"))
      judge.equal(normalised(*written), normalised(test.json.text), "JSON of the bytes");
   if (const auto made = type.fromJson(test.json.text); judge.check(made.has_value(), made ? "" : made.error().message))
      judge.equal(*made, test.fracpack, "bytes of the JSON");
   const auto compiled = CompiledSchema::compile(type.schema());
   if (judge.check(compiled.has_value(), compiled ? "" : compiled.error()))
      judgeBothWays(judge, *compiled, compiled->find(type.name).value(), test.fracpack, test.json.text);

   const auto bytes = [](const Checksum256& hash) { return Bytes(hash.begin(), hash.end()); };
   if (test.id)
      judge.equal(bytes(sha256(ByteView(test.fracpack))), *test.id, "id");
   if (type.name == "BlockHeader") {
      const auto header = unpackStrict<BlockHeader>(test.fracpack).value_or(BlockHeader());
      BlockHeader covered = header;
      covered.authCode.reset();
      if (test.hashed_fracpack)
         judge.equal(pack(covered), *test.hashed_fracpack, "hashed_fracpack");
      if (test.sha256)
         judge.equal(bytes(sha256Of(covered)), *test.sha256, "sha256");
      const Checksum256 id = blockId(header);
      if (test.blockId)
         judge.equal(bytes(id), *test.blockId, "blockId");
      if (test.signature_preimage)
         judge.equal(toBytes(blockSignaturePreimage(id)), *test.signature_preimage, "signature_preimage");
      if (test.signature_digest)
         judge.equal(bytes(blockSignatureDigest(id)), *test.signature_digest, "signature_digest");
   } else {
      if (test.sha256)
         judge.equal(bytes(sha256(ByteView(test.fracpack))), *test.sha256, "sha256");
      if (type.name == "StateChecksum") {
         const auto state = unpackStrict<StateChecksum>(test.fracpack).value_or(StateChecksum());
         if (test.signature_preimage)
            judge.equal(toBytes(stateSignaturePreimage(state)), *test.signature_preimage, "signature_preimage");
         if (test.signature_digest)
            judge.equal(bytes(stateSignatureDigest(state)), *test.signature_digest, "signature_digest");
      }
   }
   if (test.leaf_hash)
      judge.equal(bytes(merkleLeafOfBytes(test.fracpack)), *test.leaf_hash, "leaf_hash");
   if (test.key) {
      if (type.name == "WasmConfigRow") {
         judge.check(*test.key == WasmConfigRow::key(NativeTable::transactionWasmConfig) ||
                         *test.key == WasmConfigRow::key(NativeTable::proofWasmConfig),
                     "key");
      } else if (const auto key = keyOfRow(type.name, test.fracpack); judge.check(key.has_value(), "no key is known")) {
         judge.equal(*key, *test.key, "key");
      }
   }
}

void runStructures(const std::vector<StructureCase>& cases, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 0; i < cases.size(); ++i) {
      judge.begin(numbered("", i, cases[i].name));
      const BuiltinType* type = findBuiltinType(cases[i].type);
      if (judge.check(type != nullptr, "no such type: " + cases[i].type))
         judgeStructure(judge, cases[i], *type);
      judge.end();
   }
}

// --- Hashes, keys, tokens --------------------------------------------------------------------------------------------

struct MerkleCase {
   std::vector<Raw> leaves{};
   std::string leaf_type{};
   Hex root{};
   std::optional<Hex> packed_state{};
};
struct KvMerkleCase {
   std::vector<std::pair<Hex, Hex>> rows{};
   Hex root{};
};
struct MerkleFile {
   std::vector<MerkleCase> merkle{};
   std::vector<KvMerkleCase> kv_merkle{};
};

void runMerkle(const MerkleFile& file, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 0; i < file.merkle.size(); ++i) {
      const MerkleCase& test = file.merkle[i];
      judge.begin(numbered("merkle", i, std::to_string(test.leaves.size()) + " leaves"));
      const auto notation = parseTypeNotation(test.leaf_type);
      const BuiltinType* builtin = findBuiltinType(test.leaf_type);
      auto compiled = CompiledSchema::compile({});
      const auto type = notation ? compiled->add(*notation) : std::unexpected(std::string("no such type"));
      Merkle tree;
      for (const Raw& leaf : test.leaves) {
         const auto packed = builtin ? builtin->fromJson(leaf.text)
                             : type  ? compiled->fromJson(*type, leaf.text)
                                     : std::unexpected(JsonError{"no such type"});
         if (judge.check(packed.has_value(), "a leaf does not pack"))
            tree.push(merkleLeafOfBytes(*packed));
      }
      judge.equal(toBytes(tree.root()), test.root, "root");
      if (test.packed_state)
         judge.equal(pack(tree), *test.packed_state, "packed_state");
      judge.end();
   }
   for (std::size_t i = 0; i < file.kv_merkle.size(); ++i) {
      const KvMerkleCase& test = file.kv_merkle[i];
      judge.begin(numbered("kv_merkle", i, std::to_string(test.rows.size()) + " rows"));
      const std::map<Hex, Hex> sorted(test.rows.begin(), test.rows.end());
      KvMerkle tree;
      for (const auto& [key, value] : sorted)
         tree.push(key, value);
      judge.equal(toBytes(tree.finish()), test.root, "root");
      judge.end();
   }
}

struct SignatureCase {
   std::string over{};
   Hex digest{};
   Hex signature{};
   bool valid = false;
   std::string note{};
};
struct KeyCase {
   std::string curve{};
   Hex private_scalar{};
   Hex pkcs8_der{};
   std::string pkcs8_pem{};
   Hex spki_der_uncompressed{};
   Hex spki_der_compressed{};
   std::string spki_pem{};
   std::optional<Hex> fingerprint_uncompressed{};
   std::optional<Hex> fingerprint_compressed{};
   std::vector<SignatureCase> signatures{};
};

#ifdef __wasm__
void runKeys(const std::vector<KeyCase>&, VectorReport&) {} // signing keys are the node's
#else
Checksum256 checksumOf(ByteView bytes) {
   Checksum256 out{};
   std::memcpy(out.data(), bytes.data(), std::min(bytes.size(), out.size()));
   return out;
}

void runKeys(const std::vector<KeyCase>& cases, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 0; i < cases.size(); ++i) {
      const KeyCase& test = cases[i];
      judge.begin(numbered("key", i, test.curve));
      const Curve curve = test.curve.find("256k1") != std::string::npos ? Curve::k1 : Curve::p256;
      const auto key = PrivateKey::fromScalar(curve, checksumOf(test.private_scalar));
      if (judge.check(key.has_value(), "no such private key")) {
         judge.equal(key->pkcs8(), test.pkcs8_der, "pkcs8_der");
         judge.equal(key->pem(), test.pkcs8_pem, "pkcs8_pem");
         judge.equal(key->publicKey().spki(PointForm::uncompressed), test.spki_der_uncompressed,
                     "spki_der_uncompressed");
         judge.equal(key->publicKey().spki(PointForm::compressed), test.spki_der_compressed, "spki_der_compressed");
         judge.equal(key->publicKey().pem(PointForm::uncompressed), test.spki_pem, "spki_pem");
         const auto fromDer = PrivateKey::fromDer(test.pkcs8_der);
         judge.check(fromDer && fromDer->pkcs8() == test.pkcs8_der, "pkcs8_der does not read back");
         const auto fromPem = PrivateKey::fromPem(test.pkcs8_pem);
         judge.check(fromPem && fromPem->pkcs8() == test.pkcs8_der, "pkcs8_pem does not read back");
         const auto publicKey = PublicKey::fromPem(test.spki_pem);
         judge.check(publicKey && publicKey->spki() == test.spki_der_compressed, "spki_pem does not read back");
      }
      if (test.fingerprint_uncompressed)
         judge.equal(toBytes(sha256(ByteView(test.spki_der_uncompressed))), *test.fingerprint_uncompressed,
                     "fingerprint_uncompressed");
      if (test.fingerprint_compressed)
         judge.equal(toBytes(sha256(ByteView(test.spki_der_compressed))), *test.fingerprint_compressed,
                     "fingerprint_compressed");
      judge.end();
      for (std::size_t k = 0; k < test.signatures.size(); ++k) {
         const SignatureCase& signature = test.signatures[k];
         judge.begin(
             numbered("key", i, "signatures[" + std::to_string(k) + "] " + signature.over + ", " + signature.note));
         if (judge.check(signature.digest.size() == 32, "the digest is not 32 bytes")) {
            const Checksum256 digest = checksumOf(signature.digest);
            for (const Hex* spki : {&test.spki_der_uncompressed, &test.spki_der_compressed})
               judge.equal(verifySignature(*spki, digest, signature.signature), signature.valid, "valid");
         }
         judge.end();
      }
   }
}

#endif

struct JwtCase {
   Hex key{};
   std::string payload{};
   std::string token{};
};

void runJwt(const std::vector<JwtCase>& cases, VectorReport& report) {
   Judge judge(report);
   for (std::size_t i = 0; i < cases.size(); ++i) {
      const JwtCase& test = cases[i];
      judge.begin(numbered("", i, test.payload));
      judge.equal(encodeJwt(test.key, test.payload), test.token, "token");
      judge.equal(decodeJwt(test.key, test.token).value_or("(refused)"), test.payload, "payload");
      judge.end();
   }
}

struct SemverCase {
   std::string pattern{};
   std::string version{};
   bool matches = false;
};
struct SemverFile {
   std::vector<SemverCase> match{};
   std::vector<SemverCase> prerelease{};
   std::vector<std::string> invalid_patterns{};
};

void runSemver(const SemverFile& file, VectorReport& report) {
   Judge judge(report);
   const auto run = [&](std::string_view what, const std::vector<SemverCase>& cases) {
      for (std::size_t i = 0; i < cases.size(); ++i) {
         const SemverCase& test = cases[i];
         judge.begin(numbered(what, i, test.pattern + " on " + test.version));
         const auto version = Version::parse(test.version);
         if (judge.check(version.has_value(), "the version does not parse")) {
            const auto matches = matchesVersion(test.pattern, *version);
            if (judge.check(matches.has_value(), "the pattern does not parse"))
               judge.equal(*matches, test.matches, "matches");
         }
         judge.end();
      }
   };
   run("match", file.match);
   run("prerelease", file.prerelease);
   for (const std::string& pattern : file.invalid_patterns) {
      judge.begin("invalid_patterns '" + pattern + "'");
      judge.check(!matchesVersion(pattern, Version{.major = 1}), "accepted");
      judge.end();
   }
}

// --- Which form a file has -------------------------------------------------------------------------------------------

/// Every key that occurs down to a file's cases, and whether the file is a list.
struct Shape {
   bool isList = false;
   std::set<std::string, std::less<>> keys;  ///< of the file
   std::set<std::string, std::less<>> inner; ///< of the first elements inside its members

   bool has(std::string_view key) const { return keys.contains(key); }
};

Shape shapeOf(std::string_view json) {
   Shape shape;
   JsonReader reader(json);
   shape.isList = reader.token() == JsonToken::beginArray;
   unsigned depth = 0;
   const unsigned own = shape.isList ? 2 : 1;
   for (; reader.token() != JsonToken::end && reader.token() != JsonToken::error; reader.advance()) {
      switch (reader.token()) {
      case JsonToken::beginObject:
      case JsonToken::beginArray:
         ++depth;
         break;
      case JsonToken::endObject:
      case JsonToken::endArray:
         --depth;
         break;
      case JsonToken::key:
         if (depth == own)
            shape.keys.emplace(reader.text());
         else if (depth == own + 2)
            shape.inner.emplace(reader.text());
         break;
      default:
         break;
      }
   }
   return shape;
}

template <class File, class Run>
void parseAndRun(std::string_view json, std::string_view form, const Run& run, VectorReport& report) {
   report.form = form;
   const auto file = fromJson<File>(json);
   if (file)
      run(*file, report);
   else
      report.failures.push_back("the file does not parse at byte " + std::to_string(file.error().offset) + ": " +
                                file.error().message);
}

} // namespace

VectorReport checkVectors(std::string_view json) {
   VectorReport report;
   const Shape shape = shapeOf(json);
   if (shape.has("schema") && shape.has("values")) {
      if (shape.isList)
         parseAndRun<std::vector<FracpackFile>>(
             json, "fracpack values",
             [](const auto& files, VectorReport& out) {
                for (const FracpackFile& file : files)
                   runFracpack(file, out);
             },
             report);
      else
         parseAndRun<FracpackFile>(json, "fracpack validity", runFracpack, report);
   } else if (shape.isList && shape.has("private_scalar")) {
      parseAndRun<std::vector<KeyCase>>(json, "signatures", runKeys, report);
   } else if (shape.isList && shape.has("token")) {
      parseAndRun<std::vector<JwtCase>>(json, "login tokens", runJwt, report);
   } else if (shape.isList && shape.has("type") && shape.has("json") && shape.has("fracpack")) {
      parseAndRun<std::vector<StructureCase>>(json, "protocol structures", runStructures, report);
   } else if (shape.isList && shape.has("type") && shape.has("input")) {
      parseAndRun<std::vector<NotationCase>>(json, "JSON", runNotation, report);
   } else if (shape.isList && shape.has("type") && shape.has("key")) {
      parseAndRun<std::vector<NotationCase>>(json, "keys", runNotation, report);
   } else if (shape.has("encode") || shape.has("decode")) {
      const bool methods = shape.inner.contains("string") || shape.inner.contains("hashed");
      if (methods)
         parseAndRun<NameFile>(json, "method numbers", runMethods, report);
      else
         parseAndRun<NameFile>(json, "account numbers", runAccounts, report);
   } else if (shape.has("cumulative")) {
      parseAndRun<ModelFile>(json, "method model", runModel, report);
   } else if (shape.has("format") || shape.has("parse")) {
      parseAndRun<TimeFile>(json, "times", runTimes, report);
   } else if (shape.has("schemas") || shape.inner.contains("lhs")) {
      parseAndRun<SchemaFile>(json, "schemas", runSchemas, report);
   } else if (shape.has("merkle") || shape.has("kv_merkle")) {
      parseAndRun<MerkleFile>(json, "merkle trees", runMerkle, report);
   } else if (shape.has("match") || shape.has("prerelease") || shape.has("invalid_patterns")) {
      parseAndRun<SemverFile>(json, "version patterns", runSemver, report);
   } else {
      report.failures.push_back("the file is of no known form");
   }
   return report;
}

} // namespace polis::format

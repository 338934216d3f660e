#include "cli/format_command.hpp"

#include "base/bytes.hpp"
#include "base/read_all.hpp"
#include "cli/schema_compare.hpp"
#include "format/builtin_types.hpp"
#include "format/dynamic.hpp"
#include "format/ids.hpp"
#include "format/names.hpp"
#include "format/schema.hpp"
#include "format/type_notation.hpp"
#include "format/vectors.hpp"

#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace polis::cli {
namespace {

using namespace format;

std::optional<std::string> readFile(const std::string& path) {
   if (path == "-")
      return readAll(std::cin);
   std::ifstream in(path, std::ios::binary);
   return in ? readAll(in) : std::nullopt;
}

/// Always 1, the exit code.
int complain(const std::string& message) {
   std::cerr << "polis format: " << message << "\n";
   return 1;
}

// --- check-vectors ---------------------------------------------------------------------------------------------------

int runCheckVectors(const std::vector<std::string>& files) {
   std::size_t passed = 0, failed = 0;
   for (const std::string& file : files) {
      const auto text = readFile(file);
      if (!text) {
         std::cout << file << ": cannot be read\n";
         ++failed;
         continue;
      }
      const VectorReport report = checkVectors(*text);
      for (const std::string& failure : report.failures)
         std::cout << file << ": " << failure << "\n";
      passed += report.passed;
      failed += report.failures.size();
   }
   std::cout << passed << " passed, " << failed << " failed" << std::endl;
   return failed ? 1 : 0;
}

// --- Names -----------------------------------------------------------------------------------------------------------

std::optional<std::uint64_t> asNumber(const std::string& text) {
   std::uint64_t value = 0;
   const bool hex = text.starts_with("0x");
   const char* begin = text.data() + (hex ? 2 : 0);
   const char* end = text.data() + text.size();
   const auto read = std::from_chars(begin, end, value, hex ? 16 : 10);
   return read.ec == std::errc() && read.ptr == end && begin != end ? std::optional(value) : std::nullopt;
}

struct NameOptions {
   std::vector<std::string> values;
   bool asNumbers = false;
   bool rust = false;
};

template <class Name>
int runNames(const NameOptions& options) {
   for (const std::string& value : options.values) {
      const auto number = options.asNumbers ? asNumber(value) : std::nullopt;
      if (options.asNumbers && !number)
         return complain("\"" + value + "\" is no 64-bit number");
      if (number) {
         std::cout << *number << '\t' << Name(*number).str() << "\n";
         continue;
      }
      Name name{std::string_view(value)};
      if constexpr (std::is_same_v<Name, MethodNumber>)
         if (options.rust)
            name = Name(names::methodFromText(value, names::MethodRules::rust));
      if (!name && !value.empty())
         return complain("\"" + value + "\" is not a name");
      std::cout << name.value << '\t' << name.str() << "\n";
   }
   return 0;
}

// --- Values ----------------------------------------------------------------------------------------------------------

enum class Form { hex, binary, json };

struct ValueOptions {
   std::string type;                  ///< a built-in type, a type of the schema, or a type in notation
   std::string schemaFile;            ///< a schema, or a service's schema
   std::string action;                ///< an action of a service's schema, whose arguments the value is
   std::vector<std::string> services; ///< files with schemas of services, for transactions
   std::string input = "-";
   std::string text; ///< the value itself, instead of a file
   bool binary = false;
};

struct Target {
   std::unique_ptr<CompiledSchema> schema;
   TypeId type = 0;
};

/// The type that the options name. None after a complaint.
std::optional<Target> findTarget(const ValueOptions& options) {
   Target target;
   Schema types;
   std::optional<AnyType> wanted;
   if (!options.schemaFile.empty()) {
      const auto text = readFile(options.schemaFile);
      if (!text) {
         complain(options.schemaFile + " cannot be read");
         return std::nullopt;
      }
      if (const auto service = fromJson<ServiceSchema>(*text);
          service && (!service->types.empty() || !service->actions.empty())) {
         types = service->types;
         if (!options.action.empty()) {
            const auto found = service->actions.find(options.action);
            if (found == service->actions.end()) {
               std::string all;
               for (const auto& [name, function] : service->actions)
                  all += (all.empty() ? "" : ", ") + name;
               complain("the schema has no action \"" + options.action + "\"; it has " + (all.empty() ? "none" : all));
               return std::nullopt;
            }
            wanted = found->second.params;
         }
      } else if (!options.action.empty()) {
         complain(options.schemaFile + " is no schema of a service, which alone has actions");
         return std::nullopt;
      } else if (auto schema = fromJson<Schema>(*text)) {
         types = std::move(*schema);
      } else {
         complain(options.schemaFile + " is no schema: " + schema.error().message);
         return std::nullopt;
      }
   } else if (!options.action.empty()) {
      complain("--action needs the service's schema, --schema FILE");
      return std::nullopt;
   } else if (const BuiltinType* builtin = findBuiltinType(options.type)) {
      types = builtin->schema();
   }
   if (!wanted && options.type.empty()) {
      complain("name a type, or an action with --action");
      return std::nullopt;
   }
   auto compiled = CompiledSchema::compile(types);
   if (!compiled) {
      complain("the schema is invalid: " + compiled.error());
      return std::nullopt;
   }
   target.schema = std::make_unique<CompiledSchema>(std::move(*compiled));
   if (!wanted) {
      if (const auto found = target.schema->find(options.type)) {
         target.type = *found;
         return target;
      }
      wanted = parseTypeNotation(options.type);
   }
   const auto type = wanted ? target.schema->add(*wanted)
                            : std::unexpected("there is no type \"" + options.type + "\"; see `polis format types`");
   if (!type) {
      complain(type.error());
      return std::nullopt;
   }
   target.type = *type;
   return target;
}

std::optional<std::string> readValue(const ValueOptions& options) {
   if (!options.text.empty())
      return options.text;
   auto text = readFile(options.input);
   if (!text)
      complain(options.input + " cannot be read");
   return text;
}

/// Bytes from hexadecimal text with any spaces, or as they are.
std::optional<Bytes> readBytes(const ValueOptions& options) {
   const auto text = readValue(options);
   if (!text)
      return std::nullopt;
   if (options.binary)
      return toBytes(*text);
   std::string digits;
   for (const char c : *text)
      if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
         digits += c;
   auto bytes = fromHex(digits);
   if (!bytes)
      complain("the input is not hexadecimal; use --binary for bytes as they are");
   return bytes;
}

std::string explainError(const DynamicError& error) {
   return "invalid at byte " + std::to_string(error.offset) + ", in " +
          (error.path.empty() ? "the value itself" : error.path) + ": " + std::string(describe(error.rule));
}

/// The JSON of the options, packed. None after a complaint.
std::optional<Bytes> packValue(const Target& target, const ValueOptions& options) {
   const auto text = readValue(options);
   if (!text)
      return std::nullopt;
   auto bytes = target.schema->fromJson(target.type, *text);
   if (bytes)
      return std::move(*bytes);
   complain("at byte " + std::to_string(bytes.error().offset) + " of the JSON: " + bytes.error().message);
   return std::nullopt;
}

int runToJson(const ValueOptions& options) {
   const auto target = findTarget(options);
   const auto bytes = target ? readBytes(options) : std::nullopt;
   if (!bytes)
      return 1;
   const auto json = target->schema->toJson(target->type, *bytes);
   if (!json)
      return complain(explainError(json.error()));
   std::cout << *json << "\n";
   return 0;
}

int runPack(const ValueOptions& options) {
   const auto target = findTarget(options);
   const auto bytes = target ? packValue(*target, options) : std::nullopt;
   if (!bytes)
      return 1;
   if (options.binary)
      std::cout << asText(*bytes);
   else
      std::cout << toHex(*bytes) << "\n";
   return 0;
}

int runExplain(const ValueOptions& options) {
   const auto target = findTarget(options);
   const auto bytes = target ? readBytes(options) : std::nullopt;
   if (!bytes)
      return 1;
   const Validity validity = target->schema->validate(target->type, *bytes);
   std::cout << target->schema->explain(target->type, *bytes);
   if (validity == Validity::invalid)
      return 1;
   std::cout << (validity == Validity::extended ? "extended: valid, with members that this type does not know\n"
                                                : "valid\n");
   return 0;
}

int runSchema(const std::string& name) {
   const BuiltinType* type = findBuiltinType(name);
   if (!type)
      return complain("there is no built-in type \"" + name + "\"; see `polis format types`");
   std::cout << toJson(type->schema()) << "\n";
   return 0;
}

int runCompare(const std::string& before, const std::string& after) {
   const auto old = readFile(before), young = readFile(after);
   if (!old || !young)
      return complain((old ? after : before) + " cannot be read");
   const auto changes = compareSchemas(*old, *young);
   if (!changes)
      return complain(changes.error());
   std::cout << changes->text << (changes->compatible ? "compatible\n" : "not compatible\n");
   return changes->compatible ? 0 : 1;
}

int runKey(const ValueOptions& options) {
   const auto target = findTarget(options);
   const auto bytes = target ? packValue(*target, options) : std::nullopt;
   if (!bytes)
      return 1;
   const auto key = target->schema->toKey(target->type, *bytes);
   if (!key)
      return complain(explainError(key.error()));
   std::cout << toHex(*key) << "\n";
   return 0;
}

// --- Transactions and blocks -----------------------------------------------------------------------------------------

/// Shows the data of actions whose service's schema is known.
class ActionDecoder {
public:
   /// False after a complaint.
   bool add(const std::string& file) {
      const auto text = readFile(file);
      const auto source = text ? fromJson<ServiceSchema>(*text) : std::unexpected(JsonError{"it cannot be read"});
      if (!source)
         return complain(file + " is no schema of a service: " + source.error().message), false;
      auto types = CompiledSchema::compile(source->types);
      if (!types)
         return complain(file + ": " + types.error()), false;
      Service service{std::move(*types), {}};
      for (const auto& [name, function] : source->actions) {
         const auto type = service.types.add(function.params);
         if (!type)
            return complain(file + ", action " + name + ": " + type.error()), false;
         service.actions.emplace(MethodNumber(name), std::pair(name, *type));
      }
      services_.insert_or_assign(source->service, std::move(service));
      return true;
   }

   void write(JsonWriter& writer, const Action& action) const {
      writer.beginObject();
      writer.key("sender");
      writeJson(writer, action.sender);
      writer.key("service");
      writeJson(writer, action.service);
      writer.key("method");
      const auto service = services_.find(action.service);
      const std::pair<std::string, TypeId>* known = nullptr;
      if (service != services_.end())
         if (const auto found = service->second.actions.find(action.method); found != service->second.actions.end())
            known = &found->second;
      if (known)
         writer.string(known->first);
      else
         writeJson(writer, action.method);
      writer.key("rawData");
      writer.hex(action.rawData);
      if (known) {
         const CompiledSchema& types = service->second.types;
         if (const auto checked = types.check(known->second, action.rawData); !checked) {
            writer.key("error");
            writer.string(explainError(checked.error()));
         } else {
            writer.key("data");
            static_cast<void>(types.writeJson(known->second, action.rawData, writer));
         }
      }
      writer.endObject();
   }

private:
   struct Service {
      CompiledSchema types;
      std::map<MethodNumber, std::pair<std::string, TypeId>> actions;
   };
   std::map<AccountNumber, Service> services_;
};

std::optional<ActionDecoder> makeDecoder(const ValueOptions& options) {
   ActionDecoder decoder;
   for (const std::string& file : options.services)
      if (!decoder.add(file))
         return std::nullopt;
   return decoder;
}

/// The members of a transaction in an object that is begun.
void writeInner(JsonWriter& writer, const Nested<Transaction>& packed, const ActionDecoder& decoder) {
   writer.key("id");
   writer.hex(transactionId(packed));
   writer.key("transaction");
   const auto transaction = packed.unpack();
   if (!transaction)
      return writer.null();
   writer.beginObject();
   writer.key("tapos");
   writeJson(writer, transaction->tapos);
   writer.key("actions");
   writer.beginArray();
   for (const Action& action : transaction->actions)
      decoder.write(writer, action);
   writer.endArray();
   writer.key("claims");
   writeJson(writer, transaction->claims);
   writer.endObject();
}

void writeTransaction(JsonWriter& writer, const Nested<Transaction>& packed, const ActionDecoder& decoder) {
   writer.beginObject();
   writeInner(writer, packed, decoder);
   writer.endObject();
}

void writeSigned(JsonWriter& writer, const SignedTransaction& transaction, const ActionDecoder& decoder) {
   writer.beginObject();
   writeInner(writer, transaction.transaction, decoder);
   writer.key("proofs");
   writeJson(writer, transaction.proofs);
   writer.key("subjectiveData");
   writeJson(writer, transaction.subjectiveData);
   writer.endObject();
}

int runTransaction(const ValueOptions& options) {
   const auto decoder = makeDecoder(options);
   const auto bytes = decoder ? readBytes(options) : std::nullopt;
   if (!bytes)
      return 1;
   std::string out;
   JsonWriter writer(out);
   if (const auto whole = unpack<SignedTransaction>(*bytes))
      writeSigned(writer, *whole, *decoder);
   else if (validate<Transaction>(*bytes) != Validity::invalid)
      writeTransaction(writer, Nested<Transaction>(*bytes), *decoder);
   else
      return complain("neither a SignedTransaction nor a Transaction; as the former it is wrong at byte " +
                      std::to_string(whole.error().offset) + ": " + std::string(describe(whole.error().rule)));
   std::cout << out << "\n";
   return 0;
}

int runBlock(const ValueOptions& options) {
   const auto decoder = makeDecoder(options);
   const auto bytes = decoder ? readBytes(options) : std::nullopt;
   if (!bytes)
      return 1;
   SignedBlock signedBlock;
   bool isSigned = true;
   if (auto whole = unpack<SignedBlock>(*bytes)) {
      signedBlock = std::move(*whole);
   } else if (auto block = unpack<Block>(*bytes)) {
      signedBlock.block = std::move(*block);
      isSigned = false;
   } else {
      return complain("neither a SignedBlock nor a Block; as the former it is wrong at byte " +
                      std::to_string(whole.error().offset) + ": " + std::string(describe(whole.error().rule)));
   }
   std::string out;
   JsonWriter writer(out);
   writer.beginObject();
   writer.key("blockId");
   writer.hex(blockId(signedBlock.block.header));
   writer.key("header");
   writeJson(writer, signedBlock.block.header);
   writer.key("transactions");
   writer.beginArray();
   for (const SignedTransaction& transaction : signedBlock.block.transactions)
      writeSigned(writer, transaction, *decoder);
   writer.endArray();
   if (isSigned) {
      writer.key("signature");
      writer.hex(signedBlock.signature);
      writer.key("auxConsensusData");
      writeJson(writer, signedBlock.auxConsensusData);
   }
   writer.endObject();
   std::cout << out << "\n";
   return 0;
}

void addValueOptions(CLI::App& command, ValueOptions& options, bool typed, const char* binaryMeaning) {
   if (typed) {
      command.add_option("type", options.type,
                         "A built-in type (see `polis format types`), a type of the schema, or a notation such as "
                         "'list(tuple(u32,string))'; with --action, leave it out");
      command.add_option("--schema", options.schemaFile, "File with a schema, or with a service's schema, in JSON");
      command.add_option("--action", options.action, "An action of the service's schema: the value is its arguments");
   } else {
      command.add_option("--schema", options.services,
                         "Files with services' schemas in JSON: the data of their actions is shown, too");
   }
   command.add_option("--input", options.input, "File to read; - is standard input")->capture_default_str();
   command.add_option("--value", options.text, "The value itself, instead of a file");
   command.add_flag("--binary", options.binary, binaryMeaning);
}

} // namespace

void addFormatCommand(CLI::App& app, int& exitCode) {
   CLI::App& format = *app.add_subcommand("format", "Convert and explain names, packed bytes and JSON\n"
                                                    "\n"
                                                    "   polis format account alice tokens+1\n"
                                                    "   polis format method greet");
   format.require_subcommand(1);

   {
      auto files = std::make_shared<std::vector<std::string>>();
      CLI::App& command = *format.add_subcommand("check-vectors", "Run files of conformance vectors");
      command.add_option("files", *files, "Vector files in JSON; each file's form is told from its content")
          ->required();
      command.callback([files, &exitCode] { exitCode = runCheckVectors(*files); });
   }
   const auto addNames = [&](const char* name, const char* help, int (*run)(const NameOptions&), bool methods) {
      auto options = std::make_shared<NameOptions>();
      CLI::App& command = *format.add_subcommand(name, help);
      command.add_option("values", options->values, "Names, or with --number numbers (decimal or 0x…)")->required();
      command.add_flag("--number,-n", options->asNumbers, "The values are numbers; show their names");
      if (methods)
         command.add_flag("--rust", options->rust, "Number the name as services built with the Rust SDK do");
      command.callback([options, run, &exitCode] { exitCode = run(*options); });
   };
   addNames("account", "Account names to numbers and back", &runNames<AccountNumber>, false);
   addNames("method", "Method names to numbers and back", &runNames<MethodNumber>, true);

   const auto addValue = [&](const char* name, const char* help, int (*run)(const ValueOptions&), bool typed,
                             const char* binaryMeaning) {
      auto options = std::make_shared<ValueOptions>();
      CLI::App& command = *format.add_subcommand(name, help);
      addValueOptions(command, *options, typed, binaryMeaning);
      command.callback([options, run, &exitCode] { exitCode = run(*options); });
   };
   const char* binaryIn = "The input is bytes as they are, not hexadecimal";
   addValue("json", "Packed bytes to JSON", &runToJson, true, binaryIn);
   addValue("pack", "JSON to packed bytes", &runPack, true, "Write bytes as they are, not hexadecimal");
   addValue("explain", "Show what packed bytes mean, member by member, or where and why they are invalid", &runExplain,
            true, binaryIn);
   addValue("key", "JSON to its order-preserving key", &runKey, true, "Not used");
   addValue("transaction", "Decode a packed transaction, signed or not", &runTransaction, false, binaryIn);
   addValue("block", "Decode a packed block, signed or not", &runBlock, false, binaryIn);

   {
      auto name = std::make_shared<std::string>();
      CLI::App& command = *format.add_subcommand("schema", "Show the schema of a built-in type");
      command.add_option("type", *name, "See `polis format types`")->required();
      command.callback([name, &exitCode] { exitCode = runSchema(*name); });
   }
   {
      auto files = std::make_shared<std::pair<std::string, std::string>>();
      CLI::App& command = *format.add_subcommand(
          "compare",
          "Tell what a new version of a schema changes, and whether it reads what was packed by the old one");
      command.add_option("old", files->first, "File with a schema, or with a service's schema, in JSON")->required();
      command.add_option("new", files->second, "Its new version")->required();
      command.callback([files, &exitCode] { exitCode = runCompare(files->first, files->second); });
   }
   format.add_subcommand("types", "List the built-in types")->callback([&exitCode] {
      for (const BuiltinType& type : builtinTypes())
         std::cout << type.name << "\n";
      exitCode = 0;
   });
}

} // namespace polis::cli

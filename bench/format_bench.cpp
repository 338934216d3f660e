// bench/run format: fracpack beside FlatBuffers, Cap'n Proto and Protocol Buffers, typed JSON beside RapidJSON and
// simdjson: the same values, all in this process, the engines taking turns.
// format_bench [--json] [--quick] [--only TEXT] [--tiny]
//
//   transfer  a signed transaction with one token transfer       nested  97 objects, 48 deep
//   block     a header and 1,000 different transfers             row     one row of a table of balances
//   blob      1 MiB of random bytes with a name and a hash
//
//   pack          the engine's object into a reused buffer, which lies in one piece
//   unpack        bytes, checked, into a fresh object; unpack_again: into one that has held the same before
//   validate      all of the bytes, nothing kept
//   view          check the bytes, then read three fields; read: the same three once checked
//   json_out      into a reused text;   json_in: into a fresh object
//   bytes         of the packed object, alone and after zstd (level 3)
//   hostile       1 MiB of JSON or fracpack made to be slow, until it is read or refused: the first time in a fresh
//                 process, in memory that the system has to supply (median of 5), and the slowest of 7 after it
#include "format_bench_subject.hpp"

#include "bench/figures.hpp"
#include "format/builtin_types.hpp"
#include "format/dynamic.hpp"
#include "format/fracpack.hpp"
#include "format/json.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <optional>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

namespace polis::bench {
namespace {

struct Parameters {
   int rounds = 15;
   double roundSeconds = 0.02;
   std::string only;
   bool json = false;
};

/// Of processor time: what else the machine does counts less.
double seconds() {
   timespec now{};
   ASSERT(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
   return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// --- Values ----------------------------------------------------------------------------------------------------------

struct Random {
   std::uint64_t state;
   std::uint64_t operator()() {
      std::uint64_t x = state += 0x9E3779B97F4A7C15;
      x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
      x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
      return x ^ (x >> 31);
   }
   void fill(std::span<std::uint8_t> out) {
      for (std::uint8_t& byte : out)
         byte = static_cast<std::uint8_t>((*this)());
   }
   Bytes bytes(std::size_t size) {
      Bytes out(size);
      fill(out);
      return out;
   }
   Checksum256 hash() {
      Checksum256 out;
      fill(out);
      return out;
   }
   AccountNumber account() {
      static constexpr const char* names[] = {"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"};
      return AccountNumber(names[(*this)() % std::size(names)]);
   }
};

struct Credit {
   std::uint32_t tokenId;
   AccountNumber debitor;
   std::uint64_t amount;
   std::string memo;
};

Transfer makeTransfer(Random& random) {
   Transfer out;
   out.tapos = {{1'800'000'000 + static_cast<std::int64_t>(random() % 3600)},
                static_cast<std::uint32_t>(random()),
                0,
                static_cast<std::uint8_t>(random() % 128)};
   const Credit credit{1, random.account(), random() % 1'000'000'000, "rent of month " + std::to_string(random() % 12)};
   const AccountNumber sender = random.account();
   out.actions.push_back({sender, AccountNumber("tokens"), MethodNumber("credit"), format::pack(credit)});
   out.claims.push_back({AccountNumber("verify-sig"), random.bytes(59)}); // a compressed key's size in DER
   out.proofs.push_back(random.bytes(64));
   return out;
}

Block makeBlock(Random& random) {
   Block out;
   out.header = {
       random.hash(), 123'456,      {1'800'000'000'000'000}, AccountNumber("producer-a"), 7, 123'450, random.hash(),
       random.hash(), random.hash()};
   for (int i = 0; i < 1000; ++i)
      out.transactions.push_back(makeTransfer(random));
   return out;
}

/// A chain of objects; each but the last has a leaf beside the next.
Node makeNode(Random& random, unsigned depth) {
   const auto named = [&] {
      const auto id = static_cast<std::uint32_t>(random() % 100'000);
      return Node{id, "node number " + std::to_string(id), 0.5 + static_cast<double>(random() % 1000), {}};
   };
   Node out = named();
   if (depth > 1) {
      out.children.push_back(makeNode(random, depth - 1));
      out.children.push_back(named());
   }
   return out;
}

Row makeRow(Random& random) {
   return {random() % 1'000'000,
           random.account(),
           random() % 1'000'000'000'000,
           42,
           true,
           {1'800'000'000'123'456},
           "a note of some forty characters, as usual"};
}

Blob makeBlob(Random& random) { return {"images/landscape.png", "image/png", random.hash(), random.bytes(1 << 20)}; }

// --- Measuring -------------------------------------------------------------------------------------------------------

class Bench {
public:
   explicit Bench(const Parameters& parameters) : p_(parameters) {}

   template <class T>
   void compare(const char* name, const T& value) {
      if (!wanted(name))
         return;
      Subjects binary, json;
      addPolis(binary, value);
#ifdef POLIS_WITH_FLATBUFFERS
      addFlatbuffers(binary, value);
#endif
#ifdef POLIS_WITH_CAPNP
      addCapnp(binary, value);
#endif
#ifdef POLIS_WITH_PROTOBUF
      addProtobuf(binary, value);
#endif
      for (const Subject& subject : binary)
         ASSERT(subject.fields == binary[0].fields);
      addPolisJson(json, value);
      addRapidjson(json, value);
#ifdef POLIS_WITH_SIMDJSON
      addSimdjson(json, value);
#endif
      for (const Subject& subject : json)
         ASSERT(subject.packed == json[0].packed);

      for (const char* operation : {"pack", "unpack", "unpack_again", "validate", "view", "read"})
         race(name, operation, binary);
      for (const char* operation : {"json_out", "json_in"})
         race(name, operation, json);
      sizes(name, binary);
      sizes(name, {json[0]}, "json");
   }

   void hostile();

private:
   struct Figure {
      std::string engine;
      double value;
   };

   bool wanted(std::string_view name) const { return p_.only.empty() || name.find(p_.only) != name.npos; }

   /// The engines take turns, round by round; an engine's figure is the median of its rounds.
   void race(const char* name, const char* operation, Subjects& subjects) {
      struct Lane {
         Subject* subject;
         std::size_t times = 1;
         std::vector<double> rounds{};
      };
      std::vector<Lane> lanes;
      for (Subject& subject : subjects)
         if (subject.works.contains(operation))
            lanes.push_back({&subject});
      for (Lane& lane : lanes)
         for (double took = 0; took < p_.roundSeconds; lane.times *= 2) {
            took = timed(*lane.subject, operation, lane.times);
            if (took >= p_.roundSeconds / 2)
               break;
         }
      for (int round = 0; round < p_.rounds; ++round)
         for (Lane& lane : lanes)
            lane.rounds.push_back(1e9 * timed(*lane.subject, operation, lane.times) / static_cast<double>(lane.times));
      std::vector<Figure> figures;
      for (Lane& lane : lanes) {
         std::sort(lane.rounds.begin(), lane.rounds.end());
         figures.push_back({lane.subject->engine, lane.rounds[lane.rounds.size() / 2]});
      }
      say(name, operation, "time", "ns", figures);
   }

   static double timed(Subject& subject, const char* operation, std::size_t times) {
      Work& work = subject.works.at(operation);
      const double from = seconds();
      work(times);
      return seconds() - from;
   }

   void sizes(const char* name, const Subjects& subjects, const std::string& prefix = "") {
      std::vector<Figure> plain, compressed;
      for (const Subject& subject : subjects) {
         Bytes out(ZSTD_compressBound(subject.packed.size()));
         const std::size_t size =
             ZSTD_compress(out.data(), out.size(), subject.packed.data(), subject.packed.size(), 3);
         ASSERT(!ZSTD_isError(size));
         plain.push_back({subject.engine, static_cast<double>(subject.packed.size())});
         compressed.push_back({subject.engine, static_cast<double>(size)});
      }
      const std::string operation = prefix.empty() ? "" : prefix + "_";
      say(name, (operation + "bytes").c_str(), "size", "B", plain);
      say(name, (operation + "zstd").c_str(), "size", "B", compressed);
   }

   /// A line of the table: the figures, and after each of a peer how many times ours it is.
   void say(const char* name, const char* operation, const char* metric, const char* unit,
            const std::vector<Figure>& figures) const {
      if (p_.json) {
         for (const Figure& figure : figures)
            printJson("format", std::string(name) + "/" + operation, figure.engine, metric, figure.value, unit);
         return;
      }
      std::printf("%-9s %-13s %-2s", name, operation, unit);
      for (const Figure& figure : figures) {
         std::printf("  %s %.*f", figure.engine.c_str(), figure.value < 100 ? 1 : 0, figure.value);
         if (&figure != &figures[0])
            std::printf(" (x%.2f)", figure.value / figures[0].value);
      }
      std::printf("\n");
      std::fflush(stdout);
   }

   const Parameters& p_;
};

// --- Hostile input ---------------------------------------------------------------------------------------------------

struct Anything;
using AnyList = std::vector<Anything>;
struct Anything {
   std::uint8_t id = 0;
   std::optional<std::string> text{};
   AnyList children{};
};

/// What a process that has just begun needs for it, and the most that it needs again.
struct Took {
   double firstMs = 0, slowestMs = 0;
};

template <class F>
Took inFreshProcess(int again, const F& once) {
   const auto timed = [&] {
      const double from = seconds();
      const auto result = once();
      const double took = seconds() - from;
      keepObject(result);
      return 1e3 * took;
   };
   int ends[2];
   ASSERT(::pipe(ends) == 0);
   const pid_t child = ::fork();
   ASSERT(child >= 0);
   if (child == 0) {
      Took took{.firstMs = timed()};
      for (int i = 0; i < again; ++i)
         took.slowestMs = std::max(took.slowestMs, timed());
      ::_exit(::write(ends[1], &took, sizeof took) != sizeof took);
   }
   Took took;
   int status = 0;
   ASSERT(::read(ends[0], &took, sizeof took) == sizeof took);
   ASSERT(::waitpid(child, &status, 0) == child && status == 0);
   ::close(ends[0]);
   ::close(ends[1]);
   return took;
}

/// A text of 1 MiB: `part` again and again. A # in it is a number that counts up.
std::string filled(std::string_view head, std::string_view part, std::string_view last) {
   constexpr std::size_t size = 1 << 20;
   std::string out(head);
   const std::size_t hash = part.find('#');
   for (std::uint32_t i = 0; out.size() + part.size() + last.size() + 8 <= size; ++i) {
      out += part.substr(0, hash);
      if (hash != part.npos) {
         // In no order: what is sorted has to be sorted.
         out += std::to_string(i * 2654435761u % 1000000);
         out += part.substr(hash + 1);
      }
   }
   return out += last;
}

void Bench::hostile() {
   const auto worst = [&](const std::string& name, const auto& once) {
      if (!wanted(name))
         return;
      std::vector<double> first;
      double slowest = 0;
      for (int i = 0; i < std::min(p_.rounds, 5); ++i) {
         const Took took = inFreshProcess(i == 0 ? std::min(p_.rounds, 7) : 0, once);
         first.push_back(took.firstMs);
         slowest = std::max(slowest, took.slowestMs);
      }
      std::sort(first.begin(), first.end());
      say("hostile", name.c_str(), "slowest", "ms", {{"polis", slowest}});
      say("hostile", (name + "/first").c_str(), "time", "ms", {{"polis", first[first.size() / 2]}});
   };

   const std::pair<const char*, std::string> texts[] = {
       {"ones", filled("[", "1,", "1]")},
       {"lists", filled("[", "[],", "[]]")},
       {"one_lists", filled("[", "[1],", "[1]]")},
       {"strings", filled("[", "\"\",", "\"\"]")},
       {"hex", filled("[", "\"00\",", "\"00\"]")},
       {"names", filled("[", "\"a b\",", "\"\"]")},
       {"words", filled("[", "\"abcd\",", "\"\"]")},
       {"long_names", filled("[", "\"0123456789abcdef\",", "\"\"]")},
       {"objects", filled("[", "{},", "{}]")},
       {"digits", filled("", "1", "")},
       {"fractions", filled("[", "1e-307,", "1]")},
       {"escapes", filled("[\"", "\\u0001", "\"]")},
       {"wide", filled("[\"", "\xC3\xA9", "\"]")},
       {"open", filled("", "[", "")},
       {"members", filled("{\"id\":0,\"children\":[", "{\"id\":1},", "{\"id\":1}]}")},
       {"fewer", filled("{\"id\":0,\"children\":[", "{\"id\": 1234},", "{\"id\":1}]}")},
       {"repeated", filled("{", "\"id\":1,", "\"id\":2}")},
       {"unknown", filled("{", "\"x\":[],", "\"id\":2}")},
       {"keys", filled("{", "\"#\":1,", "\"\":2}")},
       {"key_texts", filled("{", "\"#\":\"\",", "\"\":\"\"}")},
   };
   struct Dynamic {
      format::CompiledSchema schema;
      format::TypeId type;
   };
   const auto bySchema = [](const format::Schema& source) {
      auto schema = format::CompiledSchema::compile(source);
      ASSERT(schema);
      const format::TypeId type = schema->find("T").value();
      return Dynamic{std::move(*schema), type};
   };
   const std::pair<const char*, Dynamic> schemas[] = {
       {"schema", bySchema(format::schemaOf<Anything>("T"))},
       {"schema_numbers", bySchema(format::schemaOf<std::vector<double>>("T"))},
       {"schema_texts", bySchema(format::schemaOf<std::vector<std::string>>("T"))},
       {"schema_lists", bySchema(format::schemaOf<std::vector<std::vector<std::uint64_t>>>("T"))},
       {"schema_tuples",
        bySchema(format::schemaOf<std::vector<std::tuple<std::uint64_t, std::optional<std::string>>>>("T"))},
       {"schema_map", bySchema(format::schemaOf<std::map<std::string, double>>("T"))},
       {"schema_text_map", bySchema(format::schemaOf<std::map<std::string, std::string>>("T"))},
   };
   for (const auto& [name, text] : texts) {
      const std::string prefix = std::string(name) + "/";
      worst(prefix + "numbers", [&] { return format::fromJson<std::vector<double>>(text); });
      worst(prefix + "bytes", [&] { return format::fromJson<Bytes>(text); });
      worst(prefix + "lists", [&] { return format::fromJson<std::vector<std::vector<std::uint64_t>>>(text); });
      worst(prefix + "byte_lists", [&] { return format::fromJson<std::vector<Bytes>>(text); });
      worst(prefix + "texts", [&] { return format::fromJson<std::vector<std::string>>(text); });
      worst(prefix + "options", [&] { return format::fromJson<std::vector<std::optional<std::string>>>(text); });
      worst(prefix + "objects", [&] { return format::fromJson<Anything>(text); });
      worst(prefix + "map", [&] { return format::fromJson<std::map<std::string, double>>(text); });
      worst(prefix + "text_map", [&] { return format::fromJson<std::map<std::string, std::string>>(text); });
      for (const auto& [reader, dynamic] : schemas)
         worst(prefix + reader, [&] { return dynamic.schema.fromJson(dynamic.type, text); });
   }

   // A list of the shortest elements there are, one of empty lists in empty lists, and one that ends badly.
   constexpr std::size_t size = 1 << 20;
   const Bytes objects = format::pack(AnyList(size / 11));
   worst("packed/objects", [&] { return format::unpack<AnyList>(objects); });
   const Bytes lists = format::pack(std::vector<std::vector<std::uint64_t>>(size / 4));
   worst("packed/lists", [&] { return format::unpack<std::vector<std::vector<std::uint64_t>>>(lists); });
   worst("packed/texts", [&] { return format::unpack<std::vector<std::string>>(lists); });
   worst("packed/options", [&] { return format::unpack<std::vector<std::optional<std::string>>>(lists); });
   const Bytes ones = format::pack(std::vector<std::string>(size / 9, "."));
   worst("packed/ones", [&] { return format::unpack<std::vector<std::string>>(ones); });
   worst("packed/bytes", [&] { return format::unpack<std::vector<Bytes>>(ones); });
   Bytes bad = ones;
   bad.back() = 1;
   bad.push_back(0);
   worst("packed/bad", [&] { return format::unpack<std::vector<std::string>>(bad); });
   Anything wide;
   wide.children.resize(size / 11);
   const Bytes tree = format::pack(wide);
   worst("packed/schema", [&] { return schemas[0].second.schema.check(schemas[0].second.type, tree); });
}

int run(const Parameters& p) {
   Bench bench(p);
   Random random{1};
   bench.compare("transfer", makeTransfer(random));
   bench.compare("block", makeBlock(random));
   bench.compare("nested", makeNode(random, 48));
   bench.compare("row", makeRow(random));
   bench.compare("blob", makeBlob(random));
   bench.hostile();
   return 0;
}

} // namespace
} // namespace polis::bench

int main(int argc, char** argv) {
   polis::bench::Parameters p;
   for (int i = 1; i < argc; ++i) {
      const std::string_view argument = argv[i];
      if (argument == "--json") {
         p.json = true;
      } else if (argument == "--quick") {
         p.rounds = 7;
         p.roundSeconds = 0.01;
      } else if (argument == "--tiny") {
         p.rounds = 1;
         p.roundSeconds = 0;
      } else if (argument == "--only" && i + 1 < argc) {
         p.only = argv[++i];
      } else {
         std::fprintf(stderr, "usage: format_bench [--json] [--quick] [--only TEXT] [--tiny]\n");
         return 2;
      }
   }
   return polis::bench::run(p);
}

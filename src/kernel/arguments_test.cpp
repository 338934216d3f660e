// Each host function with each argument wrong, in each mode, by each kind of service. Rules: spec, kernel §2 and §4.1.
#include "kernel/test/interpreter.hpp"

namespace polis::kernel {

using format::RunMode;

namespace {

enum class Needs { nothing, privilege, localPrivilege };

/// arguments: h handle; s span; o span that is written; p pointer to 8 bytes; n number that must be right;
/// a number, any of which is answered; w, W the same for 64 bits.
struct Rule {
   const char* name;
   const char* arguments;
   bool subjectiveOnly = false;
   Needs needs = Needs::nothing;
};

constexpr Rule rules[] = {
    {"getResult", "oa"},
    {"getKey", "o"},
    {"writeConsole", "s"},
    {"abortMessage", "s"},
    {"getCurrentAction", ""},
    {"call", "sw"},
    {"setRetval", "s"},
    {"kvOpen", "nsn"},
    {"kvOpenAt", "hsn"},
    {"kvClose", "h"},
    {"exportHandles", "s"},
    {"importHandles", ""},
    {"kvPut", "hss"},
    {"kvRemove", "hs"},
    {"kvGet", "hs"},
    {"kvGreaterEqual", "hsn"},
    {"kvLessThan", "hsn"},
    {"kvMax", "hs"},
    {"clockTimeGet", "ap", true},
    {"getRandom", "o", true},
    {"setMaxCpuTime", "W", false, Needs::privilege},
    {"checkoutSubjective", ""},
    {"commitSubjective", ""},
    {"abortSubjective", ""},
    {"socketOpen", "s", true, Needs::localPrivilege},
    {"socketSend", "asa", true, Needs::localPrivilege},
    {"socketSetFlags", "aaa", true, Needs::localPrivilege},
    {"readFile", "s", true, Needs::localPrivilege},
};

// Words of the interpreter: see there.
constexpr std::uint8_t ones = edgesFrom, memoryEnd = edgesFrom + 3, lastByte = edgesFrom + 4, lastFour = edgesFrom + 15;
constexpr std::uint8_t prefixPair = pairsFrom, keyPair = pairsFrom + 8, actionPair = pairsFrom + 18;

struct BadSpan {
   const char* what;
   std::uint8_t pointer, bytes;
};
constexpr BadSpan badSpans[] = {
    {"far away", ones, 1},          {"too long", 0, ones},
    {"one byte over", lastByte, 2}, {"empty, past the end", ones, 0},
    {"at the end", memoryEnd, 1},   {"wraps around", lastFour, ones},
};

/// The number of a function among those that the interpreter calls.
std::uint8_t numberOf(std::string_view name) {
   const auto functions = hostFunctions();
   for (std::size_t i = 0; i < functions.size(); ++i)
      if (functions[i].name == name)
         return static_cast<std::uint8_t>(i);
   ADD_FAILURE() << name;
   return 0;
}

/// How a call's bytes begin: the function, and arguments that are right. at: where each argument begins.
Bytes rightCall(const Rule& rule, std::vector<std::size_t>& at) {
   Bytes out{numberOf(rule.name)};
   for (const char* a = rule.arguments; *a; ++a) {
      at.push_back(out.size());
      switch (*a) {
      case 's':
      case 'o': {
         const std::uint8_t pair = std::string_view(rule.name) == "call" ? actionPair : keyPair;
         append(out, Bytes{pair, static_cast<std::uint8_t>(pair + 1)});
         break;
      }
      case 'w':
      case 'W':
         append(out, Bytes{0, 0});
         break;
      case 'n': // a mode is 1, a database or how much must match 0
         out.push_back(a[1] == 0 && std::string_view(rule.name).starts_with("kvOpen") ? 1 : 0);
         break;
      case 'p':
         out.push_back(programAt >> 16); // 1: as good a place as any
         break;
      default:
         out.push_back(0);
      }
   }
   return out;
}

} // namespace

class ArgumentsTest : public ChainTest {
protected:
   enum class Mode { transaction, verify, speculative, rpc, callback };
   static constexpr Mode modes[] = {Mode::transaction, Mode::verify, Mode::speculative, Mode::rpc, Mode::callback};
   static constexpr const char* modeNames[] = {"transaction", "verify", "speculative", "rpc", "callback"};
   const AccountNumber local = "local"_a;

   void SetUp() override {
      ChainTest::SetUp();
      vm::onExecutionStack([this] {
         auto data = genesisData();
         for (auto& service : data.services)
            if (service.service != transact)
               service.code = interpreter();
         const auto trace = kernel->pushBoot(
             {transaction({{AccountNumber(), AccountNumber(), "boot"_m, format::pack(data)}})}, "prod"_a, time);
         ASSERT_TRUE(trace && !trace->error);
         LocalTemplate services;
         services.services.push_back({local, CodeRow::isPrivileged, interpreter()});
         ASSERT_TRUE(kernel->firstStart(services, {}, {"test", "{}"}));
         startBlock();
      });
   }

   static bool subjective(Mode mode) { return mode == Mode::rpc || mode == Mode::callback; }
   bool privileged(AccountNumber service, Mode mode) const { return service != plain && mode != Mode::verify; }

   std::string error(Mode mode, AccountNumber service, const Bytes& program) {
      const Action action{service, service, "run"_m, program};
      if (mode == Mode::transaction)
         return kernel->push(transaction({action})).error.value_or("");
      constexpr RunMode runModes[] = {{}, RunMode::verify, RunMode::speculative, RunMode::rpc, RunMode::callback};
      return kernel->runAction(runModes[static_cast<int>(mode)], action).error.value_or("");
   }

   /// Handle 0, where the mode has any: of database 0, for all that may be done there.
   Bytes opened(Mode mode, AccountNumber service) const {
      if (!privileged(service, mode))
         return {};
      const std::uint8_t access = subjective(mode) ? 1 : 3;
      return {numberOf("kvOpen"), 0, prefixPair, prefixPair + 1, access};
   }

   /// A host function, called by a service in a mode. refusal: what it says whatever the arguments; empty: nothing.
   struct Call {
      const Rule& rule;
      Mode mode;
      AccountNumber service;
      std::string refusal, what;
   };

   template <class F>
   void forEach(F&& body) {
      for (const Rule& rule : rules)
         for (const Mode mode : modes)
            for (const AccountNumber service : {alice, plain, local, verify}) {
               if ((mode == Mode::verify) != (service == verify) || (service == local && !subjective(mode)))
                  continue;
               Call call{rule, mode, service, "",
                         std::string(rule.name) + " by " + service.str() + " in " + modeNames[static_cast<int>(mode)]};
               if (rule.subjectiveOnly && !subjective(mode))
                  call.refusal = "not available in this mode";
               else if (rule.needs == Needs::localPrivilege && service != local)
                  call.refusal = "privileged node-local";
               else if (rule.needs == Needs::privilege && !privileged(service, mode))
                  call.refusal = "privileged";
               body(call);
            }
   }

   /// body(call, program, place, kind): a program that makes the call with arguments that are right, and where in it
   /// one of them stands.
   template <class F>
   void forEachArgument(F&& body) {
      forEach([&](const Call& call) {
         std::vector<std::size_t> at;
         const Bytes right = rightCall(call.rule, at);
         for (std::size_t i = 0; i < at.size(); ++i) {
            Bytes program = opened(call.mode, call.service);
            const std::size_t place = program.size() + at[i];
            append(program, right);
            body(call, std::move(program), place, call.rule.arguments[i]);
         }
      });
   }
   static bool isSpan(char kind) { return kind == 's' || kind == 'o' || kind == 'p'; }
};

TEST(HostFunctions, eachHasARuleForItsArguments) {
   const auto functions = hostFunctions();
   ASSERT_EQ(functions.size(), std::size(rules));
   for (const Rule& rule : rules) {
      std::size_t words = 0;
      for (const char* a = rule.arguments; *a; ++a)
         words += *a == 's' || *a == 'o' ? 2 : 1;
      EXPECT_EQ(functions[numberOf(rule.name)].type.params.size(), words) << rule.name;
   }
}

CHAIN_TEST(ArgumentsTest, spansOutsideOfMemory) {
   forEachArgument([&](const Call& call, Bytes program, std::size_t place, char kind) {
      if (!isSpan(kind))
         return;
      for (const BadSpan& bad : badSpans) {
         if (kind == 'p' && bad.pointer == 0)
            continue;
         program[place] = bad.pointer;
         if (kind != 'p')
            program[place + 1] = bad.bytes;
         const std::string found = error(call.mode, call.service, program);
         const std::string_view name = call.rule.name;
         if (!call.refusal.empty())
            EXPECT_NE(found.find(call.refusal), found.npos) << call.what << ", " << bad.what << ": " << found;
         else if (call.rule.arguments[0] == 'h' && !privileged(call.service, call.mode))
            EXPECT_EQ(found, "Invalid bucket") << call.what << ", " << bad.what;
         else if ((name == "kvPut" || name == "kvRemove") && subjective(call.mode))
            EXPECT_NE(found.find("Cannot write"), found.npos) << call.what << ", " << bad.what << ": " << found;
         else
            EXPECT_NE(found.find("wasm memory out-of-bounds"), found.npos)
                << call.what << ", " << bad.what << ": " << found;
      }
   });
}

CHAIN_TEST(ArgumentsTest, numbersThatMeanNothing) {
   forEachArgument([&](const Call& call, Bytes program, std::size_t place, char kind) {
      if (isSpan(kind))
         return;
      program[place] = ones;
      const std::string found = error(call.mode, call.service, program);
      if (!call.refusal.empty())
         EXPECT_NE(found.find(call.refusal), found.npos) << call.what << ": " << found;
      else if (kind == 'h')
         EXPECT_EQ(found, "Invalid bucket") << call.what;
      else if (kind == 'n' || kind == 'w')
         EXPECT_NE(found, "") << call.what << ", byte " << place;
      else
         EXPECT_EQ(found, "") << call.what << ", byte " << place;
   });
}

CHAIN_TEST(ArgumentsTest, modesAndPrivileges) {
   // Refused with arguments that are right, too, and by nothing else.
   forEach([&](const Call& call) {
      std::vector<std::size_t> at;
      Bytes program = opened(call.mode, call.service);
      append(program, rightCall(call.rule, at));
      const std::string found = error(call.mode, call.service, program);
      if (!call.refusal.empty())
         EXPECT_NE(found.find(call.refusal), found.npos) << call.what << ": " << found;
      else {
         EXPECT_EQ(found.find("not available in this mode"), found.npos) << call.what << ": " << found;
         EXPECT_EQ(found.find("requires a privileged"), found.npos) << call.what << ": " << found;
      }
   });
}

} // namespace polis::kernel

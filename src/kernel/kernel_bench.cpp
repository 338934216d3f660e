// What the kernel itself costs, with the puppet for services: one JSON object a figure.
#include "kernel/databases.hpp"
#include "kernel/test/test_chain.hpp"

#include <chrono>
#include <cstdio>

namespace polis::kernel {

namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void figure(const char* name, double perSecond) {
   std::printf("{\"suite\":\"kernel\",\"case\":\"%s\",\"engine\":\"polis\",\"metric\":\"ops_per_s\",\"value\":%.0f,"
               "\"unit\":\"1/s\"}\n",
               name, perSecond);
}

} // namespace

/// Not assertions: figures. Few rounds in the fast suite, so that it cannot rot.
class KernelBench : public ChainTest {
protected:
   static int rounds() {
      const char* given = std::getenv("POLIS_BENCH_ROUNDS");
      return given ? std::atoi(given) : 20;
   }
   void measure(const char* name, AccountNumber service, const Program& program) {
      const auto trx = transaction({action(service, program)});
      startBlock();
      ASSERT_EQ(kernel->push(trx).error.value_or(""), "");
      const double start = seconds();
      for (int i = 0; i < rounds(); ++i)
         (void)kernel->push(trx);
      figure(name, rounds() / (seconds() - start));
      (void)seal();
   }
};

CHAIN_TEST(KernelBench, transactions) {
   boot();
   measure("noop", plain, Program());
   measure("put", alice, Program().open(0, prefixOf(alice), 3).put(0, "k", "value"));
   Program ten = Program().open(0, prefixOf(alice), 3);
   for (int i = 0; i < 14; ++i)
      ten.put(0, "key" + std::to_string(i), "some value of a row that is not very long");
   measure("put_14", alice, ten);
   Program many;
   for (int i = 0; i < 20; ++i)
      many.call(action(bob, Program(), alice));
   measure("call_20", alice, many);
   const double start = seconds();
   const auto query = action(alice, Program().open(0, prefixOf(alice), 1).get(0, "key1"));
   for (int i = 0; i < rounds(); ++i)
      (void)kernel->runAction(format::RunMode::rpc, query);
   figure("query", rounds() / (seconds() - start));
}

} // namespace polis::kernel

#ifdef POLIS_BENCH_MAIN
/// [--json] [--quick]: figures only, one JSON object a line either way.
int main(int argc, char** argv) {
   bool quick = false;
   for (int i = 1; i < argc; ++i)
      quick = quick || std::string_view(argv[i]) == "--quick";
   setenv("POLIS_BENCH_ROUNDS", quick ? "3000" : "30000", 0);
   testing::InitGoogleTest(&argc, argv);
   auto& listeners = testing::UnitTest::GetInstance()->listeners();
   delete listeners.Release(listeners.default_result_printer());
   return RUN_ALL_TESTS();
}
#endif

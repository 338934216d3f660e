#include "dyn-ld/service/dyn_ld.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::DynDep;
using polis::services::DynLd;

namespace {

using Deps = std::vector<DynDep>;

std::string depsOf(TestChain& chain, std::string_view service) {
   return chain.graphql("dyn-ld", "{ depsFor(service: \"" + std::string(service) + "\") { deps { name service } } }");
}

} // namespace

POLIS_TEST(dyn_ld_groups_come_together_and_go_alone) {
   TestChain chain("DynLd");
   const auto alice = chain.account("alice");
   expectEqual(depsOf(chain, "alice"), R"({"data":{"depsFor":null}})");
   alice.to<DynLd>().link("Tea", Deps{{"tea", "tea-shop"_a}, {"db", "db"_a}}).succeeds();
   alice.to<DynLd>().link("Milk", Deps{{"milk", "milkman"_a}, {"db", "db"_a}}).succeeds();
   expectEqual(depsOf(chain, "alice"),
               R"({"data":{"depsFor":{"deps":[{"name":"db","service":"db"},{"name":"milk","service":"milkman"},)"
               R"({"name":"tea","service":"tea-shop"}]}}})");
   alice.to<DynLd>().link("Tea", Deps{{"pot", "teapot"_a}}).succeeds();
   alice.to<DynLd>().unlink("Milk").succeeds();
   expectEqual(depsOf(chain, "alice"), R"({"data":{"depsFor":{"deps":[{"name":"pot","service":"teapot"}]}}})");
   alice.to<DynLd>().unlink("Tea").succeeds();
   alice.to<DynLd>().unlink("Tea").succeeds();
   expectEqual(depsOf(chain, "alice"), R"({"data":{"depsFor":null}})");
}

POLIS_TEST(dyn_ld_a_name_means_one_service) {
   TestChain chain("DynLd");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<DynLd>().link("Tea", Deps{{"tea", "tea-shop"_a}}).succeeds();
   alice.to<DynLd>().link("Other", Deps{{"tea", "teapot"_a}}).fails("tea is both teapot and tea-shop");
   bob.to<DynLd>().link("Other", Deps{{"tea", "teapot"_a}}).succeeds();
   alice.to<DynLd>().link("Tea", Deps{{"a", "tea-shop"_a}, {"a", "teapot"_a}}).fails("a is both tea-shop and teapot");
   expectEqual(depsOf(chain, "alice"), R"({"data":{"depsFor":{"deps":[{"name":"tea","service":"tea-shop"}]}}})");
}
POLIS_TEST_MAIN()

#include "x-admin/service/x_admin.hpp"

#include <polis/test.hpp>

using namespace polis::test;

namespace {

void configure(TestChain& chain, std::string_view config) {
   const auto key = native::rowKey(native::hostConfigTable);
   const auto row = pack(HostConfigRow{"suite", std::string(config)});
   raw::polis_tester_kvPut(chain.number(), static_cast<std::uint32_t>(Db::nativeSession), key.data(),
                           static_cast<std::uint32_t>(key.size()), row.data(), static_cast<std::uint32_t>(row.size()));
   chain
       .run(RunMode::rpc,
            {AccountNumber(), AccountNumber("x-http"), MethodNumber("startSession"), pack(std::tuple<>())})
       .succeeds();
}

HttpReply get(TestChain& chain, std::string_view host, std::string_view target) {
   HttpRequest request;
   request.host = host;
   request.method = "GET";
   request.target = target;
   return chain.http(std::move(request));
}

} // namespace

// As the library of suites for the protocol begins a session: by a row that has its hosts beside the node's settings.
POLIS_TEST(x_admin_takes_hosts_from_where_suites_for_the_protocol_name_them) {
   TestChain chain;
   configure(chain, R"({"host":{"hosts":["suite.example"],"listen":["8080"]}})");
   expectEqual(get(chain, "accounts.suite.example", "/api/account?name=accounts").status, 200);
   expectEqual(get(chain, "accounts.elsewhere.example", "/api/account?name=accounts").status, 302);
   const auto shown = get(chain, "x-admin.suite.example", "/config");
   expectEqual(std::string(asText(shown.body)),
               R"({"p2p":false,"peers":[],"hosts":["suite.example"],"listen":["8080"]})");
}

POLIS_TEST(x_admin_takes_hosts_from_all_places_each_once) {
   TestChain chain;
   configure(chain, R"({"service":{"argv":["--host","b.example"],"config":{"hosts":["a.example","c.example"]}},)"
                    R"("host":{"hosts":"a.example"}})");
   expectContains(asText(get(chain, "x-admin.a.example", "/config").body),
                  R"("hosts":["a.example","c.example","b.example"])");
}

POLIS_TEST_MAIN()

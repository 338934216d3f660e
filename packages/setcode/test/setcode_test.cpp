#include "setcode/service/setcode.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::SetCode;

POLIS_TEST(setcode_graphql_tells_whose_code_is_what) {
   TestChain chain("SetCode,AuthSig,Hello");
   const auto ask = [&](std::string_view query) { return chain.graphql("setcode", query); };
   expectContains(
       ask(R"({ code(account: "setcode") { codeNum flags vmType vmVersion } none: code(account: "nobody") { codeNum } })"),
       R"({"data":{"code":{"codeNum":"setcode","flags":["isPrivileged"],"vmType":0,"vmVersion":0},"none":null}})");
   expectContains(ask(R"({ code(account: "verify-sig") { flags } })"), R"({"flags":["isVerify"]})");
   // The code is what the hash is of.
   const std::string reply = ask(R"({ code(account: "hello") { codeHash codeHex } })");
   const auto valueOf = [&](std::string_view name) {
      const auto at = reply.find("\"" + std::string(name) + "\":\"");
      if (!expect(at != reply.npos, name))
         return std::string();
      const auto from = at + name.size() + 4;
      return reply.substr(from, reply.find('"', from) - from);
   };
   const auto hex = valueOf("codeHex");
   Bytes code;
   for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
      code.push_back(static_cast<std::uint8_t>(polis::hexDigit(hex[i]) << 4 | polis::hexDigit(hex[i + 1])));
   expectEqual(polis::toHex(ByteView(sha256(ByteView(code)))), valueOf("codeHash"));
}

POLIS_TEST_MAIN()

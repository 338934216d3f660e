#include "brotli-svc/service/brotli_svc.hpp"
#include "sites/service/sites.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::BrotliService;
using polis::services::Sites;

namespace {

// Made by another implementation (zlib.brotliCompressSync of Node.js).
const Bytes packed = polis::fromHex("1b2700f88d946ede44095286966c2c6f35083d95800dfb3804").value();
constexpr std::string_view text = "hello, hello, hello, hello, hello, world";

} // namespace

POLIS_TEST(brotli_unpacks_and_refuses_what_is_malformed) {
   TestChain chain("BrotliSvc");
   const auto ask = [&](const Bytes& content) { return chain.read<BrotliService>().decompress(content); };
   expectEqual(asText(ask(packed).value()), text);
   expectEqual(ask(polis::fromHex("3b").value()).value().size(), 0u);
   for (std::size_t size = 0; size < packed.size(); ++size)
      ask(Bytes(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size))).fails("Decompression failed");
   Bytes longer = packed;
   longer.push_back(0);
   ask(longer).fails("Decompression failed");
   ask(Bytes(20, 0xff)).fails("Decompression failed");
   // A few bytes may claim to be many.
   expectEqual(ask(polis::fromHex("9bffff7f0024f0e2b14072efff00").value()).value().size(), BrotliService::bytesMax);
   ask(polis::fromHex("cbffff3f0024f0e2b14072efff0000107803").value()).fails("too large");
}

// S-4
POLIS_TEST(brotli_serves_clients_that_do_not_take_it) {
   TestChain chain("Sites,BrotliSvc");
   const auto alice = chain.account("alice");
   alice.to<Sites>().storeSys("/a.txt", "text/plain", "br", packed).succeeds();
   const auto get = [&](std::vector<HttpHeader> headers) { return chain.get("alice", "/a.txt", std::move(headers)); };
   const auto encodingOf = [](const HttpReply& reply) {
      for (const auto& header : reply.headers)
         if (header.name == "Content-Encoding")
            return header.value;
      return std::string("-");
   };
   expect(get({}).body == packed && encodingOf(get({})) == "br", "no word about it: as stored");
   const auto taken = get({{"Accept-Encoding", "gzip, br;q=0.5"}});
   expect(taken.body == packed && encodingOf(taken) == "br", "taken: as stored");
   const auto plain = get({{"Accept-Encoding", "gzip"}});
   expectEqual(plain.status, 200);
   expectEqual(asText(plain.body), text);
   expectEqual(encodingOf(plain), "-");
   expectEqual(get({{"Accept-Encoding", "gzip, identity;q=0"}}).status, 406);
   expectEqual(get({{"Accept-Encoding", "gzip, *;q=0"}}).status, 406);
   expectEqual(asText(chain.read<Sites>().getData(alice.name(), "/a.txt", true).value()), text);
   alice.to<Sites>().storeSys("/b.txt", "text/plain", "gzip", packed).succeeds();
   expectEqual(chain.get("alice", "/b.txt", {{"Accept-Encoding", "br"}}).status, 406); // gzip is not unpacked
}

POLIS_TEST_MAIN()

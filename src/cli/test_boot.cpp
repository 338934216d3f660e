#include "cli/test_boot.hpp"

#include "base/random.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "node/boot.hpp"
#include "node/local_template.hpp"
#include "node/version.hpp"

#include <tuple>

namespace polis::cli {

namespace {

using namespace format::literals;
using kernel::TestChain;
using kernel::TesterError;

constexpr std::uint32_t nativeSubjective = 65, nativeSession = 67;

void putConfig(TestChain& chain, const TestBoot& boot) {
   const format::HostConfigRow config{std::string("polis ") + std::string(node::version),
                                      R"({"host":{},"service":{"argv":[],"config":{"hosts":[")" + boot.host +
                                          R"("]}}})"};
   chain.put(nativeSession, format::HostConfigRow::key(), format::pack(config));
}

void installLocal(TestChain& chain, const kernel::LocalTemplate& local, const TestBoot& boot) {
   for (const auto& service : local.services) {
      const format::CodeRow row{service.account, service.flags, format::sha256(ByteView(service.code)), 0, 0};
      chain.put(nativeSubjective, row.key(), format::pack(row));
      const format::CodeByHashRow code{row.codeHash, 0, 0, service.code};
      chain.put(nativeSubjective, code.key(), format::pack(code));
   }
   putConfig(chain, boot);
   for (const auto& request : local.requests) {
      const auto reply = chain.serve(request)->reply();
      const auto unpacked = reply ? format::unpack<format::HttpReply>(*reply) : format::HttpReply{};
      if (unpacked->status != 200)
         throw TesterError{request.method + " " + request.target + " was answered " + std::to_string(unpacked->status) +
                           ": " + std::string(asText(unpacked->body))};
   }
}

void startSession(TestChain& chain) {
   const auto trace =
       chain.runAction(format::RunMode::rpc, true,
                       {format::AccountNumber(), "x-http"_a, "startSession"_m, format::pack(std::tuple<>())});
   if (trace.error)
      throw TesterError{"startSession failed: " + *trace.error + "\n" + kernel::readable(trace)};
}

void push(TestChain& chain, const format::SignedTransaction& transaction) {
   const auto trace = chain.push(transaction);
   if (trace.error)
      throw TesterError{"booting failed: " + *trace.error + "\n" + kernel::readable(trace)};
}

format::SignedTransaction startBlockTransaction(std::int64_t timeUs) {
   format::Transaction transaction;
   transaction.tapos.expiration = format::ceilToSec({timeUs + 1'000'000});
   transaction.actions.push_back({format::AccountNumber(), "transact"_a, "startBlock"_m, format::pack(std::tuple<>())});
   format::SignedTransaction out;
   out.transaction = format::Nested<format::Transaction>(transaction);
   return out;
}

} // namespace

void startTestSession(TestChain& chain, const TestBoot& boot) {
   putConfig(chain, boot);
   startSession(chain);
}

void bootTestChain(TestChain& chain, const node::PackageFolder& folder, const TestBoot& boot) {
   const auto packagesOf = [&](const std::vector<std::string>& names) {
      auto packages = folder.resolve(names);
      if (!packages)
         throw TesterError{packages.error()};
      return std::move(*packages);
   };
   std::vector<std::string> localNames;
   for (const auto& entry : folder.entries())
      if (entry.meta.scope == "local")
         localNames.push_back(entry.meta.name);
   installLocal(chain, node::localTemplate(packagesOf(localNames)), boot);
   startSession(chain);

   node::BootOptions options;
   options.producer = boot.producer;
   options.expiration = format::ceilToSec({boot.timeUs + 1'800'000'000});
   SeededRandom random(1);
   const auto plan = node::planBoot(packagesOf(boot.packages), options, random);
   if (!plan)
      throw TesterError{plan.error()};
   chain.startBlock({boot.timeUs, boot.producer, 0, 0});
   for (const auto& transaction : plan->first)
      push(chain, transaction);
   const std::int64_t next = boot.timeUs + 1'000'000;
   chain.startBlock({next, boot.producer, 0, 0});
   push(chain, startBlockTransaction(next));
   for (const auto& transaction : plan->rest)
      push(chain, transaction);
   chain.finishBlock();
}

} // namespace polis::cli

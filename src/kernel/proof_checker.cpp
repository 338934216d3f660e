#include "kernel/proof_checker.hpp"

#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "format/ids.hpp"
#include "kernel/context.hpp"
#include "kernel/verify_services.hpp"

namespace polis::kernel {

using namespace format::literals;

struct ProofChecker::State {
   State(store::Store& store, vm::Engine& engine, Host& host, KernelOptions options)
      : machine(engine, host, std::move(options), store, store.empty(), [](std::int32_t) {}), empty(store.empty()),
        code(empty) {}

   Machine machine;
   const store::Version empty;
   /// Every code that is known, by its hash.
   store::Version code;
   /// Databases that were asked for since code was added last, by what they hold.
   std::map<format::Checksum256, store::Version> databases;
};

ProofChecker::ProofChecker(store::Store& store, vm::Engine& engine, Host& host, KernelOptions options)
   : state_(std::make_unique<State>(store, engine, host, std::move(options))) {}

ProofChecker::~ProofChecker() = default;

void ProofChecker::addCode(const format::BlockHeaderCode& code) {
   const format::CodeByHashRow row{format::sha256(ByteView(code.code)), code.vmType, code.vmVersion, code.code};
   store::Writer writer(state_->code);
   writer.put(storeKey(db::native, row.key()), format::pack(row));
   state_->code = writer.snapshot();
   state_->databases.clear();
}

std::vector<std::pair<Bytes, Bytes>> ProofChecker::rows(const format::Consensus& under, std::uint32_t database) const {
   auto out = verifyDatabase(state_->code, under.services, database);
   const format::WasmConfigRow config{under.wasmConfig.numExecutionMemories, under.wasmConfig.vmOptions};
   out.emplace_back(storeKey(database, format::WasmConfigRow::key(format::NativeTable::proofWasmConfig)),
                    format::pack(config));
   return out;
}

bool ProofChecker::verifies(const format::Consensus& under, const format::Claim& claim,
                            const format::Checksum256& digest, const Bytes& proof) {
   if (!claim.service)
      return proof.empty();
   const auto name = format::sha256Of(std::tuple(under.services, under.wasmConfig));
   auto at = state_->databases.find(name);
   if (at == state_->databases.end()) {
      store::Writer writer(state_->empty);
      for (const auto& [key, value] : rows(under, db::native))
         writer.put(key, value);
      at = state_->databases.emplace(name, writer.snapshot()).first;
   }
   ChainState state(at->second);
   Context context(state_->machine, state, {.mode = Mode::verify, .view = Checkout::View::empty, .producing = false});
   return !context
               .run(packAction(format::AccountNumber(), claim.service, "verifySys"_m,
                               format::pack(format::VerifyArgs{digest, claim, proof})),
                    Entry::called)
               .error;
}

} // namespace polis::kernel

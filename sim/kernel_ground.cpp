// Grounds for depth: every node has a kernel, a store and a journal of its own, in files. All accounts run the service
// of the kernel's tests, which does what its action tells it to and takes every proof that begins with `y`.
#include "base/fault.hpp"
#include "kernel/databases.hpp"
#include "kernel/kernel.hpp"
#include "kernel/quiet_host.hpp"
#include "sim/checker.hpp"
#include "sim/ground.hpp"
#include "store/file.hpp"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace polis::sim {
namespace {

using namespace format::literals;
namespace db = kernel::db;

constexpr AccountNumber service = "alice"_a;

/// One engine for a process: compiling is what takes time.
vm::Engine& engine() {
   static vm::Engine engine(kernel::hostFunctions(), {.cacheDir = {}, .instancesMax = 256});
   return engine;
}

Bytes serviceCode() {
   std::ifstream in(POLIS_PUPPET, std::ios::binary);
   return Bytes(std::istreambuf_iterator<char>(in), {});
}

/// Steps of the service: open a database and write one row.
Bytes writing(std::uint8_t database, ByteView prefix, ByteView key, ByteView value) {
   Bytes out;
   const auto word = [&](std::uint32_t v) { append(out, {reinterpret_cast<const std::uint8_t*>(&v), sizeof v}); };
   const auto bytes = [&](ByteView v) {
      word(static_cast<std::uint32_t>(v.size()));
      append(out, v);
   };
   out.push_back(1);
   word(database);
   bytes(prefix);
   word(3);
   out.push_back(4);
   word(0);
   bytes(key);
   bytes(value);
   return out;
}

format::SignedTransaction transaction(format::Action action) {
   format::Transaction inner;
   inner.actions.push_back(std::move(action));
   format::SignedTransaction out;
   out.transaction = format::Nested<format::Transaction>(inner);
   return out;
}
format::SignedTransaction transaction(Bytes steps) {
   return transaction({service, service, "run"_m, std::move(steps)});
}

format::SignedTransaction statusWritten(const format::StatusRow& status) {
   return transaction(writing(db::native, {}, format::StatusRow::key(), format::pack(status)));
}

/// The disk of a node that is about to lose power: it takes so many bytes more, and nothing after them.
class PowerCut final : public store::FileWatch {
public:
   std::size_t on(store::FileStep step, int, std::size_t bytes) override {
      if (!left_)
         return bytes;
      if (step != store::FileStep::write || *left_ == 0)
         throw polis::Fault("the power is cut");
      const std::size_t taken = std::min(bytes, *left_);
      *left_ -= taken;
      return taken;
   }
   void in(std::size_t bytes) { left_ = bytes; }

private:
   std::optional<std::size_t> left_;
};

/// In memory where there is room for files: power is cut as PowerCut has it, and no disk need be waited for.
std::filesystem::path workFolder() {
   std::error_code error;
   const std::filesystem::path memory = "/dev/shm";
   return !std::getenv("TMPDIR") && std::filesystem::is_directory(memory, error)
              ? memory
              : std::filesystem::temp_directory_path();
}

/// A kernel on files in a folder that goes with it.
class Machine {
public:
   Machine() {
      options_.checkpointBytesMin = options_.checkpointBytesMax = 32 << 10;
      static std::atomic<std::uint64_t> number = 0;
      folder_ = workFolder() / ("polis-sim-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
      std::filesystem::remove_all(folder_);
      open();
   }
   ~Machine() {
      close();
      std::error_code ignored;
      std::filesystem::remove_all(folder_, ignored);
   }
   Machine(const Machine&) = delete;
   Machine& operator=(const Machine&) = delete;

   void open() {
      watch_.emplace();
      std::filesystem::create_directories(folder_);
      store_ = store::Store::open(folder_ / "store");
      journal_ = store::Journal::open(folder_ / "journal", {.aheadBytes = 64 << 10, .watch = &*watch_});
      kernel_.emplace(*store_, *journal_, engine(), host_, options_);
   }
   void cutPower(std::size_t written) {
      watch_->in(written);
      close();
   }
   bool isOpen() const { return kernel_.has_value(); }
   kernel::Kernel* operator->() { return &*kernel_; }
   const kernel::Kernel* operator->() const { return &*kernel_; }
   const store::Journal& journal() const { return *journal_; }

private:
   void close() {
      kernel_.reset();
      journal_.reset();
      store_.reset();
   }

   std::filesystem::path folder_;
   kernel::QuietHost host_;
   kernel::KernelOptions options_;
   std::optional<PowerCut> watch_;
   std::unique_ptr<store::Store> store_;
   std::unique_ptr<store::Journal> journal_;
   std::optional<kernel::Kernel> kernel_;
};

/// Executes the first block, too, and takes it for irreversible.
void takeUp(Machine& machine, const BlockPtr& genesis) {
   const auto done = machine->executeBlock(genesis);
   const BlockId id = format::blockId(genesis->block.header);
   if (!done || !*done || !machine->switchHead(id) || !machine->setIrreversible(id, {}))
      throw polis::Fault("the first block is refused: " +
                         (done && !*done ? done->error().reason : std::string("head")));
   (void)machine->flush();
}

class KernelGround final : public Ground {
public:
   KernelGround(StubChain& chain, AccountNumber name, BlockPtr genesis)
      : chain_(chain), name_(name), genesis_(std::move(genesis)) {}

   Restored open() override {
      if (!machine_.isOpen())
         machine_.open();
      if (!machine_->hasChain())
         takeUp(machine_, genesis_);
      Restored restored;
      if (const auto memory = machine_->remembered()) {
         restored.record = format::unpack<SafetyRecord>(*memory).value();
         restored.fresh = false;
         // It was durable before anything rested on it.
         const BlockId& committed = restored.record->committed.id;
         if (format::blockNumOf(committed) > machine_->irreversible()->num &&
             !machine_->setIrreversible(committed, restored.record->commitProof))
            throw polis::Fault("a block that is known to be irreversible is not in the journal");
      }
      const auto root = machine_->irreversible();
      restored.root = root->id;
      restored.rootHeader = *root->header;
      restored.rootConsensus = root->status.consensus;
      restored.blocks = machine_->reversibleBlocks();
      return restored;
   }
   void crash(Dice& dice) override {
      machine_.cutPower(dice.below(machine_.journal().end() - machine_.journal().durable() + 1));
   }
   bool execute(const BlockPtr& block) override {
      const auto done = machine_->executeBlock(block);
      if (!done || !*done)
         return false;
      chain_.adopt(block);
      return true;
   }
   BlockPtr build(const StatePtr& parent, const StubChain::Order& order) override {
      if (machine_->head()->id != parent->spot.id ||
          !machine_->startBlock(
              {.time = order.timeUs, .producer = order.producer, .term = order.term, .commitNum = order.commitNum}))
         return nullptr;
      const BlockNum num = parent->spot.header.blockNum + 1;
      const ChainConsensusPtr start = parent->spot.after();
      Bytes key{static_cast<std::uint8_t>(num % 16)};
      append(key, asBytes("row"));
      bool good = !machine_
                       ->push(transaction(writing(db::service, format::toKey(service), key,
                                                  format::pack(std::tuple(num, order.mark)))))
                       .error;
      if (order.change && !start->sets.joint()) {
         format::StatusRow status = machine_->head()->status;
         status.consensus = start->joint;
         format::Consensus next = status.consensus.current;
         next.data = order.change->data;
         status.consensus.next = format::PendingConsensus{std::move(next), num};
         good = good && !machine_->push(statusWritten(status)).error;
      }
      const auto claim = format::authorClaim(start->joint, name_);
      const auto sealed =
          good && claim
              ? machine_->sealBlock(
                    [&](ByteView preimage) { return TestSignatures::signatureOf(*claim, format::sha256(preimage)); },
                    order.aux)
              : std::unexpected(kernel::Rejection{});
      if (!sealed) {
         machine_->abortBlock();
         return nullptr;
      }
      chain_.adopt(sealed->block);
      return sealed->block;
   }
   void remember(const SafetyRecord& record) override { (void)machine_->remember(format::pack(record)); }
   void setHead(const BlockId& id) override {
      if (machine_->head()->id != id && !machine_->switchHead(id))
         throw polis::Fault("consensus wants a head that is not there");
   }
   void commit(const CommitBlock& commit) override {
      if (!machine_->setIrreversible(commit.id, commit.proof))
         throw polis::Fault("consensus commits a block that is not there");
   }
   std::uint64_t end() const override { return machine_.journal().end(); }
   void sync(std::uint64_t) override {
      (void)machine_->flush();
      machine_->checkpointIfDue();
   }
   std::optional<Bytes> stateAt(const BlockId& id) const override {
      const auto state = machine_->retained(id);
      return state ? std::optional(format::pack(kernel::stateChecksum(*state))) : std::nullopt;
   }

private:
   StubChain& chain_;
   const AccountNumber name_;
   const BlockPtr genesis_;
   Machine machine_;
};

class KernelGrounds final : public Grounds {
public:
   KernelGrounds(const format::Consensus& first, std::int64_t timeUs) {
      format::GenesisActionData data;
      for (const auto& [account, flags] :
           std::map<AccountNumber, std::uint64_t>{{"transact"_a, format::CodeRow::isPrivileged},
                                                  {service, format::CodeRow::isPrivileged},
                                                  {"verify-sig"_a, format::CodeRow::isVerify}})
         data.services.push_back({account, flags, 0, 0, serviceCode()});
      format::StatusRow status;
      status.consensus.next = format::PendingConsensus{first, 2};
      Machine machine;
      const auto trace = machine->pushBoot(
          {transaction({AccountNumber(), AccountNumber(), "boot"_m, format::pack(data)}), statusWritten(status)},
          producersOf(first).at(0).name, timeUs);
      if (!trace || trace->error)
         throw polis::Fault("no chain: " + (trace ? *trace->error : trace.error().reason));
      genesis_ = std::make_shared<const format::SignedBlock>(*machine->block(2));
      spot_ = {format::blockId(genesis_->block.header), genesis_->block.header,
               std::make_shared<ChainConsensus>(machine->head()->status.consensus)};
   }
   Spot genesis() const override { return spot_; }
   std::unique_ptr<Ground> make(StubChain& chain, AccountNumber name) override {
      return std::make_unique<KernelGround>(chain, name, genesis_);
   }
   std::optional<std::string> again(const StubChain&, const Checker& checker) override {
      Machine machine;
      takeUp(machine, genesis_);
      for (const auto& [num, id] : checker.canonical()) {
         const BlockPtr block = checker.block(id);
         const auto done = block ? machine->executeBlock(block) : std::nullopt;
         if (!done || !*done)
            return "I7: executed again, block " + std::to_string(num) + " is refused";
         if (const Bytes* known = checker.stateAt(id);
             known && *known != format::pack(kernel::stateChecksum(*(*done)->state)))
            return "I7: executed again, block " + std::to_string(num) + " leads to another state";
      }
      return std::nullopt;
   }

private:
   BlockPtr genesis_;
   Spot spot_;
};

} // namespace

std::unique_ptr<Grounds> kernelGrounds(const format::Consensus& first, std::int64_t timeUs) {
   return std::make_unique<KernelGrounds>(first, timeUs);
}

} // namespace polis::sim

#include "kernel/tester.hpp"

#include "base/fault.hpp"
#include "format/fracpack.hpp"
#include "format/json.hpp"
#include "kernel/databases.hpp"
#include "kernel/impl.hpp"
#include "kernel/quiet_host.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>

namespace polis::kernel {

using namespace format::literals;

namespace {

constexpr auto xHttp = "x-http"_a;
/// Blocks that `switchTo` can go back to.
constexpr std::size_t retainedBlocks = 1024;

/// The test decides when anything runs.
class TesterHost final : public QuietHost {
public:
   explicit TesterHost(TesterOptions options) : QuietHost(options.log), options_(std::move(options)) {}

   void submit(std::function<void()> work) override { work_.push_back(std::move(work)); }

   void runWork() {
      while (!work_.empty()) {
         const auto work = std::move(work_.front());
         work_.pop_front();
         work();
      }
   }

   TesterOptions options_;

private:
   std::deque<std::function<void()>> work_;
};

/// One request of the test.
class RequestSocket final : public Socket, public TestReply {
public:
   /// sockets: of the chain, which may end before the answer is taken.
   RequestSocket(std::string target, std::weak_ptr<SocketTable> sockets)
      : target_(std::move(target)), sockets_(std::move(sockets)) {}

   void attached(std::int32_t fd) override { fd_ = fd; }
   bool lingers() const override { return true; }
   /// Nobody waits for the answer any more.
   void done() {
      const auto sockets = sockets_.lock();
      if (!sockets)
         return;
      sockets->hangUp(fd_);
      sockets->forget(fd_);
   }

   format::SocketInfo info() const override {
      return format::HttpSocketInfo{format::SocketEndpoint(format::LocalEndpoint{}), std::nullopt};
   }
   SendOutcome send(ByteView data, std::uint32_t flags) override {
      if (flags != 0)
         return {socketError::none, "an HTTP socket takes no flags"};
      const auto reply = format::unpack<format::HttpReply>(data);
      if (!reply)
         return {socketError::none, "malformed HTTP reply"};
      if (reply->status < 100 || reply->status > 599)
         return {socketError::none, "HTTP response code not allowed: " + std::to_string(reply->status)};
      if (!reply_)
         reply_ = format::pack(*reply);
      return {};
   }
   void close(const CloseReason& reason) override {
      if (reply_)
         return;
      format::HttpReply reply;
      reply.contentType = "text/html";
      if (reason.error) {
         reply.status = 500;
         reply.body = toBytes(*reason.error);
      } else if (target_.starts_with("/native/")) {
         reply.status = 404;
         reply.body = toBytes("a test has no native endpoints");
      } else {
         reply.status = 500;
         reply.body = toBytes("service did not send a response");
      }
      reply_ = format::pack(reply);
   }
   const std::optional<Bytes>& reply() const override { return reply_; }

private:
   std::string target_;
   std::weak_ptr<SocketTable> sockets_;
   std::int32_t fd_ = -1;
   std::optional<Bytes> reply_;
};

/// Descriptor 0: nobody listens.
class MulticastSocket final : public Socket {
public:
   format::SocketInfo info() const override { return format::ProducerMulticastSocketInfo{}; }
   SendOutcome send(ByteView, std::uint32_t) override { return {}; }
   void close(const CloseReason&) override {}
};

/// Descriptor 1.
class LogSocket final : public Socket {
public:
   explicit LogSocket(Host& host) : host_(host) {}
   format::SocketInfo info() const override { return format::LogSocketInfo{}; }
   SendOutcome send(ByteView data, std::uint32_t) override {
      const auto message = format::unpack<format::LogMessage>(data);
      if (!message)
         return {socketError::none, "malformed log message"};
      host_.log(static_cast<Severity>(std::min<std::uint32_t>(message->severity, 5)), message->message,
                message->service);
      return {};
   }
   void close(const CloseReason&) override {}

private:
   Host& host_;
};

BlockStatePtr stateOf(store::Version version) {
   auto out = std::make_shared<BlockState>();
   out->version = std::move(version);
   if (const auto packed = out->version.get(storeKey(db::native, format::StatusRow::key()))) {
      auto row = format::unpack<format::StatusRow>(*packed);
      if (!row)
         throw TesterError{"the status row cannot be read"};
      out->status = std::move(*row);
   }
   if (out->status.head) {
      out->header = out->status.head->header;
      out->id = out->status.head->blockId;
      out->num = out->header->blockNum;
   }
   return out;
}

KernelOptions kernelOptions(const TesterOptions& options) {
   KernelOptions out;
   out.verifySigCode = options.verifySigCode;
   out.transactionCpuNs = out.queryCpuNs = options.cpuNs;
   return out;
}

bool isSubjectiveMode(format::RunMode mode) {
   return mode == format::RunMode::rpc || mode == format::RunMode::callback;
}

/// The store of one chain or several, and the journal of one that lasts.
struct Files {
   std::shared_ptr<store::Store> store;
   std::unique_ptr<store::Journal> journal;
};

} // namespace

class TestChain::Impl {
public:
   Impl(Files filesIn, vm::Engine& engine, const TesterOptions& options, BlockStatePtr start, store::Version kept,
        bool writeIn)
      : files(std::move(filesIn)), write(writeIn), host(options),
        machine(engine, host, kernelOptions(options), *files.store, std::move(kept),
                [this](std::int32_t fd) { host.submit([this, fd] { runClose(fd); }); }),
        checkout(machine.local, machine.sockets, Checkout::View::shared), head(std::move(start)) {
      sockets = std::shared_ptr<SocketTable>(&machine.sockets, [](SocketTable*) {});
      machine.sockets.addFixed(0, std::make_shared<MulticastSocket>());
      machine.sockets.addFixed(1, std::make_shared<LogSocket>(host));
      retained[head->id] = head;
   }

   void runClose(std::int32_t fd) {
      ChainState state(head->version);
      Context context(machine, state, {.mode = Mode::rpc, .cpuNs = machine.options.queryCpuNs});
      (void)context.run(
          packAction(format::AccountNumber(), xHttp, format::MethodNumber(), format::pack(std::tuple(fd))),
          Entry::close);
      machine.sockets.forget(fd);
   }

   /// As a node tells its services that a block is irreversible.
   void tellFinal(std::uint32_t num) {
      if (!num)
         return;
      kernel::tellFinal(machine, num, [this](PackedAction action) {
         ChainState state(head->version, ChainState::Writable());
         Context context(machine, state,
                         {.mode = Mode::callback, .view = Checkout::View::shared, .cpuNs = machine.options.queryCpuNs});
         return context.run(std::move(action), Entry::called);
      });
   }

   /// What is read outside of blocks, also before commitState.
   store::Version current() { return loose ? loose->snapshot() : head->version; }

   void makeHead(BlockStatePtr state) {
      head = std::move(state);
      retained[head->id] = head;
      if (retained.size() > retainedBlocks)
         retained.erase(retained.begin()->second == head ? std::next(retained.begin()) : retained.begin());
   }

   void commitState() {
      if (!loose)
         return;
      BlockStatePtr next = stateOf(loose->snapshot());
      loose.reset();
      makeHead(std::move(next));
   }

   ChainState& looseState() {
      if (!loose)
         loose.emplace(head->version, ChainState::Writable());
      return *loose;
   }

   /// Where chain databases are read: the open block, else head.
   template <class F>
   auto onChain(F&& body) {
      if (open)
         return body(open->state());
      if (loose)
         return body(*loose);
      ChainState state(head->version);
      return body(state);
   }

   /// In the open checkout, or one for this call.
   template <class F>
   auto onLocal(F&& body) {
      if (checkout.levels())
         return body();
      checkout.push();
      auto out = body();
      if (!checkout.commit())
         throw TesterError{"the node-local databases changed meanwhile"}; // one thread: cannot be
      machine.announce(checkout.committed());
      return out;
   }

   static void checkDb(std::uint32_t id) {
      if (!isChainDb(id) && !isLocalDb(id))
         throw TesterError{"there is no database " + std::to_string(id)};
   }

   static std::optional<TestRow> rowOf(const std::optional<store::Entry>& entry, ByteView shared) {
      if (!entry || entry->key.size() < shared.size() || !std::equal(shared.begin(), shared.end(), entry->key.begin()))
         return std::nullopt;
      return TestRow{toBytes(entry->key.subspan(1)), toBytes(entry->value)};
   }

   void change(std::uint32_t id, ByteView raw, const std::optional<ByteView>& value) {
      checkDb(id);
      const Bytes key = storeKey(id, raw);
      if (isLocalDb(id)) {
         onLocal([&] {
            if (value)
               checkout.put(key, *value);
            else
               checkout.remove(key);
            return 0;
         });
         return;
      }
      const bool blockOwns = id == db::service || id == db::native || id == db::prevAuthServices;
      if (open && blockOwns)
         throw TesterError{"database " + std::to_string(id) + " cannot be written while a block is open"};
      ChainState& state = open ? open->state() : looseState();
      if (value)
         state.put(key, *value);
      else
         state.remove(key);
   }

   Files files;
   bool write;
   TesterHost host;
   Machine machine;
   Checkout checkout;
   BlockStatePtr head;
   std::map<format::Checksum256, BlockStatePtr> retained;
   std::unique_ptr<OpenBlock> open;
   std::optional<ChainState> loose;
   /// The machine's, as long as the chain is there.
   std::shared_ptr<SocketTable> sockets;
};

TestChain::TestChain(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TestChain::~TestChain() = default;

std::unique_ptr<TestChain> TestChain::create(std::shared_ptr<store::Store> store, vm::Engine& engine,
                                             TesterOptions options) {
   const store::Version empty = store->empty();
   return std::unique_ptr<TestChain>(new TestChain(
       std::make_unique<Impl>(Files{std::move(store), nullptr}, engine, options, stateOf(empty), empty, false)));
}

std::unique_ptr<TestChain> TestChain::open(const std::filesystem::path& folder, OpenFlags flags, vm::Engine& engine,
                                           TesterOptions options) {
   const bool there = std::filesystem::exists(folder / "journal");
   if (there && flags.exclusive)
      throw TesterError{folder.string() + " exists"};
   if (!there && !flags.create)
      throw TesterError{folder.string() + ": no chain is there"};
   if (there && flags.truncate) {
      std::filesystem::remove_all(folder / "data");
      std::filesystem::remove_all(folder / "journal");
   }
   std::filesystem::create_directories(folder);
   Files files{store::Store::open(folder), store::Journal::open(folder / "journal")};
   BlockStatePtr start;
   store::Version kept;
   {
      TesterHost host(options);
      Kernel::Impl opened(*files.store, *files.journal, engine, host, kernelOptions(options));
      start = opened.head();
      kept = opened.machine.local.state().kept;
   }
   return std::unique_ptr<TestChain>(new TestChain(
       std::make_unique<Impl>(std::move(files), engine, options, std::move(start), std::move(kept), flags.write)));
}

std::unique_ptr<TestChain> TestChain::clone() {
   Impl& own = *impl_;
   auto copy = std::make_unique<Impl>(Files{own.files.store, nullptr}, own.machine.engine, own.host.options_,
                                      stateOf(own.current()), own.machine.local.state().kept, false);
   copy->retained.insert(own.retained.begin(), own.retained.end());
   return std::unique_ptr<TestChain>(new TestChain(std::move(copy)));
}

void TestChain::save() {
   Impl& own = *impl_;
   if (!own.write || !own.files.journal)
      return;
   own.open.reset();
   own.commitState();
   // As a node leaves its folder: a checkpoint, and nothing after it in the journal.
   const store::JournalPosition end = own.files.journal->end();
   own.files.journal->sync(end);
   const CheckpointNote note{end, end};
   own.files.store->checkpoint(
       {{{"chain", own.head->version}, {"local", own.machine.local.state().kept}}, end, format::pack(note)});
}

BlockStatePtr TestChain::head() const { return impl_->head; }
bool TestChain::blockOpen() const { return impl_->open != nullptr; }

void TestChain::switchTo(const format::Checksum256& id) {
   const auto at = impl_->retained.find(id);
   if (at == impl_->retained.end())
      throw TesterError{"this chain has no such block"};
   impl_->open.reset();
   impl_->loose.reset();
   impl_->head = at->second;
}

void TestChain::startBlock(const BlockStart& start) {
   finishBlock();
   impl_->commitState();
   auto block = OpenBlock::start(impl_->machine, impl_->head, start, BlockPurpose::produce);
   if (!block)
      throw TesterError{block.error().reason};
   impl_->open = std::move(*block);
}

void TestChain::finishBlock() {
   if (!impl_->open)
      return;
   const std::unique_ptr<OpenBlock> block = std::move(impl_->open);
   if (const auto id = block->finish(); !id)
      throw TesterError{id.error().reason};
   impl_->makeHead(block->complete({}, std::nullopt).second);
   impl_->tellFinal(impl_->head->header->commitNum);
   impl_->host.runWork();
}

format::TransactionTrace TestChain::push(const format::SignedTransaction& transaction) {
   if (!impl_->open)
      throw TesterError{"no block is open"};
   OpenBlock& block = *impl_->open;
   block.setPurpose(transaction.subjectiveData ? BlockPurpose::validate : BlockPurpose::produce);
   // The block goes on, also after one that fails as part of a finished block.
   const auto mark = transaction.subjectiveData ? block.state().mark() : std::nullopt;
   const Outcome outcome = block.push(transaction, true);
   outcome.error ? block.state().rollBack(mark) : block.state().keep(mark);
   block.setPurpose(BlockPurpose::produce);
   impl_->host.runWork();
   return outcome.trace();
}

format::TransactionTrace TestChain::runAction(format::RunMode runMode, bool onHead, const format::Action& action) {
   Impl& own = *impl_;
   if (runMode > format::RunMode::callback)
      throw TesterError{"there is no run mode " + std::to_string(static_cast<int>(runMode))};
   const Mode mode = static_cast<Mode>(runMode);
   const bool writes = mode == Mode::callback || mode == Mode::speculative;
   const bool inBlock = own.open && !onHead;
   std::optional<ChainState> copy;
   if (!inBlock) {
      if (writes)
         copy.emplace(own.current(), ChainState::Writable());
      else
         copy.emplace(own.current());
   }
   ChainState& state = inBlock ? own.open->state() : *copy;
   const auto mark = inBlock ? state.mark() : std::nullopt;
   ActionNode node;
   {
      Context context(own.machine, state,
                      {.mode = mode,
                       .view = isSubjectiveMode(runMode) ? Checkout::View::shared : Checkout::View::empty,
                       .cpuNs = own.machine.options.queryCpuNs});
      node = context.run(packAction(action), Entry::called);
   }
   if (node.error || mode != Mode::callback)
      state.rollBack(mark);
   else
      state.keep(mark);
   own.host.runWork();
   format::TransactionTrace out;
   out.actionTraces.push_back(toTrace(node));
   out.error = node.error;
   return out;
}

std::shared_ptr<TestReply> TestChain::serve(const format::HttpRequest& request) {
   Impl& own = *impl_;
   auto socket = std::make_shared<RequestSocket>(request.target, own.sockets);
   {
      ChainState state(own.head->version);
      Context context(own.machine, state, {.mode = Mode::rpc, .cpuNs = own.machine.options.queryCpuNs});
      const std::int32_t fd = own.machine.sockets.add(socket, &context.sockets());
      (void)context.run(
          packAction(format::AccountNumber(), xHttp, format::MethodNumber(), format::pack(std::tuple(fd, request))),
          Entry::serve);
   }
   own.host.runWork();
   RequestSocket* const reply = socket.get();
   return {reply, [socket = std::move(socket)](TestReply*) { socket->done(); }};
}

void TestChain::checkoutSubjective() {
   if (impl_->checkout.levels() >= Checkout::levelsMax)
      throw TesterError{"too many nested checkouts"};
   impl_->checkout.push();
}

bool TestChain::commitSubjective() {
   if (!impl_->checkout.levels())
      throw TesterError{"commitSubjective requires checkoutSubjective"};
   if (!impl_->checkout.commit())
      return false;
   if (!impl_->checkout.levels())
      impl_->machine.announce(impl_->checkout.committed());
   return true;
}

void TestChain::abortSubjective() {
   if (!impl_->checkout.levels())
      throw TesterError{"abortSubjective requires checkoutSubjective"};
   impl_->checkout.drop();
}

std::optional<Bytes> TestChain::get(std::uint32_t id, ByteView raw) {
   Impl::checkDb(id);
   const Bytes key = storeKey(id, raw);
   const auto copy = [](const std::optional<ByteView>& found) {
      return found ? std::optional(toBytes(*found)) : std::nullopt;
   };
   if (isLocalDb(id))
      return impl_->onLocal([&] { return copy(impl_->checkout.get(key)); });
   return impl_->onChain([&](ChainState& state) { return copy(state.get(key)); });
}

std::optional<TestRow> TestChain::greaterEqual(std::uint32_t id, ByteView raw, std::size_t match) {
   Impl::checkDb(id);
   if (match > raw.size())
      throw TesterError{"match is larger than the key"};
   const Bytes key = storeKey(id, raw);
   const ByteView shared = ByteView(key).first(match + 1);
   if (isLocalDb(id))
      return impl_->onLocal([&] { return Impl::rowOf(impl_->checkout.lowerBound(key, shared.size()), shared); });
   return impl_->onChain([&](ChainState& state) { return Impl::rowOf(state.lowerBound(key), shared); });
}

std::optional<TestRow> TestChain::lessThan(std::uint32_t id, ByteView raw, std::size_t match) {
   Impl::checkDb(id);
   if (match > raw.size())
      throw TesterError{"match is larger than the key"};
   const Bytes key = storeKey(id, raw);
   const ByteView shared = ByteView(key).first(match + 1);
   if (isLocalDb(id))
      return impl_->onLocal([&] { return Impl::rowOf(impl_->checkout.lessThan(key, shared.size()), shared); });
   return impl_->onChain([&](ChainState& state) { return Impl::rowOf(state.lessThan(key), shared); });
}

std::optional<TestRow> TestChain::max(std::uint32_t id, ByteView raw) {
   Impl::checkDb(id);
   const Bytes prefix = storeKey(id, raw);
   if (isLocalDb(id))
      return impl_->onLocal([&] { return Impl::rowOf(impl_->checkout.last(prefix), prefix); });
   return impl_->onChain([&](ChainState& state) { return Impl::rowOf(state.last(prefix), prefix); });
}

void TestChain::put(std::uint32_t id, ByteView key, ByteView value) { impl_->change(id, key, value); }
void TestChain::remove(std::uint32_t id, ByteView key) { impl_->change(id, key, std::nullopt); }
void TestChain::commitState() {
   if (impl_->open)
      throw TesterError{"commitState while a block is open"};
   impl_->commitState();
}

// ---- traces --------------------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t shownBytes = 64;

void indent(std::string& out, std::size_t depth) { out.append(depth * 3, ' '); }

void write(std::string& out, const format::ActionTrace& trace, std::size_t depth) {
   const format::Action& action = trace.action;
   indent(out, depth);
   out += trace.error ? "x " : "- ";
   out += action.sender ? action.sender.str() : "(node)";
   out += " -> " + action.service.str() + "::" + (action.method.value ? action.method.str() : "(entry)");
   if (!action.rawData.empty() && action.rawData.size() <= shownBytes)
      out += "  " + toHex(action.rawData);
   else if (!action.rawData.empty())
      out += "  " + std::to_string(action.rawData.size()) + " bytes";
   if (!trace.rawRetval.empty())
      out += "  = " + (trace.rawRetval.size() <= shownBytes ? toHex(trace.rawRetval)
                                                            : std::to_string(trace.rawRetval.size()) + " bytes");
   out += '\n';
   bool innerFailed = false;
   for (const format::InnerTrace& inner : trace.innerTraces) {
      if (const auto* console = std::get_if<format::ConsoleTrace>(&inner.inner)) {
         indent(out, depth + 1);
         out += "\"" + console->console + "\"\n";
      } else if (const auto* called = std::get_if<format::ActionTrace>(&inner.inner)) {
         innerFailed = innerFailed || called->error;
         write(out, *called, depth + 1);
      }
   }
   if (trace.error && !innerFailed) {
      indent(out, depth + 1);
      out += "failed here: " + *trace.error + "\n";
   }
}

} // namespace

std::string readable(const format::TransactionTrace& trace) {
   std::string out;
   for (const format::ActionTrace& action : trace.actionTraces)
      write(out, action, 0);
   if (trace.error && trace.actionTraces.empty())
      out += "failed: " + *trace.error + "\n";
   return out;
}

} // namespace polis::kernel

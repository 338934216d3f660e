#include "node/node.hpp"
#include "base/bounded_queue.hpp"
#include "base/clock.hpp"
#include "base/crash_record.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/thread_name.hpp"
#include "format/hash.hpp"
#include "format/json.hpp"
#include "format/keys.hpp"
#include "http/reply_writer.hpp"
#include "kernel/code_guard.hpp"
#include "node/boot.hpp"
#include "node/chain_thread.hpp"
#include "node/local_template.hpp"
#include "node/metrics.hpp"
#include "node/native_endpoints.hpp"
#include "node/package.hpp"
#include "node/peer_thread.hpp"
#include "node/query_pool.hpp"
#include "node/snapshot.hpp"
#include "node/sockets.hpp"
#include "node/version.hpp"
#include "store/journal.hpp"
#include "store/store.hpp"
#include "vm/engine.hpp"
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <iostream>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

extern char** environ;

namespace polis::node {

namespace {

using format::AccountNumber;

constexpr std::int64_t queryCpuNs = 5'000'000'000;
constexpr std::uint32_t stopGraceMs = 3'000;
constexpr std::int64_t bootExpirationSec = 600;
constexpr std::uint16_t firstInvitationAccounts = 100;
constexpr const char* followsOne = "This node was told to follow a chain that is there already (--chain).";
constexpr std::size_t bootBlockBytes = std::size_t{4} << 20;

std::int64_t nowUs() { return SystemClock().realtimeNs() / 1000; }

/// What services may know of the environment: what is meant for them, not whatever the shell holds.
std::vector<std::pair<std::string, std::string>> serviceEnvironment() {
   std::vector<std::pair<std::string, std::string>> result;
   for (char** entry = environ; entry && *entry; ++entry) {
      const std::string_view text = *entry;
      const auto equals = text.find('=');
      if (equals == std::string_view::npos || !(text.starts_with("PSIBASE_") || text.starts_with("POLIS_")))
         continue;
      if (text.substr(0, equals) != "PSIBASE_DATADIR")
         result.emplace_back(text.substr(0, equals), text.substr(equals + 1));
   }
   const auto data = defaultPackageFolder().parent_path();
   result.emplace_back("PREFIX", data.parent_path().parent_path().string());
   result.emplace_back("PSIBASE_DATADIR", data.string());
   return result;
}

/// Allows as many open files as the system lets this process; returns how many.
std::size_t raiseDescriptors() {
   constexpr rlim_t wanted = 65536;
   rlimit limit{};
   if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
      return 1024;
   if (limit.rlim_cur < wanted) {
      limit.rlim_cur = std::min(limit.rlim_max, wanted);
      (void)::setrlimit(RLIMIT_NOFILE, &limit);
      (void)::getrlimit(RLIMIT_NOFILE, &limit);
   }
   return static_cast<std::size_t>(limit.rlim_cur);
}

void writePrivateFile(const std::filesystem::path& path, std::string_view text) {
   const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
   if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      log::warning("Cannot write ", path.string());
   if (fd >= 0)
      ::close(fd);
}

/// For whoever comes too early. A page looks again by itself.
format::HttpReply chainIsBeingMade(const format::HttpRequest& request) {
   const auto isAccept = [](const auto& header) { return http::equalsIgnoringCase(header.name, "Accept"); };
   const auto accept = std::ranges::find_if(request.headers, isAccept);
   const bool page = accept != request.headers.end() && accept->value.find("text/html") != std::string::npos;
   auto reply = http::textReply(503, "The chain is being made. Try again in a moment.");
   reply.headers.push_back({"Retry-After", "2"});
   if (page) {
      reply.contentType = "text/html";
      reply.body =
          toBytes("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" "
                  "content=\"2\"><title>One moment</title><body style=\"font-family: sans-serif; margin: 4em "
                  "auto; max-width: 30em\"><h1>One moment</h1><p>The community's chain is being made. This page "
                  "comes up by itself when it is ready.</p></body></html>\n");
   }
   return reply;
}

struct ShutdownArgs {
   std::optional<std::vector<std::string>> restart{}; ///< there: start again
   bool soft = false;
};

} // namespace

struct Node::Impl final : kernel::Host, http::Handler, NodeControl {
   explicit Impl(NodeOptions o) : options(std::move(o)) { open(); }

   ~Impl() override { shutDown(); }

   // ---- start ----

   void open() {
      if (options.packages.empty())
         options.packages = defaultPackageFolder();
      std::error_code ec;
      std::filesystem::create_directories(options.folder, ec);
      if (ec)
         throw Fault("The folder " + options.folder.string() + " cannot be made: " + ec.message());
      ::chmod(options.folder.c_str(), 0700);
      config = options.config;
      config.fillFrom(loadConfig(configFile()));
      if (config.hosts.empty())
         config.hosts.push_back("polis.localhost");
      if (!config.chain.empty()) {
         wantedChain = parseChainId(config.chain);
         if (!wantedChain)
            throw Fault("--chain takes the id of a chain, 64 hexadecimal digits");
         if (options.boot)
            throw Fault("--chain names a chain to follow, and --boot makes another one");
      }
      readProducer();
      ring.emplace(options.folder / "keys");
      if (key)
         ring->add(*key);

      putAwayUnfinishedChain();
      store = store::Store::open(options.folder);
      if (const store::Stat found = store->stat(); !found.notice.empty())
         log::warning((options.folder / "data").string() + ": " + found.notice);
      journal = store::Journal::open(options.folder / "journal");
      // Before the engine, whose handlers of signals come first.
      crashRecord = std::make_unique<CrashRecord>(options.folder / "running");
      guard = std::make_unique<kernel::CodeGuard>(options.folder / "poison", crashRecord.get(),
                                                  [](const std::string& text) { log::error(text); });
      engine =
          std::make_unique<vm::Engine>(kernel::hostFunctions(), vm::EngineOptions{.cacheDir = options.folder / "code"});
      kernel::KernelOptions kernelOptions;
      kernelOptions.guard = guard.get();
      kernelOptions.queryCpuNs = queryCpuNs;
      kernelOptions.fastPaths = options.fastPaths;
      kernelOptions.keepBlocks = config.keepBlocks.value_or(0);
      kernelOptions.otherRunsMax = runnerCount() - 1;
      kernelOptions.verifySigCode = verifySigHashes();
      vm::onExecutionStack(
          [&] { theKernel = std::make_unique<kernel::Kernel>(*store, *journal, *engine, *this, kernelOptions); });

      if (wantedChain && theKernel->hasChain() && theKernel->chainId() != *wantedChain)
         throw Fault("The chain in " + options.folder.string() + " is " + toHex(theKernel->chainId()) +
                     ", not the one that --chain names");

      http::Server::Options serverOptions;
      serverOptions.limits.connectionsMax = std::min(serverOptions.limits.connectionsMax, raiseDescriptors() / 2);
      if (!config.tlsCertificate.empty() || !config.tlsKey.empty())
         serverOptions.tls = http::TlsFiles{config.tlsCertificate, config.tlsKey};
      server = std::make_unique<http::Server>(std::move(serverOptions), *this);
      for (const auto& where : config.listen) {
         auto address = parseListen(where);
         if (!address)
            throw Fault(address.error());
         boundPorts.push_back(server->listen(*address));
         addresses.push_back(*address);
         addresses.back().port = boundPorts.back();
      }

      const std::size_t processors = std::max(2u, std::thread::hardware_concurrency());
      const auto fault = [this](const char* text) { onFault(text); };
      // A few more than processors: a service that computes for seconds does not keep the quick ones waiting.
      pool = std::make_unique<QueryPool>(processors + 2, fault);
      sockets.kernel = theKernel.get();
      sockets.pool = pool.get();
      sockets.measures = &measures;
      sockets.held = &held;
      sockets.native = [this](const auto& exchange, const auto& request) { endpoints.serve(exchange, request); };
      {
         Lock lock(earlyMutex);
         for (auto& work : early)
            if (!pool->submit(std::move(work)))
               log::warning("Work was dropped at the start");
         early.clear();
         started = true;
      }
      theKernel->attachFixed(format::SocketRow::producerMulticast, std::make_shared<MulticastSocket>(sockets));
      theKernel->attachFixed(format::SocketRow::log, std::make_shared<LogSocket>());
      chain = std::make_unique<ChainThread>(*theKernel, chainOptions(), fault);
      peers = std::make_unique<PeerThread>(*theKernel, *store, *engine, *chain, peerOptions(), fault);
      peers->start();
      sockets.peers = peers.get();
      std::optional<std::string> problem;
      vm::onExecutionStack([&] { problem = beginSession(); });
      if (problem)
         throw Fault(*problem);

      for (std::uint32_t i = 0; i < runnerCount(); ++i)
         runners.emplace_back([this, fault] {
            nameThread("run");
            guarded(fault, [this] { runQueue(); });
         });
      compiler = vm::ExecutionThread([this, fault] {
         nameThread("compile");
         guarded(fault, [this] { compileLoop(); });
      });
      flusher = vm::ExecutionThread([this, fault] {
         nameThread("store");
         guarded(fault, [this] { flushLoop(); });
      });
      checkpointer = vm::ExecutionThread([this, fault] {
         nameThread("checkpoint");
         guarded(fault, [this] { checkpointLoop(); });
      });
      // Of a first start that went well.
      if (!std::filesystem::exists(configFile()))
         saveConfig(configFile(), config);
      making.store(options.boot && !theKernel->hasChain());
      chain->start();
      server->start();
   }

   std::filesystem::path configFile() const { return options.folder / "config"; }
   /// There while a chain is being made: a half-made one is not gone on with, whatever ended the making.
   std::filesystem::path bootMark() const { return options.folder / "booting"; }

   void putAwayUnfinishedChain() {
      if (!std::filesystem::exists(bootMark()))
         return;
      // The mark may be that of a node that is at it right now.
      const int lock = ::open((options.folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) != 0) {
         if (lock >= 0)
            ::close(lock);
         throw Fault("Another node uses the folder " + options.folder.string());
      }
      log::warning("A chain in ", options.folder.string(), " was not finished when it was made; it is removed");
      std::error_code failed;
      for (const char* name : {"data", "journal", "first-invitation", "booting"})
         if (!failed)
            std::filesystem::remove_all(options.folder / name, failed);
      ::close(lock);
      if (failed)
         throw Fault("What is in " + options.folder.string() + " cannot be removed: " + failed.message());
   }

   void readProducer() {
      if (config.producer.empty())
         return;
      account = AccountNumber(std::string_view(config.producer));
      if (account.value == 0 || account.str() != config.producer)
         throw Fault("'" + config.producer +
                     "' cannot be a producer: an account name has at most 10 of a-z, 0-9 and -");
      if (config.key.empty())
         return;
      struct stat info{};
      if (::stat(config.key.c_str(), &info) == 0 && (info.st_mode & 077) != 0)
         log::warning("The key file ", config.key, " can be read by others; chmod 600 it");
      // The first start of a chain makes the key too; a chain that is there has one, and it must be found.
      if (::access(config.key.c_str(), F_OK) != 0 && ::access((options.folder / "journal").c_str(), F_OK) != 0) {
         writePrivateFile(config.key, format::PrivateKey::generate().pem());
         log::info("A new key for ", config.producer, " was written to ", config.key, "; keep a copy of it");
      }
      constexpr std::uint64_t keyBytesMax = 64 * 1024;
      key = format::PrivateKey::fromPem(asText(node::readFile(config.key, keyBytesMax)));
      if (!key)
         throw Fault(config.key + " holds no private key (PEM, curve P-256 or secp256k1)");
   }

   /// The verification service of our own packages is answered natively.
   std::vector<format::Checksum256> verifySigHashes() {
      std::vector<format::Checksum256> hashes;
      if (!options.fastPaths || !std::filesystem::is_directory(options.packages))
         return hashes;
      static constexpr AccountNumber verifySig{std::string_view("verify-sig")};
      const auto folder = PackageFolder::open(options.packages);
      for (const auto& entry : folder.entries()) {
         if (std::ranges::find(entry.meta.services, verifySig) == entry.meta.services.end())
            continue;
         auto package = parsePackage(node::readFile(folder.folder() / entry.file, PackageLimits{}.fileBytesMax));
         if (!package)
            continue;
         if (const auto* service = package->service(verifySig))
            hashes.push_back(format::sha256(service->code));
      }
      return hashes;
   }

   /// A newer program brings newer services of the node's own. Where that fails, the node goes on with those it has.
   void updateLocalServices() {
      if (!std::filesystem::is_directory(options.packages))
         return;
      auto packages = PackageFolder::open(options.packages).resolve({"XDefault"});
      if (!packages)
         return log::warning("The node's own services stay as they are: ", packages.error());
      const auto replies = theKernel->askItself({installedLocalRequest()});
      if (!replies)
         return log::warning("The node's own services stay as they are: ", replies.error().reason);
      const auto installed = format::fromJson<std::vector<LocalMeta>>(asText(replies->front().body));
      if (!installed)
         return log::warning("The node's own services stay as they are: x-packages answers ",
                             installed.error().message);
      const auto update = localUpdate(*packages, *installed);
      for (const auto& name : update.kept)
         log::info("The node's own ", name, " is newer than what this program brings, and stays");
      if (update.requests.empty())
         return;
      std::string names;
      for (const auto& name : update.updated)
         names += (names.empty() ? "" : ", ") + name;
      if (const auto done = theKernel->askItself(update.requests); !done)
         return log::warning("The node's own services could not be brought up to date (", names,
                             "), and stay as they are: ", done.error().reason);
      log::info("The node's own services are brought up to date: ", names);
   }

   /// Rows of this start, local services if there are none or older ones, and their start.
   std::optional<std::string> beginSession() {
      kernel::LocalTemplate local;
      const bool hasServices = !theKernel->needsLocalServices();
      if (!hasServices) {
         const auto folder = PackageFolder::open(options.packages);
         auto packages = folder.resolve({"XDefault"});
         if (!packages)
            return "The node's own services cannot be installed: " + packages.error();
         std::array<std::uint8_t, 24> secret;
         SystemRandom().fill(secret);
         adminToken = toHex(secret);
         local = localTemplate(*packages, adminToken);
      }
      if (auto result =
              theKernel->firstStart(local, serviceEnvironment(), {std::string("Polis ") += version, config.hostJson()});
          !result)
         return "The node's own services cannot be installed: " + result.error().reason;
      if (hasServices)
         updateLocalServices();
      if (addresses.empty())
         return std::nullopt;
      if (auto result = theKernel->startSession(); !result)
         return "The node's own services do not start: " + result.error().reason;
      return std::nullopt;
   }

   ChainThread::Options chainOptions() {
      ChainThread::Options result;
      result.clock.minIntervalUs = std::int64_t{config.minIntervalMs.value_or(250)} * 1000;
      result.forward = [this](Bytes transaction) {
         // What `transact+1` itself would send to other producers (spec, consensus §5.5).
         static constexpr AccountNumber receiver{std::string_view("transact+1")};
         const format::Action action{receiver, receiver, format::MethodNumber{std::string_view("recv")},
                                     format::pack(std::tuple(std::move(transaction)))};
         peers->toProducers(format::pack(action));
      };
      result.sign = [this](const format::Claim& claim, ByteView preimage) {
         return signFor(claim, format::sha256(preimage));
      };
      result.sealed = [this](const kernel::SealedBlock& block) { peers->sealed(block); };
      result.failed = [this](const format::Checksum256& parent) { peers->productionFailed(parent); };
      return result;
   }

   PeerThread::Options peerOptions() {
      PeerThread::Options result;
      result.producer = account;
      result.chain = wantedChain;
      result.nothingForgotten = options.nothingForgotten;
      result.transaction = [this](Bytes action) { fromPeer(std::move(action)); };
      result.canSign = [this](const format::Claim& claim) { return ring->find(claim).has_value(); };
      result.sign = [this](const format::Claim& claim, const format::Checksum256& digest) {
         return signFor(claim, digest);
      };
      result.claims = [this] { return ring->claims(); };
      result.sync = [this] { flushWake.signal(); };
      result.background = [this](std::function<void()> work) { return pool->submit(std::move(work)); };
      // The rest of the disk is for what the node does with it.
      std::error_code ignored;
      const auto space = std::filesystem::space(options.folder, ignored);
      result.snapshotBytesMax = ignored ? 0 : space.available / 2;
      return result;
   }

   std::optional<Bytes> signFor(const format::Claim& claim, const format::Checksum256& digest) const {
      const auto found = ring->find(claim);
      if (!found)
         return std::nullopt;
      const auto signature = found->sign(digest);
      return Bytes(signature.begin(), signature.end());
   }

   /// The key of the claim that the next block is checked against, where this node has it.
   std::optional<format::PrivateKey> signingKey() const override {
      const auto head = theKernel->head();
      const auto& [current, next] = head->status.consensus;
      const bool changes = next && head->header && head->header->commitNum >= next->blockNum;
      const auto& data = (changes ? next->consensus : current).data;
      const auto& producers = std::visit([](const auto& d) -> const auto& { return d.producers; }, data);
      const auto own = std::ranges::find(producers, account, &format::Producer::name);
      if (own != producers.end())
         if (auto found = ring->find(own->auth))
            return found;
      return key;
   }

   // ---- threads ----

   template <class Work>
   void guarded(const std::function<void(const char*)>& fault, Work&& work) {
      try {
         work();
      } catch (const Fault& f) {
         fault(f.what());
      }
   }

   /// Threads of the run queue: one of them stays free for proofs.
   std::uint32_t runnerCount() const {
      return std::max(2u, config.serviceThreads.value_or(std::thread::hardware_concurrency()));
   }

   void runQueue() {
      std::uint64_t seen = 0;
      while (!ending.load()) {
         while (!ending.load() && theKernel->runNext()) {
         }
         auto wait = std::chrono::microseconds(1'000'000);
         if (const auto due = theKernel->timerDueUs())
            wait =
                std::clamp(std::chrono::microseconds(*due - monotonicNs() / 1000), std::chrono::microseconds(0), wait);
         runWake.waitUntil(seen, std::chrono::steady_clock::now() + wait);
      }
   }

   void compileLoop() {
      // Of this thread; whatever else runs here goes first.
      constexpr int lowest = 19, below = 10;
      const int own = ::getpriority(PRIO_PROCESS, 0);
      ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), std::min(lowest, own + below));
      while (auto work = toCompile.pop())
         if (!ending.load())
            (*work)();
   }

   void flushLoop() {
      constexpr std::int64_t remindEveryNs = 2'000'000'000;
      std::uint64_t seen = 0;
      std::int64_t remindedNs = monotonicNs();
      while (!ending.load()) {
         crashRecord->beat(monotonicNs());
         if (flushWake.waitUntil(seen, std::chrono::steady_clock::now() + std::chrono::seconds(1))) {
            const store::JournalPosition durable = theKernel->flush();
            held.release(durable);
            peers->durable(durable);
            checkpointWake.signal();
         }
         if (const auto now = monotonicNs(); now - remindedNs > remindEveryNs) {
            theKernel->remindFinal();
            remindedNs = now;
         }
      }
      held.release(theKernel->flush());
   }

   void checkpointLoop() {
      for (std::uint64_t seen = 0; !ending.load();)
         if (checkpointWake.waitUntil(seen, std::chrono::steady_clock::now() + std::chrono::seconds(10)))
            theKernel->checkpointIfDue();
   }

   void onFault(const char* text) {
      log::error("The node cannot go on: ", text);
      exitCode.store(1);
      end.signal();
   }

   int run() {
      announce();
      if (options.boot && !theKernel->hasChain()) {
         auto problem = bootAtStart();
         making.store(false);
         if (problem) {
            log::error("No chain was started: ", *problem);
            exitCode.store(1);
            end.signal();
         }
      }
      std::uint64_t seen = 0;
      while (!end.waitUntil(seen, std::chrono::steady_clock::now() + std::chrono::hours(1))) {
      }
      shutDown();
      return exitCode.load();
   }

   void shutDown() {
      if (std::exchange(down, true))
         return;
      stoppingNow.store(true);
      if (server)
         server->stop(stopGraceMs);
      if (theKernel)
         theKernel->cancelQueries();
      if (peers)
         peers->stop();
      if (chain)
         chain->stop();
      ending.store(true);
      toCompile.close();
      compiler = {};
      runWake.signalAll();
      runners.clear();
      if (pool)
         pool->stop();
      flushWake.signal();
      if (flusher.joinable())
         flusher.join();
      checkpointWake.signal();
      if (checkpointer.joinable())
         checkpointer.join();
      if (theKernel && exitCode.load() != 1) {
         try {
            vm::onExecutionStack([&] { theKernel->checkpoint(); });
         } catch (const Fault& fault) {
            log::error("The last checkpoint failed; the next start replays more: ", fault.what());
         }
      }
      theKernel.reset();
   }

   // ---- what people see ----

   /// The address of a page under the root host.
   std::string pageUrl(std::string_view label, std::string_view path) const {
      const http::ListenAddress* best = nullptr;
      for (const auto& a : addresses)
         if (a.kind != http::ListenAddress::Kind::local &&
             (!best || (best->kind == http::ListenAddress::Kind::http && a.kind == http::ListenAddress::Kind::https)))
            best = &a;
      const bool tls = best && best->kind == http::ListenAddress::Kind::https;
      std::string url = tls ? "https://" : "http://";
      if (!label.empty())
         (url += label) += '.';
      url += config.hosts.front();
      if (best && best->port != (tls ? 443 : 80))
         url += ":" + std::to_string(best->port);
      return url += path;
   }

   void say(const std::string& line) const {
      if (!options.quiet)
         std::cout << line << std::endl;
   }

   void announce() const {
      if (addresses.empty())
         say("Polis runs without a listener; nothing is served.");
      else if (theKernel->hasChain())
         say("Polis is ready: " + pageUrl("", "/"));
      else if (!config.peers.empty() && !options.boot)
         say("Polis is ready: " + pageUrl("", "/") + " shows the chain of " + config.peers.front() +
             " once its first blocks have come.");
      else if (!options.boot)
         say("Polis is ready, and has no chain yet: " + pageUrl("x-admin", "/"));
      if (!options.boot) {
         announceToken();
         warnUnguarded();
      }
   }

   bool unguarded() const override {
      if (!theKernel->hasChain())
         return !key;
      const auto any = [](const format::Consensus& consensus) {
         return std::visit(
             [](const auto& data) {
                return std::ranges::any_of(data.producers, [](const auto& p) { return p.auth == format::Claim{}; });
             },
             consensus.data);
      };
      const auto& consensus = theKernel->head()->status.consensus;
      return any(consensus.current) || (consensus.next && any(consensus.next->consensus));
   }

   void warnUnguarded() const {
      if (!theKernel->hasChain() || !unguarded())
         return;
      log::warning("THIS CHAIN HAS NO LOCK: its producer has no key, so whoever reaches this node may act for ",
                   config.producer.empty() ? "the producer" : config.producer,
                   ", change every service and take every account. For trying out on this machine only. "
                   "A chain for others is booted with --key FILE.");
      const bool open = std::ranges::any_of(addresses, [](const http::ListenAddress& a) {
         return a.kind != http::ListenAddress::Kind::local && !a.address.starts_with("127.") && a.address != "::1";
      });
      if (open)
         log::error("AND OTHER MACHINES REACH IT: this node listens on more than its own machine.");
   }

   /// Shown once, when the folder is new; the node keeps a hash.
   void announceToken() const {
      if (!adminToken.empty() && !addresses.empty())
         say("To administer this node from another device, open this there, once: " +
             pageUrl("x-admin", "/#token=" + adminToken));
   }

   std::optional<std::string> bootAtStart() {
      Wake done;
      std::uint64_t seen = 0;
      std::expected<std::string, std::string> result;
      bootFromPackages(options.bootPackages, std::nullopt, [&](std::expected<std::string, std::string> r) {
         result = std::move(r);
         done.signal();
      });
      while (!done.waitUntil(seen, std::chrono::steady_clock::now() + std::chrono::seconds(1))) {
      }
      if (!result)
         return result.error();
      making.store(false);
      say("Polis is ready: " + pageUrl("", "/"));
      if (!result->empty())
         say("The first members come in by this invitation: " + *result);
      announceToken();
      warnUnguarded();
      return std::nullopt;
   }

   // ---- NodeControl ----

   kernel::Kernel& kernel() override { return *theKernel; }
   bool starting() const override { return !started; }
   bool stopping() const override { return stoppingNow.load(); }
   AccountNumber producer() const override { return account; }

   void pushBoot(std::vector<format::SignedTransaction> transactions, BootDone done) override {
      auto task = [this, transactions = std::move(transactions), done](kernel::Kernel& k) {
         if (wantedChain)
            return done(std::unexpected(kernel::Rejection{followsOne}));
         if (account.value == 0)
            return done(
                std::unexpected(kernel::Rejection{"This node has no producer name. Start it with --producer NAME."}));
         auto result = k.pushBoot(transactions, account, nowUs());
         if (result && k.hasChain()) {
            (void)k.flush();
            peers->chainMade();
         }
         done(std::move(result));
      };
      if (!chain->submit(std::move(task)))
         done(std::unexpected(kernel::Rejection{"The node is busy. Try again soon."}));
   }

   void bootFromPackages(std::vector<std::string> names, std::optional<format::Claim> claim,
                         FullBootDone done) override {
      const auto work = [this, names = std::move(names), claim = std::move(claim), done]() mutable {
         try {
            planAndBoot(std::move(names), claim, done);
         } catch (const Fault& fault) {
            done(std::unexpected(std::string(fault.what())));
         }
      };
      if (!pool->submit(work))
         done(std::unexpected("The node is busy. Try again soon."));
   }

   void planAndBoot(std::vector<std::string> names, const std::optional<format::Claim>& claim,
                    const FullBootDone& done) {
      if (wantedChain)
         return done(std::unexpected(followsOne));
      if (account.value == 0)
         return done(std::unexpected("This node has no producer name. Start it with --producer NAME."));
      if (theKernel->hasChain())
         return done(std::unexpected("There is a chain already."));
      const auto chosen = claim ? ring->find(*claim) : key;
      if (claim && !chosen)
         return done(std::unexpected("This node does not have the key that the producer is to sign with."));
      const auto folder = PackageFolder::open(options.packages);
      if (names.empty())
         names = defaultBootPackages(folder);
      auto packages = folder.resolve(names);
      if (!packages)
         return done(std::unexpected(packages.error()));
      BootOptions bootOptions;
      bootOptions.producer = account;
      if (chosen)
         bootOptions.publicKey = chosen->publicKey().spki();
      bootOptions.expiration.seconds = nowUs() / 1'000'000 + bootExpirationSec;
      bootOptions.invitationAccounts = firstInvitationAccounts;
      SystemRandom random;
      auto plan = planBoot(*packages, bootOptions, random);
      if (!plan)
         return done(std::unexpected(plan.error()));
      const auto shared = std::make_shared<BootPlan>(std::move(*plan));
      if (!chain->submit([this, shared, done](kernel::Kernel&) { done(boot(*shared)); }))
         done(std::unexpected("The node is busy. Try again soon."));
   }

   /// Chain thread. A chain that cannot be finished is removed: by the next start, which follows at once when a page
   /// asked for the chain.
   std::expected<std::string, std::string> boot(const BootPlan& plan) {
      writePrivateFile(bootMark(), "A chain is being made here.\n");
      making.store(true);
      auto result = makeChain(plan);
      if (result) {
         (void)theKernel->flush();
         peers->chainMade();
      }
      if (result || !theKernel->hasChain()) {
         std::error_code ignored;
         std::filesystem::remove(bootMark(), ignored);
         making.store(false);
         return result;
      }
      if (!options.boot) {
         exitCode.store(restartCode);
         end.signal();
      }
      return result;
   }

   std::expected<std::string, std::string> makeChain(const BootPlan& plan) {
      auto& k = *theKernel;
      auto first = k.pushBoot(plan.first, account, nowUs());
      if (!first)
         return std::unexpected(first.error().reason);
      if (first->error && !first->error->empty())
         return std::unexpected(*first->error);
      const auto sealOpen = [&]() -> std::optional<std::string> {
         const auto sign = [this](ByteView preimage) {
            const auto signing = signingKey();
            return signing ? toBytes(signing->sign(format::sha256(preimage))) : Bytes();
         };
         if (auto sealed = k.sealBlock(sign); !sealed)
            return sealed.error().reason;
         return std::nullopt;
      };
      for (const auto& transaction : plan.rest) {
         if (k.blockOpen() && k.openBlockBytes() > bootBlockBytes)
            if (auto problem = sealOpen())
               return std::unexpected(*problem);
         if (!k.blockOpen()) {
            const auto head = k.head();
            const std::int64_t time = BlockClock::bootTime(head->header->time.microseconds, nowUs());
            if (auto begun = k.startBlock(
                    {.time = time, .producer = account, .term = head->header->term, .commitNum = head->num});
                !begun)
               return std::unexpected(begun.error().reason);
         }
         const auto trace = k.push(transaction, true);
         if (trace.error && !trace.error->empty()) {
            k.abortBlock();
            return std::unexpected("a package cannot be installed: " + *trace.error +
                                   ". What was made of the chain is removed; try again when the package is mended.");
         }
      }
      if (k.blockOpen())
         if (auto problem = sealOpen())
            return std::unexpected(*problem);
      if (plan.invitationToken.empty())
         return std::string();
      const auto link = pageUrl("accounts", "/invite?token=" + plan.invitationToken);
      writePrivateFile(options.folder / "first-invitation", link + "\n");
      return link;
   }

   std::expected<SnapshotMade, std::string> makeSnapshot(std::optional<std::uint32_t> wanted, bool compress) override {
      if (makingSnapshot.exchange(true))
         return std::unexpected("Another snapshot is being written.");
      std::expected<SnapshotMade, std::string> out;
      try {
         const auto newest = theKernel->irreversible();
         const auto block = !wanted ? newest : *wanted > newest->num ? nullptr : theKernel->stateAt(*wanted);
         if (!block)
            throw Fault("The state after block " + std::to_string(*wanted) +
                        " is not kept here, or not irreversible; "
                        "the newest that is, is that of block " +
                        std::to_string(newest->num));
         const auto where = options.folder / "snapshots";
         std::filesystem::create_directories(where);
         const auto file = where / (std::to_string(block->num) + ".snapshot");
         const auto facts =
             createSnapshot(*theKernel, *block, file, compress,
                            [this](const auto& claim, const auto& digest) { return signFor(claim, digest); });
         log::info("A snapshot of block ", facts.blockNum, " was written to ", file.string());
         out = SnapshotMade{std::filesystem::canonical(file).string(), facts.blockNum, toHex(facts.blockId),
                            toHex(facts.chainId)};
      } catch (const Fault& fault) {
         out = std::unexpected(std::string(fault.what()));
      } catch (const std::filesystem::filesystem_error& error) {
         out = std::unexpected(std::string(error.what()));
      }
      makingSnapshot.store(false);
      return out;
   }

   const std::vector<std::string>& neighbourUrls() const override { return config.peers; }
   std::vector<peer::Introduction> introductions() const override {
      auto result = peers->neighbours();
      result.insert(result.begin(), {account, ring->claims()});
      return result;
   }

   LogFeed& logFeed() override { return feed; }
   Keyring& keyring() override { return *ring; }

   Performance performance() const override {
      auto result = measurePerformance(options.folder);
      result.transactions.succeeded = chain->transactions();
      result.transactions.failed = chain->refused();
      result.transactions.total = result.transactions.succeeded + result.transactions.failed;
      return result;
   }

   std::string metrics() const override {
      MetricsText out;
      const auto http = server->stats();
      out.info("build", "The program that runs.", {{"version", version}});
      out.gauge("process_resident_bytes", "Memory of the process.", residentBytes());
      out.gauge("http_connections", "Open HTTP connections.", std::uint64_t{http.connections});
      out.gauge("http_websockets", "Those that are WebSockets, connections to other nodes included.",
                std::uint64_t{http.webSockets});
      out.counter("http_accepted", "Connections taken in.", http.accepted);
      out.counter("http_requests", "Requests taken in.", http.requests);
      out.counter("http_bad_requests", "Requests refused as malformed.", http.badRequests);
      out.counter("http_timeouts", "Connections ended because the client was too slow.", http.timeouts);
      out.gauge("query_queued", "Requests that wait for a thread.", std::uint64_t{pool->queued()});
      out.counter("query_refused", "Requests refused because too many waited.", pool->refused());
      out.counter("blocks", "Blocks made here.", chain->blocks());
      out.counter("transactions", "Transactions put into blocks here.", chain->transactions());
      out.counter("transactions_refused", "Transactions that failed here and are in no block.", chain->refused());
      out.gauge("head_block", "Number of the newest block.", std::uint64_t{theKernel->head()->num});
      out.gauge("irreversible_block", "Number of the newest irreversible block.",
                std::uint64_t{theKernel->irreversible()->num});
      out.gauge("peers", "Connections to other nodes.", std::uint64_t{peers->links()});
      const auto consensus = peers->status();
      static constexpr std::array<std::string_view, 4> roles{"observer", "follower", "candidate", "leader"};
      out.state("role", "What this node does for the next block.", {roles.begin(), roles.end()},
                roles[static_cast<std::size_t>(consensus.role)]);
      out.gauge("term", "Term of consensus.", std::uint64_t{consensus.term});
      out.counter("term_changes", "Terms entered since the node started.", consensus.counters.termsEntered);
      out.counter("elections", "Elections begun here since the node started.", consensus.counters.elections);
      out.counter("bad_signatures", "Votes of others refused for their signature.", consensus.counters.badSignatures);
      out.counter("peer_frames_sent", "Messages sent to other nodes.", measures.framesSent.load());
      out.counter("peer_sent_bytes", "Their bytes.", measures.frameBytesSent.load());
      out.counter("peer_frames_received", "Messages from other nodes.", measures.framesReceived.load());
      out.counter("peer_received_bytes", "Their bytes.", measures.frameBytesReceived.load());
      out.durations("push_applied_seconds", "From a pushed transaction's arrival to the answer that it is executed.",
                    measures.pushApplied);
      out.durations("push_final_seconds", "From a pushed transaction's arrival to the answer that it is irreversible.",
                    measures.pushFinal);
      for (const auto& [name, value] : theKernel->counters()) {
         std::string clean = "kernel_";
         for (char c : name)
            clean += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
         out.counter(clean, "Of the kernel.", value);
      }
      return std::move(out).finish();
   }

   // ---- http::Handler, net thread ----

   void request(std::shared_ptr<http::Exchange> exchange, format::HttpRequest&& request) override {
      // The node's own services can be asked meanwhile; the chain's are not there yet, or not all.
      if (making.load() && !request.host.starts_with("x-"))
         return (void)exchange->reply(chainIsBeingMade(request));
      auto socket = std::make_shared<HttpSocket>(sockets, std::move(exchange), std::move(request));
      socket->listen();
      const auto work = [this, socket] {
         if (socket->peerGone())
            return;
         theKernel->serve(socket, socket->request());
         socket->served();
      };
      if (!pool->submit(work, socket->source()))
         socket->refuse();
   }

   /// An action of another node's services, for those of this one.
   void fromPeer(Bytes action) {
      const auto work = [this, action = std::move(action)] {
         (void)theKernel->recv(format::SocketRow::producerMulticast, action, 0);
      };
      if (!pool->submit(work))
         log::warning("A transaction of another node was dropped: the node is busy");
   }

   // ---- kernel::Host, any thread ----

   std::int64_t realtimeNs() override { return clock.realtimeNs(); }
   std::int64_t monotonicNs() override { return clock.monotonicNs(); }
   void random(std::span<std::uint8_t> out) override { SystemRandom().fill(out); }
   void log(kernel::Severity severity, std::string_view message, std::optional<AccountNumber> service) override {
      // Others can make services fail as often as they like.
      writeLog(kernelLines, static_cast<std::uint32_t>(severity), message, service);
   }

   std::expected<std::shared_ptr<kernel::Socket>, std::int32_t>
   openSocket(format::HttpRequest request, std::optional<format::TLSInfo> tls,
              std::optional<format::SocketEndpoint> endpoint) override {
      if (!server || addresses.empty())
         return std::unexpected(kernel::socketError::unavailable);
      auto host = request.host;
      auto open = [this, request = std::move(request), tls = tls.has_value(),
                   endpoint](std::shared_ptr<http::ExchangeEvents> events) mutable {
         std::optional<http::Peer> peer;
         if (endpoint)
            peer = peerOf(*endpoint);
         return server->open(std::move(request), peer ? &*peer : nullptr, tls, std::move(events));
      };
      return std::make_shared<HttpSocket>(sockets, std::move(host), endpoint, tls.has_value(), std::move(open));
   }

   std::optional<Bytes> readFile(std::string_view path) override {
      constexpr std::uint64_t bytesMax = std::uint64_t{64} << 20;
      if (!path.starts_with('/') || path.find('\0') != std::string_view::npos)
         return std::nullopt;
      std::error_code ec;
      const auto real = std::filesystem::canonical(path, ec);
      if (ec || !std::filesystem::is_regular_file(real, ec))
         return std::nullopt;
      std::vector<std::string> mounts = config.mounts;
      mounts.push_back(defaultPackageFolder().parent_path().string());
      for (const auto& mount : mounts) {
         const auto root = std::filesystem::canonical(mount, ec);
         if (ec || std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first != root.end())
            continue;
         try {
            return node::readFile(real, bytesMax);
         } catch (const Fault&) {
            return std::nullopt;
         }
      }
      return std::nullopt;
   }

   void wakeProducer() override {
      if (chain)
         chain->wake();
   }
   void wakeRunQueue() override { runWake.signal(); }
   void wakeFlush() override { flushWake.signal(); }

   void submit(std::function<void()> work) override {
      {
         Lock lock(earlyMutex);
         if (!started) {
            early.push_back(std::move(work));
            return;
         }
      }
      if (!pool->submit(std::move(work)))
         log::warning("Work of the kernel was dropped: the node is busy");
   }

   bool compile(std::function<void()> work) override { return toCompile.tryPush(std::move(work)); }

   std::optional<std::string> checkHostConfig(std::string_view json) override {
      auto parsed = parseHostJson(json);
      return parsed ? std::nullopt : std::optional(parsed.error());
   }

   void hostConfigChanged(std::string_view json) override {
      auto parsed = parseHostJson(json);
      if (!parsed)
         return;
      // What the page does not know of stays.
      parsed->key = config.key;
      parsed->chain = config.chain;
      parsed->mounts = config.mounts;
      parsed->minIntervalMs = config.minIntervalMs;
      parsed->keepBlocks = config.keepBlocks;
      try {
         saveConfig(configFile(), *parsed);
         log::info("The configuration was saved; listeners, TLS and the producer change at the next start");
      } catch (const Fault& fault) {
         log::error("The configuration cannot be saved: ", fault.what());
      }
   }

   void shutdownRequested(std::string_view json) override {
      const auto args = format::fromJson<ShutdownArgs>(json);
      if (args && args->restart)
         exitCode.store(restartCode);
      end.signal();
   }

   NodeOptions options;
   Config config;
   AccountNumber account;
   std::optional<format::Checksum256> wantedChain; ///< the only one that this node takes
   std::optional<format::PrivateKey> key;
   std::optional<Keyring> ring; ///< with `key`, and those of the folder
   std::string adminToken;      ///< of a new folder, until the process ends; empty otherwise
   SystemClock clock;
   LogAllowance kernelLines;
   LogFeed feed; ///< outlives every thread that logs

   Wake end, runWake, flushWake, checkpointWake;
   HeldReplies held{[this] { flushWake.signal(); }};
   std::atomic<bool> ending = false, stoppingNow = false;
   std::atomic<bool> making = false; ///< a chain
   std::atomic<int> exitCode = 0;
   bool down = false;
   std::atomic<bool> makingSnapshot = false;
   Mutex earlyMutex;
   std::vector<std::function<void()>> early GUARDED_BY(earlyMutex);
   std::atomic<bool> started = false;

   std::unique_ptr<store::Store> store;
   std::unique_ptr<store::Journal> journal;
   std::unique_ptr<CrashRecord> crashRecord;
   std::unique_ptr<kernel::CodeGuard> guard;
   std::unique_ptr<vm::Engine> engine;
   BoundedQueue<std::function<void()>, 64> toCompile;
   Measures measures;
   SocketContext sockets;
   NativeEndpoints endpoints{*this};
   std::unique_ptr<http::Server> server;
   std::vector<std::uint16_t> boundPorts;
   std::vector<http::ListenAddress> addresses;
   std::unique_ptr<kernel::Kernel> theKernel;
   std::unique_ptr<QueryPool> pool;
   std::unique_ptr<ChainThread> chain;
   std::unique_ptr<PeerThread> peers;
   std::vector<vm::ExecutionThread> runners;
   vm::ExecutionThread compiler, flusher, checkpointer;
};

Node::Node(NodeOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Node::~Node() = default;
int Node::run() { return impl_->run(); }
void Node::stop() { impl_->end.signal(); }
bool Node::makesChain() const { return impl_->making.load(); }
const std::vector<std::uint16_t>& Node::ports() const { return impl_->boundPorts; }

int runUntilSignal(NodeOptions options) {
   sigset_t signals;
   sigemptyset(&signals);
   sigaddset(&signals, SIGINT);
   sigaddset(&signals, SIGTERM);
   pthread_sigmask(SIG_BLOCK, &signals, nullptr);
   std::signal(SIGPIPE, SIG_IGN);
   Node node(std::move(options));
   // The waiting thread outlives the node.
   struct Target {
      Mutex mutex;
      Node* node GUARDED_BY(mutex) = nullptr;
   };
   const auto target = std::make_shared<Target>();
   {
      Lock lock(target->mutex);
      target->node = &node;
   }
   std::thread([target, signals] {
      int signal = 0;
      sigwait(&signals, &signal);
      {
         Lock lock(target->mutex);
         if (target->node && target->node->makesChain()) {
            log::warning("Stopped before the chain was made. What there is of it is removed at the next start");
            std::_Exit(128 + signal);
         }
         if (target->node)
            target->node->stop();
      }
      // Who insists does not wait for the clean way.
      sigwait(&signals, &signal);
      std::_Exit(128 + signal);
   }).detach();
   const int exitCode = node.run();
   Lock lock(target->mutex);
   target->node = nullptr;
   return exitCode;
}

} // namespace polis::node

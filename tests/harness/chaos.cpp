#include "harness/chaos.hpp"

#include "base/clock.hpp"
#include "base/temporary_folder.hpp"
#include "format/json.hpp"
#include "format/types.hpp"
#include "harness/history.hpp"
#include "harness/load.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace polis::harness {

namespace fs = std::filesystem;

namespace {

using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// After the end of a fault beyond what can be spared, a gap is still its doing for so long.
constexpr auto recovery = 15s;
/// After the end of all faults every node must have moved on within this.
constexpr auto settling = 90s;

double secondsOf(Steady::duration time) { return std::chrono::duration<double>(time).count(); }

struct ActionFacts {
   std::string service{}, method{};
};
struct TransactionFacts {
   format::Checksum256 id{};
   std::vector<ActionFacts> actions{};
};
struct BlockFacts {
   std::uint32_t num = 0;
   format::Checksum256 id{};
   bool irreversible = false;
   std::vector<TransactionFacts> transactions{};
};

/// Follows what each node calls irreversible, and when the chain moved.
class Watch {
public:
   using Tell = std::function<void(const std::string&)>;

   /// tell: for each gap of over a second, as it ends. Any thread.
   Watch(Cluster& cluster, History& history, std::uint32_t first, Tell tell)
      : cluster_(cluster), history_(history), tell_(std::move(tell)), next_(cluster.size(), first),
        moved_(Steady::now()) {
      for (std::size_t node = 0; node < cluster.size(); ++node)
         threads_.emplace_back([this, node] { run(node); });
   }
   ~Watch() { stop(); }

   void stop() {
      stopping_.store(true);
      for (auto& thread : threads_)
         thread.join();
      threads_.clear();
   }

   /// Too many producers are in trouble from now on, or no more.
   void beyond(bool now) {
      Lock lock(mutex_);
      isBeyond_ = now;
      if (!now)
         beyondUntil_ = Steady::now() + recovery;
   }
   /// The gap that is open counts too.
   void finish(ChaosReport& report) {
      stop();
      Lock lock(mutex_);
      gapEnds();
      report.longestGap = longest_;
      report.longestGapBeyond = longestBeyond_;
      report.gaps = gaps_;
   }

   std::uint64_t transfers() const { return transfers_.load(); }

   /// Shows every irreversible block of a node from the first on, up to `last`.
   void showAll(std::size_t node, std::uint32_t first, std::uint32_t last) {
      for (std::uint32_t num = first; num <= last; ++num)
         if (!show(node, num))
            throw std::runtime_error("node " + std::to_string(node) + " does not show block " + std::to_string(num));
   }

private:
   void run(std::size_t node) {
      while (!stopping_.load()) {
         const auto standing = cluster_.standing(node, 1s);
         if (standing) {
            moved(standing->irreversible);
            try {
               while (!stopping_.load() && next_[node] <= standing->irreversible && show(node, next_[node]))
                  ++next_[node];
            } catch (const std::runtime_error&) {
            }
         }
         std::this_thread::sleep_for(50ms);
      }
   }

   bool show(std::size_t node, std::uint32_t num) {
      const auto answer = cluster_.client(node, 3s).get("explorer", "/api/block?num=" + std::to_string(num));
      const auto facts = format::fromJson<BlockFacts>(answer.body);
      if (answer.status != 200 || !facts)
         return false;
      std::vector<std::string> ids;
      std::uint64_t transfers = 0;
      for (const auto& transaction : facts->transactions) {
         ids.push_back(toHex(transaction.id));
         for (const auto& one : transaction.actions)
            transfers += one.service == "tokens" && one.method == "credit";
      }
      if (history_.block(node, num, toHex(facts->id), ids))
         transfers_ += transfers;
      return true;
   }

   void moved(std::uint32_t irreversible) {
      Lock lock(mutex_);
      if (irreversible <= best_)
         return;
      best_ = irreversible;
      gapEnds();
   }
   void gapEnds() REQUIRES(mutex_) {
      const auto now = Steady::now();
      const double gap = secondsOf(now - moved_);
      const bool expected = isBeyond_ || moved_ < beyondUntil_;
      moved_ = now;
      if (gap > 1)
         tell_("nothing was irreversible for " + std::to_string(gap) + " s" +
               (expected ? ", as was to be expected" : ""));
      if (expected) {
         longestBeyond_ = std::max(longestBeyond_, gap);
      } else {
         longest_ = std::max(longest_, gap);
         if (gap > 1)
            gaps_.push_back(gap);
      }
   }

   Cluster& cluster_;
   History& history_;
   const Tell tell_;
   std::vector<std::uint32_t> next_; ///< each entry belongs to the thread of its node
   std::atomic<bool> stopping_ = false;
   std::atomic<std::uint64_t> transfers_ = 0;
   Mutex mutex_;
   std::uint32_t best_ GUARDED_BY(mutex_) = 0;
   Steady::time_point moved_ GUARDED_BY(mutex_);
   bool isBeyond_ GUARDED_BY(mutex_) = false;
   Steady::time_point beyondUntil_ GUARDED_BY(mutex_){};
   double longest_ GUARDED_BY(mutex_) = 0, longestBeyond_ GUARDED_BY(mutex_) = 0;
   std::vector<double> gaps_ GUARDED_BY(mutex_);
   std::vector<std::thread> threads_;
};

/// Lets a process work only a part of the time.
class SlowDown {
public:
   SlowDown(const NodeProcess& node, std::chrono::milliseconds works, std::chrono::milliseconds rests)
      : thread_([this, &node, works, rests] {
           while (!stopping_.load()) {
              node.signal(SIGSTOP);
              std::this_thread::sleep_for(rests);
              node.signal(SIGCONT);
              std::this_thread::sleep_for(works);
           }
        }) {}
   ~SlowDown() {
      stopping_.store(true);
      thread_.join();
   }

private:
   std::atomic<bool> stopping_ = false;
   std::thread thread_;
};

/// Folders on small file systems of their own.
class Disks {
public:
   Disks(std::size_t count, std::size_t bytes) {
      if (bytes == 0)
         return;
      base_.emplace("disks");
      for (std::size_t i = 0; i < count; ++i) {
         fs::create_directory(folder(i));
         const auto how = "size=" + std::to_string(bytes);
         if (::mount("none", folder(i).c_str(), "tmpfs", 0, how.c_str()) != 0)
            throw std::runtime_error("no file system for a node can be made here");
         ++mounted_;
      }
   }
   ~Disks() {
      for (std::size_t i = 0; i < mounted_; ++i)
         ::umount2(folder(i).c_str(), MNT_DETACH);
   }
   bool any() const { return base_.has_value(); }
   fs::path folder(std::size_t node) const { return base_->path() / std::to_string(node); }

   /// Takes all that is left.
   void fill(std::size_t node) const {
      const int fd = ::open(filler(node).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
      struct statvfs left{};
      while (::statvfs(folder(node).c_str(), &left) == 0 && left.f_bavail > 0)
         if (const std::string zeros(std::size_t{1} << 20, '\0'); ::write(fd, zeros.data(), zeros.size()) <= 0)
            break;
      ::close(fd);
   }
   void clear(std::size_t node) const {
      std::error_code ignored;
      fs::remove(filler(node), ignored);
   }

private:
   fs::path filler(std::size_t node) const { return folder(node) / "filler"; }
   std::optional<TemporaryFolder> base_;
   std::size_t mounted_ = 0;
};

class Chaos {
public:
   explicit Chaos(const ChaosOptions& options)
      : options_(options), dice_(options.seed),
        disks_(options.cluster.producers + options.cluster.followers, options.diskBytes), cluster_([&] {
           auto cluster = options.cluster;
           if (disks_.any())
              cluster.folder = [this](std::size_t node) { return disks_.folder(node); };
           return cluster;
        }()) {}

   ChaosReport run() {
      tell("network of " + std::string(cluster_.network().name()) + ", seed " + std::to_string(options_.seed));
      History history;
      TransferLoad load(cluster_, {.accounts = 4, .perSecond = options_.transfersPerSecond, .seed = options_.seed});
      const auto first = cluster_.standing(0).value_or(Standing{}).irreversible + 1;
      Watch watch(cluster_, history, first, [this](const std::string& what) { tell(what); });
      watch_ = &watch;
      load.start(history);
      pause(2s);
      const auto end = Steady::now() + options_.duration;
      while (Steady::now() < end) {
         oneFault();
         pause(std::chrono::milliseconds(500 + below(2500)));
      }
      settle(history);
      load.stop();
      settle(history);
      watch.finish(report_);
      conclude(history, watch, load, first);
      for (std::size_t i = 0; i < cluster_.size() && !options_.logs.empty(); ++i)
         std::ofstream(options_.logs / ("node" + std::to_string(i) + ".log")) << cluster_.node(i).log();
      return report_;
   }

private:
   std::uint64_t below(std::uint64_t n) { return n ? dice_() % n : 0; }
   void pause(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }
   void tell(const std::string& what) {
      if (!options_.tell)
         return;
      const auto time = SystemClock().realtimeNs() / 1'000'000'000;
      std::printf("%02d:%02d:%02d %8.2f  %s\n", static_cast<int>(time / 3600 % 24), static_cast<int>(time / 60 % 60),
                  static_cast<int>(time % 60), secondsOf(Steady::now() - began_), what.c_str());
      std::fflush(stdout);
   }
   void count(const std::string& what, const std::string& detail) {
      ++report_.faults[what];
      tell(what + " " + detail);
   }
   static std::string nameOf(std::size_t node) { return "node " + std::to_string(node); }
   void problem(std::string text) {
      tell("PROBLEM: " + text);
      report_.problems.push_back(std::move(text));
   }

   void attempt(const std::function<void()>& what) {
      try {
         what();
      } catch (const std::runtime_error& error) {
         problem(error.what());
      }
   }

   /// Nodes that are well but for what is done now.
   std::chrono::milliseconds someTime() { return std::chrono::milliseconds(1000 + below(7000)); }

   void bringBack(std::size_t node) {
      try {
         cluster_.start(node);
      } catch (const std::runtime_error& error) {
         problem(nameOf(node) + " does not start again: " + error.what());
      }
   }

   void oneFault() {
      const std::size_t n = cluster_.size(), producers = cluster_.producers(), spare = cluster_.spare();
      const auto node = static_cast<std::size_t>(below(n));
      const bool mayLose = spare > 0 || node >= producers;
      const auto time = someTime();
      const auto within = [&](const std::function<void()>& what) {
         if (mayLose)
            return what();
         if (!options_.beyondSpare)
            return;
         watch_->beyond(true);
         what();
         watch_->beyond(false);
      };
      switch (below(options_.beyondSpare ? 11 : 8)) {
      case 0:
      case 1:
         return within([&] { kill(node, time); });
      case 2:
         return within([&] { stopAndGoOn(node, time); });
      case 3:
         return within([&] { isolate(node, below(2) == 0, time); });
      case 4:
         return late(time);
      case 5:
         return within([&] { slow(node, time); });
      case 6:
         return disks_.any() ? within([&] { fullDisk(node, time); }) : within([&] { restart(node); });
      case 7: // one dead and, where two can be spared or a slow one is not lost, one slow
         return within([&] {
            const auto other = (node + 1) % n;
            SlowDown slowed(cluster_.node(other), 60ms, 40ms);
            count("slow", nameOf(other) + " while");
            kill(node, time);
         });
      case 8:
         return split(time);
      case 9:
         return outage(time);
      default:
         watch_->beyond(true);
         kill(node, 0ms);
         kill((node + 1) % n, time);
         watch_->beyond(false);
      }
   }

   void kill(std::size_t node, std::chrono::milliseconds time) {
      count("kill", nameOf(node));
      cluster_.node(node).kill();
      pause(time);
      bringBack(node);
      tell(nameOf(node) + " is back");
   }
   void restart(std::size_t node) {
      count("restart", nameOf(node));
      if (const int status = cluster_.node(node).stop(); status != 0)
         problem(nameOf(node) + " did not stop cleanly: " + std::to_string(status));
      bringBack(node);
   }
   void stopAndGoOn(std::size_t node, std::chrono::milliseconds time) {
      count("stand still", nameOf(node));
      cluster_.node(node).signal(SIGSTOP);
      pause(time);
      cluster_.node(node).signal(SIGCONT);
   }
   void slow(std::size_t node, std::chrono::milliseconds time) {
      count("slow", nameOf(node));
      SlowDown slowed(cluster_.node(node), 30ms, 70ms);
      pause(time);
   }
   void isolate(std::size_t node, bool bothWays, std::chrono::milliseconds time) {
      count(bothWays ? "isolate" : "isolate one way", nameOf(node));
      std::vector<bool> alone(cluster_.size(), false);
      alone[node] = true;
      if (!bothWays && below(2))
         alone.flip();
      cluster_.cut(alone, bothWays, true);
      pause(time);
      cluster_.cut(alone, bothWays, false);
      tell("healed");
   }
   void split(std::chrono::milliseconds time) {
      std::vector<bool> side(cluster_.size(), false);
      for (std::size_t i = 0; i < side.size(); ++i)
         side[i] = below(2) == 1;
      std::string text;
      for (const bool one : side)
         text += one ? 'b' : 'a';
      count("split", text);
      watch_->beyond(true);
      cluster_.cut(side, true, true);
      pause(time);
      cluster_.cut(side, true, false);
      watch_->beyond(false);
      tell("healed");
   }
   void late(std::chrono::milliseconds time) {
      Link link = options_.cluster.link;
      link.delay += std::chrono::milliseconds(20 + below(130));
      link.loss = below(2) ? static_cast<double>(below(30)) / 1000 : 0;
      count("late", std::to_string(link.delay / 1ms) + " ms, loss " + std::to_string(link.loss));
      cluster_.setLinks(link);
      pause(time);
      cluster_.heal();
   }
   void outage(std::chrono::milliseconds time) {
      count("outage", "of all nodes");
      watch_->beyond(true);
      for (std::size_t i = 0; i < cluster_.size(); ++i)
         cluster_.node(i).kill();
      pause(time / 4);
      for (std::size_t i = 0; i < cluster_.size(); ++i)
         bringBack(i);
      watch_->beyond(false);
      tell("all are back");
   }
   void fullDisk(std::size_t node, std::chrono::milliseconds time) {
      count("full disk", nameOf(node));
      disks_.fill(node);
      pause(time);
      disks_.clear(node);
      // It may have stopped over it; then somebody starts it again.
      if (!cluster_.node(node).running()) {
         tell(nameOf(node) + " had stopped");
         bringBack(node);
      }
   }

   /// Until every node runs and has what any of them called irreversible, and one block more.
   void settle(History& history) {
      cluster_.heal();
      tell("waiting for everybody");
      for (std::size_t i = 0; i < cluster_.size(); ++i) {
         cluster_.node(i).signal(SIGCONT);
         if (!cluster_.node(i).running()) {
            problem(nameOf(i) + " has ended by itself");
            bringBack(i);
         }
      }
      const auto goal = history.highest() + 1;
      const auto end = Steady::now() + settling;
      for (std::size_t i = 0; i < cluster_.size(); ++i) {
         std::uint32_t reached = 0;
         while (Steady::now() < end && reached < goal) {
            reached = cluster_.standing(i).value_or(Standing{}).irreversible;
            std::this_thread::sleep_for(50ms);
         }
         if (reached < goal)
            problem(nameOf(i) + " stands at block " + std::to_string(reached) + " and not at " + std::to_string(goal) +
                    " so long after the last fault");
      }
      tell("everybody has block " + std::to_string(goal));
   }

   void conclude(History& history, Watch& watch, const TransferLoad& load, std::uint32_t first) {
      // Once more from the beginning: what a node says now must be what it, and everybody, said all along.
      std::uint32_t last = UINT32_MAX;
      for (std::size_t i = 0; i < cluster_.size(); ++i)
         last = std::min(last, cluster_.standing(i).value_or(Standing{}).irreversible);
      last = std::max(last, history.highest());
      // The state of a block is not kept for as long as looking at all blocks may take.
      std::vector<std::optional<std::uint64_t>> received(cluster_.size());
      for (std::size_t i = 0; i < cluster_.size(); ++i)
         attempt([&] { received[i] = load.received(i, last); });
      for (std::size_t i = 0; i < cluster_.size(); ++i)
         attempt([&] { watch.showAll(i, first, last); });
      for (std::size_t i = 0; i < cluster_.size(); ++i)
         if (received[i] && *received[i] != watch.transfers())
            problem(nameOf(i) + " says that " + std::to_string(*received[i]) + " was received in " +
                    std::to_string(watch.transfers()) + " transfers of one");
      history.conclude();
      for (auto& text : history.problems())
         problem(std::move(text));
      report_.sent = load.sent();
      report_.refused = load.refused();
      report_.firstRefusal = load.firstRefusal();
      report_.reportedFinal = history.reportedCount();
      report_.inChain = watch.transfers();
      report_.firstBlock = first;
      report_.lastBlock = last;
      if (const auto latencies = history.latenciesMs(); !latencies.empty()) {
         report_.finalP50Ms = latencies[latencies.size() / 2];
         report_.finalP99Ms = latencies[latencies.size() * 99 / 100];
      }
   }

   const ChaosOptions options_;
   std::mt19937_64 dice_;
   const Steady::time_point began_ = Steady::now();
   Disks disks_;
   Cluster cluster_;
   Watch* watch_ = nullptr;
   ChaosReport report_;
};

} // namespace

std::string ChaosReport::text() const {
   std::ostringstream out;
   out << "transfers: " << sent << " sent, " << reportedFinal << " reported final, " << refused << " refused, "
       << inChain << " in the chain\n";
   if (refused)
      out << "first refusal: " << firstRefusal << "\n";
   out << "blocks: " << firstBlock << " to " << lastBlock << "\n";
   out << "final after (ms): p50 " << finalP50Ms << ", p99 " << finalP99Ms << "\n";
   out << "longest time without a new irreversible block (s): " << longestGap << " with enough producers well, "
       << longestGapBeyond << " otherwise\n";
   out << "gaps over a second with enough producers well: " << gaps.size();
   if (!gaps.empty()) {
      auto sorted = gaps;
      std::ranges::sort(sorted, std::greater());
      out << ", the longest (s):";
      for (std::size_t i = 0; i < std::min<std::size_t>(10, sorted.size()); ++i)
         out << " " << sorted[i];
   }
   out << "\nfaults:";
   for (const auto& [name, times] : faults)
      out << " " << name << " " << times << ";";
   out << "\n";
   for (const auto& problem : problems)
      out << "PROBLEM: " << problem << "\n";
   return out.str();
}

ChaosReport runChaos(const ChaosOptions& options) { return Chaos(options).run(); }

} // namespace polis::harness

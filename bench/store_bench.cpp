// bench/run store: the store beside LMDB (plain and writable map) and RocksDB, each in a process of its own.
// store_bench [--json] [--quick] [--rows N]... [--only ENGINE]... [--part PART]... [--blocks N] [--soak SECONDS]
// [--folder DIR]
//
// Keys: 8-byte service, 2-byte table, 6 to 22 random bytes; values 32 to 256 bytes.
//   upsert  random upserts into an empty set, transactions of 100, no sync; update: the same once full
//   get     random point reads; get_4_together: four keys asked for at once, of the writer, where the engine has a way;
//           get_beside_writer and write_beside_reader: one thread of each; get_beside_other and
//           write_beside_other: beside a thread that waits for memory of its own, which tells what the machine takes
//   scan100 100 entries from a random start, entries a second
//   block   transactions of 4 reads, 3 updates, 1 insert, 1,000 to a block; each block is kept as a version for the
//           next ten; one transaction in twenty is abandoned midway
//   block_durable  the same, each block on the disk before the next begins
//   soak    with --soak, instead of all but the first: `block_durable` for so long, in which each insert makes one of
//           those before go once they are half as many as the rows; how much room it took for the data of the newest
//           version, and for what all versions need that are kept, the last checkpoint among them
#include "store_bench_engine.hpp"

#include "base/assert.hpp"
#include "bench/figures.hpp"
#include "store/memory.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace polis::bench {
namespace {

struct Parameters {
   std::vector<std::uint64_t> rows;
   /// Count of reads, of updates and of scanned entries divided by ten.
   std::uint64_t operations = 1'000'000;
   int blocks = 200, durableBlocks = 400;
   /// Seconds of blocks, instead of all cases but the writes; 0: none.
   double soakSeconds = 0;
   std::vector<std::string> only;
   /// Beside the writes, which all else rests on.
   std::vector<std::string> parts;
   bool json = false;
   std::filesystem::path folder = std::filesystem::temp_directory_path() / "polis_store_bench";
};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::uint64_t mix(std::uint64_t x) {
   x += 0x9E3779B97F4A7C15;
   x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
   x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
   return x ^ (x >> 31);
}

/// The row with this number, made without memory of rows made before.
struct Row {
   explicit Row(std::uint64_t number) {
      const std::uint64_t h = mix(number);
      std::memcpy(key, "service1", 8);
      key[8] = 0;
      key[9] = static_cast<std::uint8_t>(h % 3);
      keyBytes = 16 + (h >> 8) % 17;
      for (std::size_t at = 10, i = 1; at < keyBytes; at += 8, ++i) {
         const std::uint64_t word = mix(h + i);
         std::memcpy(key + at, &word, 8);
      }
      valueBytes = 32 + (h >> 16) % 225;
   }
   std::uint8_t key[48];
   std::size_t keyBytes, valueBytes;
   ByteView keyView() const { return {key, keyBytes}; }
   ByteView value() const {
      static const Bytes filler(512, 'v');
      return ByteView(filler).first(valueBytes);
   }
};

struct Random {
   std::uint64_t state;
   std::uint64_t operator()() { return mix(state++); }
};

double residentBytes() {
   std::ifstream in("/proc/self/status");
   for (std::string line; std::getline(in, line);)
      if (line.starts_with("VmRSS:"))
         return std::stod(line.substr(6)) * 1024;
   return 0;
}

/// What this process has given the system to write to disks so far, by the system's count: a page, or the whole of a
/// larger unit of its cache, each time that it became dirty, whatever of it was written then.
double givenBytes() {
   std::ifstream in("/proc/self/io");
   for (std::string line; std::getline(in, line);)
      if (line.starts_with("write_bytes:"))
         return std::stod(line.substr(12));
   return 0;
}

/// What was written to the disk that holds the folder since the machine started, by anybody, the file system's own
/// notes included; 0 when the system does not tell.
double deviceBytes(const std::filesystem::path& folder) {
   struct stat status{};
   if (::stat(folder.c_str(), &status) != 0)
      return 0;
   std::ifstream in("/sys/dev/block/" + std::to_string(major(status.st_dev)) + ":" +
                    std::to_string(minor(status.st_dev)) + "/stat");
   double field = 0;
   for (int i = 0; i < 7 && in >> field; ++i)
      ;
   return in ? 512 * field : 0;
}

/// What the folder takes on the disk.
double diskBytes(const std::filesystem::path& folder) {
   double sum = 0;
   for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      struct stat status{};
      if (::stat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
         sum += static_cast<double>(status.st_blocks) * 512;
   }
   return sum;
}

/// The bytes of keys and values that some version still needs: the newest, those kept before it, and the last
/// checkpoint. What each has in common with the newest counts once.
class Live {
public:
   /// The row is there from now on, with another value than before.
   void put(std::uint64_t number, double bytes) {
      if (number >= changedIn_.size())
         changedIn_.resize(number + number / 2 + 1, never);
      if (changedIn_[number] == never)
         newest_ += bytes;
      else
         replaced(number, bytes);
      changedIn_[number] = block_;
   }
   void remove(std::uint64_t number, double bytes) {
      newest_ -= bytes;
      replaced(number, bytes);
      changedIn_[number] = never;
   }
   void endBlock() {
      ++block_;
      old_.emplace_back();
   }
   /// The newest version is the checkpoint now.
   void checkpoint() { checkpoint_ = block_; }
   double newest() const { return newest_; }
   double all() const {
      double sum = newest_;
      for (std::size_t block = checkpoint_; block < block_; ++block)
         sum += block_ - block < versionsKept ? old_[block].before : old_[block].beforeCheckpoint;
      for (std::size_t block = block_ - std::min<std::size_t>(block_, versionsKept - 1); block < checkpoint_; ++block)
         sum += old_[block].before;
      return sum;
   }

private:
   static constexpr std::uint32_t never = UINT32_MAX;
   struct Old {
      /// Of what was replaced in the block, what the version before it has, and what the last checkpoint has.
      double before = 0, beforeCheckpoint = 0;
   };
   void replaced(std::uint64_t number, double bytes) {
      if (changedIn_[number] < block_)
         old_[block_].before += bytes;
      if (changedIn_[number] < checkpoint_)
         old_[block_].beforeCheckpoint += bytes;
   }

   std::vector<std::uint32_t> changedIn_;
   std::vector<Old> old_ = std::vector<Old>(1);
   std::uint32_t block_ = 0, checkpoint_ = 0;
   double newest_ = 0;
};

using Open = std::function<std::unique_ptr<Engine>(const std::filesystem::path&)>;

class Cases {
public:
   Cases(const Parameters& parameters, const char* engine, Open open, std::uint64_t rows)
      : p_(parameters), name_(engine), open_(std::move(open)), rows_(rows), folder_(p_.folder / engine) {}

   void run() {
      std::filesystem::remove_all(folder_);
      engine_ = open_(folder_);
      if (!engine_) {
         std::fprintf(stderr, "%s: built without it, skipped\n", name_);
         return;
      }
      writes();
      if (p_.soakSeconds > 0)
         return soak();
      if (wanted("get"))
         reads();
      if (wanted("beside"))
         both();
      if (wanted("block"))
         inBlocks();
      if (wanted("durable"))
         durably();
      if (wanted("open"))
         reopen();
      engine_.reset();
      std::filesystem::remove_all(folder_);
   }

private:
   bool wanted(const char* part) const {
      return p_.parts.empty() || std::find(p_.parts.begin(), p_.parts.end(), part) != p_.parts.end();
   }
   void say(const char* name, const char* metric, double value, const char* unit) const {
      const std::string size = rows_ >= 1'000'000 ? std::to_string(rows_ / 1'000'000) + "M" : std::to_string(rows_);
      if (p_.json)
         return printJson("store", name + ("/" + size), name_, metric, value, unit);
      std::printf("%-22s %-5s %-14s %-18s %14.1f %s\n", name, size.c_str(), name_, metric, value, unit);
      std::fflush(stdout);
   }
   void rate(const char* name, double count, double from) const {
      say(name, "ops_per_s", count / (seconds() - from), "1/s");
   }
   void percentiles(const char* name, std::vector<float>& times) const {
      std::sort(times.begin(), times.end());
      const auto at = [&](double share) { return times[static_cast<std::size_t>(share * double(times.size() - 1))]; };
      say(name, "p50", at(0.5), "ns");
      say(name, "p99", at(0.99), "ns");
      say(name, "p99.9", at(0.999), "ns");
   }

   template <class Number>
   void upserts(std::uint64_t count, Number&& number, std::vector<float>* times = nullptr) {
      for (std::uint64_t i = 0; i < count;) {
         engine_->begin();
         for (int j = 0; j < 100 && i < count; ++j, ++i) {
            const Row row(number(i));
            const double from = times ? seconds() : 0;
            engine_->put(row.keyView(), row.value());
            if (times)
               times->push_back(static_cast<float>(1e9 * (seconds() - from)));
         }
         engine_->commit();
      }
   }

   void gets(Engine::Reader& reader, std::uint64_t count, std::uint64_t seed) const {
      Random random{seed};
      std::uint64_t found = 0;
      for (std::uint64_t i = 0; i < count; ++i) {
         if (i % 1000 == 0)
            reader.renew();
         found += reader.get(Row(random() % rows_).keyView());
      }
      ASSERT(found == count);
   }

   void writes() {
      double from = seconds();
      upserts(rows_, [](std::uint64_t i) { return i; });
      rate("upsert", static_cast<double>(rows_), from);
      for (std::uint64_t i = 0; i < rows_; ++i)
         rawBytes_ += rawOf(i);
      Random random{5};
      const std::uint64_t count = p_.operations / 2;
      from = seconds();
      upserts(count, [&](std::uint64_t) { return random() % rows_; });
      rate("update", static_cast<double>(count), from);
      for (const auto& [what, bytes] : engine_->space())
         say("update", what, bytes / rawBytes_, "1");
      std::vector<float> times;
      times.reserve(count / 5);
      upserts(count / 5, [&](std::uint64_t) { return random() % rows_; }, &times);
      percentiles("update", times);
   }

   void reads() {
      auto reader = engine_->reader();
      reader->renew();
      double from = seconds();
      gets(*reader, p_.operations, 1);
      rate("get", static_cast<double>(p_.operations), from);
      getsTogether();
      Random random{9};
      const std::uint64_t scans = p_.operations / 20;
      std::size_t bytes = 0;
      from = seconds();
      for (std::uint64_t i = 0; i < scans; ++i)
         bytes += reader->scan(Row(random() % rows_).keyView(), 100);
      ASSERT(bytes > 0);
      rate("scan100", static_cast<double>(scans * 100), from);
      std::vector<float> times;
      for (std::uint64_t i = 0; i < p_.operations / 10; ++i) {
         const Row row(random() % rows_);
         const double start = seconds();
         reader->get(row.keyView());
         times.push_back(static_cast<float>(1e9 * (seconds() - start)));
      }
      percentiles("get", times);
   }

   void getsTogether() {
      Random random{4};
      std::size_t found = 0;
      engine_->begin();
      const double from = seconds();
      for (std::uint64_t i = 0; i < p_.operations / 4; ++i) {
         const Row row[] = {Row(random() % rows_), Row(random() % rows_), Row(random() % rows_), Row(random() % rows_)};
         const ByteView keys[] = {row[0].keyView(), row[1].keyView(), row[2].keyView(), row[3].keyView()};
         found += engine_->get(keys);
      }
      rate("get_4_together", static_cast<double>(found), from);
      ASSERT(found == p_.operations / 4 * 4);
      engine_->commit();
   }

   /// One thread of each, and each beside one that has nothing to do with it, which tells what the machine alone takes.
   void both() {
      constexpr int besideTurns = 8;
      using Work = std::function<std::uint64_t(const std::atomic<bool>&)>;
      const double turnSeconds = static_cast<double>(p_.operations) / 500'000 / besideTurns;
      Random written{6};
      std::uint64_t read = 0;
      const Work writing = [&](const std::atomic<bool>& stop) {
         std::uint64_t puts = 0;
         for (; !stop; puts += 100)
            upserts(100, [&](std::uint64_t) { return written() % rows_; });
         return puts;
      };
      const Work reading = [&](const std::atomic<bool>& stop) {
         auto reader = engine_->reader();
         const std::uint64_t from = read;
         for (; !stop; read += 1000)
            gets(*reader, 1000, read);
         return read - from;
      };
      // Waits for memory of its own, as much as the rows have.
      std::vector<std::uint64_t> memory(static_cast<std::size_t>(rawBytes_) / 8);
      for (std::size_t i = 0; i < memory.size(); ++i)
         memory[i] = mix(i);
      const Work elsewhere = [&](const std::atomic<bool>& stop) {
         std::uint64_t at = 1;
         while (!stop)
            for (int i = 0; i < 1000; ++i)
               at = mix(at ^ memory[at % memory.size()]);
         return at;
      };
      struct Pair {
         const Work& first;
         const Work& second;
         const char* firstName;
         const char* secondName;
         std::uint64_t counts[2] = {};
         double seconds = 0;
      };
      Pair pairs[] = {{reading, elsewhere, "get_beside_other", nullptr},
                      {writing, elsewhere, "write_beside_other", nullptr},
                      {writing, reading, "write_beside_reader", "get_beside_writer"}};
      // In turns, since machines are slower and faster by turns too.
      for (int turn = 0; turn < besideTurns; ++turn)
         for (Pair& pair : pairs) {
            std::atomic<bool> stop = false;
            const double from = seconds();
            std::thread other([&] { pair.counts[1] += pair.second(stop); });
            std::thread end([&] {
               std::this_thread::sleep_for(std::chrono::duration<double>(turnSeconds));
               stop = true;
            });
            pair.counts[0] += pair.first(stop);
            end.join();
            other.join();
            pair.seconds += seconds() - from;
         }
      for (const Pair& pair : pairs) {
         say(pair.firstName, "ops_per_s", static_cast<double>(pair.counts[0]) / pair.seconds, "1/s");
         if (pair.secondName)
            say(pair.secondName, "ops_per_s", static_cast<double>(pair.counts[1]) / pair.seconds, "1/s");
      }
   }

   /// Returns the bytes of the keys and values that were put and kept.
   double blocks(int count, bool durable, std::vector<float>& keepTimes) {
      double payload = 0;
      const double until = seconds() + blockSecondsMax;
      for (blocksDone_ = 0; blocksDone_ < count && seconds() < until; ++blocksDone_) {
         engine_->begin();
         for (int t = 0; t < 1000; ++t) {
            engine_->beginInner();
            const bool abandon = t % 20 == 7;
            const auto remove = [&](std::uint64_t number) {
               engine_->remove(Row(number).keyView());
               if (live_)
                  live_->remove(number, rawOf(number));
            };
            double bytes = 0;
            for (int i = 0; i < 4; ++i)
               engine_->get(Row(random_() % rows_).keyView());
            const auto put = [&](std::uint64_t number) {
               const Row row(number);
               engine_->put(row.keyView(), row.value());
               bytes += rawOf(number);
               if (live_ && !abandon)
                  live_->put(number, rawOf(number));
            };
            for (int i = 0; i < 3; ++i)
               put(random_() % rows_);
            if (!abandon) {
               put(rows_ + inserted_++);
               payload += bytes;
               if (inserted_ - removed_ > insertedMax_)
                  remove(rows_ + removed_++);
            }
            engine_->endInner(!abandon);
         }
         engine_->commit();
         const double from = seconds();
         engine_->keepVersion();
         keepTimes.push_back(static_cast<float>(1e9 * (seconds() - from)));
         if (live_)
            live_->endBlock();
         if (durable) {
            engine_->sync();
            if (live_ && engine_->settled())
               live_->checkpoint();
         }
      }
      return payload;
   }

   double rawOf(std::uint64_t number) const {
      const Row row(number);
      return static_cast<double>(row.keyBytes + row.valueBytes);
   }

   /// Blocks for long: how much room they take for their data.
   void soak() {
      std::vector<float> keepTimes;
      const double from = seconds();
      live_.emplace();
      for (std::uint64_t i = 0; i < rows_; ++i)
         live_->put(i, rawOf(i));
      live_->endBlock();
      insertedMax_ = rows_ / 2;
      engine_->settle();
      engine_->beginDurable();
      live_->checkpoint();
      const int parts = std::max(30, static_cast<int>(p_.soakSeconds / 60));
      std::map<std::string, double> most;
      for (int part = 1; part <= parts; ++part) {
         const double began = seconds(), device = deviceBytes(folder_);
         double payload = 0;
         int done = 0;
         std::map<std::string, double> now;
         for (; seconds() < from + p_.soakSeconds * part / parts; ++done) {
            payload += blocks(1, true, keepTimes);
            now = {{"folder_to_newest", diskBytes(folder_) / live_->newest()},
                   {"folder_to_live", diskBytes(folder_) / live_->all()},
                   {"live_to_newest", live_->all() / live_->newest()}};
            for (const auto& [what, bytes] : engine_->space()) {
               now[std::string(what) + "_to_newest"] = bytes / live_->newest();
               now[std::string(what) + "_to_live"] = bytes / live_->all();
            }
            for (const auto& [what, value] : now)
               most[what] = std::max(most[what], value);
         }
         rate("soak", done * 1000.0, began);
         say("soak", "newest", live_->newest(), "B");
         say("soak", "written_to_payload", (deviceBytes(folder_) - device) / payload, "1");
         for (const auto& [what, value] : now) {
            say("soak", what.c_str(), value, "1");
            say("soak", (what + "_most").c_str(), most[what], "1");
         }
      }
      percentiles("keep_and_drop_version", keepTimes);
   }

   void inBlocks() {
      std::vector<float> keepTimes;
      double from = seconds();
      blocks(p_.blocks, false, keepTimes);
      rate("block", blocksDone_ * 1000.0, from);
      percentiles("keep_and_drop_version", keepTimes);
      double raw = rawBytes_;
      for (std::uint64_t i = 0; i < inserted_; ++i)
         raw += rawOf(rows_ + i);
      say("after_block", "file", diskBytes(folder_), "B");
      say("after_block", "file_to_raw", diskBytes(folder_) / raw, "1");
      say("after_block", "memory", residentBytes(), "B");
      for (const auto& [what, bytes] : engine_->space())
         say("after_block", what, bytes / raw, "1");
      from = seconds();
      engine_->dropVersions();
      say("after_block", "drop_ten_versions", 1e6 * (seconds() - from), "us");
   }

   void durably() {
      engine_->settle();
      engine_->beginDurable();
      std::vector<float> keepTimes;
      const double from = seconds();
      double payload = blocks(p_.durableBlocks, true, keepTimes);
      rate("block_durable", blocksDone_ * 1000.0, from);
      // An engine that writes some of it once in a while is counted from one such time to the next.
      const auto goOn = [&] {
         for (const double now = seconds(); !engine_->settled() && seconds() < now + settleSecondsMax;)
            payload += blocks(1, true, keepTimes);
      };
      goOn();
      const double given = givenBytes(), device = deviceBytes(folder_);
      payload = blocks(p_.durableBlocks, true, keepTimes);
      goOn();
      if (!engine_->settled())
         engine_->settle();
      say("block_durable", "given_to_payload", (givenBytes() - given) / payload, "1");
      // True when nobody else writes.
      say("block_durable", "written_to_payload", (deviceBytes(folder_) - device) / payload, "1");
      say("after_durable", "file", diskBytes(folder_), "B");
   }

   void reopen() {
      engine_.reset();
      const double from = seconds();
      engine_ = open_(folder_);
      say("open", "open_ms", 1000 * (seconds() - from), "ms");
   }

   const Parameters& p_;
   const char* name_;
   Open open_;
   const std::uint64_t rows_;
   const std::filesystem::path folder_;
   std::unique_ptr<Engine> engine_;
   static constexpr double blockSecondsMax = 15, settleSecondsMax = 60;
   Random random_{77};
   std::uint64_t inserted_ = 0, removed_ = 0, insertedMax_ = UINT64_MAX;
   double rawBytes_ = 0;
   std::optional<Live> live_;
   int blocksDone_ = 0;
};

/// Memory that the machine has not used for a while may first have to be found by a machine beneath it, and large pages
/// to be cleared of small ones; the first to take it would pay for both. Takes so much and gives it back.
void warmMemory(std::size_t bytes) {
   const pid_t child = ::fork();
   ASSERT(child >= 0);
   if (child == 0) {
      void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      ASSERT(memory != MAP_FAILED);
      ::madvise(memory, bytes, MADV_HUGEPAGE);
      for (std::size_t at = 0; at < bytes; at += 4096)
         static_cast<volatile std::uint8_t*>(memory)[at] = 1;
      ::_exit(0);
   }
   int status = 0;
   ASSERT(::waitpid(child, &status, 0) == child && status == 0);
}

int run(const Parameters& p) {
   const std::pair<const char*, Open> engines[] = {
       {"polis", openPolis},
       {"lmdb_writemap", [](const std::filesystem::path& folder) { return openLmdb(folder, true); }},
       {"lmdb", [](const std::filesystem::path& folder) { return openLmdb(folder, false); }},
       {"rocksdb", openRocksdb}};
   std::filesystem::create_directories(p.folder);
   for (const std::uint64_t rows : p.rows)
      for (const auto& [name, open] : engines) {
         if (!p.only.empty() && std::find(p.only.begin(), p.only.end(), name) == p.only.end())
            continue;
         warmMemory(std::min(store::detail::availableMemory() / 2, rows * 1024));
         std::fflush(stdout);
         const pid_t child = ::fork();
         ASSERT(child >= 0);
         if (child == 0) {
            Cases(p, name, open, rows).run();
            std::fflush(stdout);
            ::_exit(0);
         }
         int status = 0;
         ASSERT(::waitpid(child, &status, 0) == child);
         if (status != 0)
            return std::fprintf(stderr, "%s failed\n", name), 1;
      }
   std::filesystem::remove_all(p.folder);
   return 0;
}

} // namespace
} // namespace polis::bench

int main(int argc, char** argv) {
   polis::bench::Parameters p;
   for (int i = 1; i < argc; ++i) {
      const std::string option = argv[i];
      const auto next = [&] { return std::string(i + 1 < argc ? argv[++i] : "0"); };
      if (option == "--rows")
         p.rows.push_back(std::max(1000ul, std::stoul(next())));
      else if (option == "--quick")
         p.rows = {1'000'000}, p.operations = 500'000, p.blocks = 40, p.durableBlocks = 20;
      else if (option == "--tiny")
         p.rows = {1000}, p.operations = 20'000, p.blocks = p.durableBlocks = 3;
      else if (option == "--only")
         p.only.push_back(next());
      else if (option == "--part")
         p.parts.push_back(next());
      else if (option == "--blocks")
         p.blocks = p.durableBlocks = std::max(1, std::stoi(next()));
      else if (option == "--soak")
         p.soakSeconds = std::stod(next());
      else if (option == "--folder")
         p.folder = next();
      else if (option == "--json")
         p.json = true;
      else
         return std::fprintf(stderr,
                             "store_bench [--json] [--quick] [--rows N]... [--only "
                             "polis|lmdb|lmdb_writemap|rocksdb]... [--part "
                             "get|beside|block|durable|open]... [--blocks N] [--soak SECONDS] [--folder DIR]\n"),
                2;
   }
   if (p.rows.empty())
      p.rows = {1'000'000, 5'000'000};
   return polis::bench::run(p);
}

// The store as it is used beside a log: changes are in the tree at once and, when they are to be durable, in a record
// of the journal, which is synced. When that has grown by half of what the store's file was long at the last
// checkpoint, and by 64 MiB, another one lets it be cut: the checkpoints' writes stay in proportion to the journal's.
#include "store_bench_engine.hpp"

#include "base/mutex.hpp"
#include "store/journal.hpp"
#include "store/store.hpp"

#include <algorithm>
#include <deque>

namespace polis::bench {
namespace {

class Polis final : public Engine {
public:
   explicit Polis(const std::filesystem::path& folder)
      : store_(store::Store::open(folder / "store")), journal_(store::Journal::open(folder / "journal")),
        writer_(start(*store_)) {}

   void begin() override {}
   void put(ByteView key, ByteView value) override {
      writer_.put(key, value);
      if (log_) {
         record_.push_back(static_cast<std::uint8_t>(key.size()));
         record_.push_back(static_cast<std::uint8_t>(value.size()));
         append(record_, key);
         append(record_, value);
      }
   }
   void remove(ByteView key) override {
      writer_.remove(key);
      if (log_) {
         record_.push_back(static_cast<std::uint8_t>(key.size()));
         record_.push_back(0);
         append(record_, key);
      }
   }
   bool get(ByteView key) override { return writer_.get(key).has_value(); }
   std::size_t get(std::span<const ByteView> keys) override {
      values_.resize(keys.size());
      writer_.get(keys, values_);
      return keys.size() - static_cast<std::size_t>(std::count(values_.begin(), values_.end(), std::nullopt));
   }
   void beginInner() override {
      mark_ = writer_.mark();
      recordMark_ = record_.size();
   }
   void endInner(bool keep) override {
      if (keep) {
         writer_.keep(mark_);
      } else {
         writer_.rollBack(mark_);
         record_.resize(recordMark_);
      }
   }
   void commit() override {
      store::Version next = writer_.snapshot();
      Lock lock(mutex_);
      std::swap(newest_, next);
   }
   void keepVersion() override {
      kept_.push_back(newest());
      if (kept_.size() > versionsKept)
         kept_.pop_front();
   }
   void dropVersions() override { kept_.clear(); }
   void beginDurable() override { log_ = true; }
   void sync() override {
      const auto end = journal_->append(record_);
      record_.clear();
      journal_->sync(end);
      const std::uint64_t logged = end - checkpointAt_;
      settled_ = logged >= checkpointBytesMin && store_->checkpointDue(logged);
      if (settled_)
         settle();
   }
   bool settled() const override { return settled_; }
   void settle() override {
      checkpointAt_ = journal_->end();
      store_->checkpoint({{{"head", newest()}}, checkpointAt_, {}});
      journal_->truncateBefore(checkpointAt_);
   }

   std::vector<std::pair<const char*, double>> space() override {
      const store::Stat stat = store_->stat();
      return {{"file", static_cast<double>(stat.fileBytes)}, {"in_use", static_cast<double>(stat.usedBytes)}};
   }

   class PolisReader final : public Reader {
   public:
      explicit PolisReader(Polis& engine) : engine_(engine) { PolisReader::renew(); }
      void renew() override { version_ = engine_.newest(); }
      bool get(ByteView key) override { return version_.get(key).has_value(); }
      std::size_t scan(ByteView from, std::size_t count) override {
         auto cursor = version_.cursor();
         std::size_t seen = 0, bytes = 0;
         for (bool more = cursor.seek(from); more && seen < count; more = cursor.next(), ++seen)
            bytes += cursor.entry().value.size();
         return bytes;
      }

   private:
      Polis& engine_;
      store::Version version_;
   };
   std::unique_ptr<Reader> reader() override { return std::make_unique<PolisReader>(*this); }

private:
   static constexpr std::uint64_t checkpointBytesMin = std::uint64_t{16} << 20;

   static store::Version start(store::Store& store) {
      const auto last = store.lastCheckpoint();
      return last ? last->versions.at("head") : store.empty();
   }
   store::Version newest() {
      Lock lock(mutex_);
      return newest_;
   }

   std::unique_ptr<store::Store> store_;
   std::unique_ptr<store::Journal> journal_;
   store::Writer writer_;
   store::Writer::Mark mark_{};
   Mutex mutex_;
   store::Version newest_ GUARDED_BY(mutex_);
   std::deque<store::Version> kept_;
   std::vector<std::optional<ByteView>> values_;
   bool log_ = false;
   Bytes record_;
   std::size_t recordMark_ = 0;
   store::JournalPosition checkpointAt_ = 0;
   bool settled_ = false;
};

} // namespace

std::unique_ptr<Engine> openPolis(const std::filesystem::path& folder) { return std::make_unique<Polis>(folder); }

} // namespace polis::bench

#include "store/journal.hpp"

#include "base/assert.hpp"
#include "base/fault.hpp"
#include "base/mutex.hpp"
#include "store/crc32c.hpp"
#include "store/file.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <string_view>
#include <vector>

namespace polis::store {

using namespace detail;

namespace {

constexpr std::uint8_t magic[8] = {'p', 'o', 'l', 'i', 's', 'J', 'N', 0x1A};
constexpr std::uint32_t formatVersion = 1;
/// Records not yet written are held in memory up to about this much.
constexpr std::size_t pendingBytesMax = std::size_t{4} << 20;
/// So much of what looks like records behind the end is looked at when opening.
constexpr std::uint64_t tailCheckedMax = std::uint64_t{1} << 30;
struct SegmentHead {
   std::uint8_t magic[8];
   std::uint32_t formatVersion;
   /// Over the rest, with this field as 0.
   std::uint32_t checksum;
   JournalPosition start;
   std::uint64_t spare;
};
static_assert(sizeof(SegmentHead) == 32);

/// Followed by the record and zeros up to a multiple of 8.
struct RecordHead {
   std::uint32_t length;
   /// Over length, durable, the record's position and its bytes; never 0.
   std::uint32_t checksum;
   /// Everything before this position was durable when the record was added.
   JournalPosition durable;
};
static_assert(sizeof(RecordHead) == 16);

std::uint64_t storedBytes(std::uint64_t length) { return (sizeof(RecordHead) + length + 7) & ~std::uint64_t{7}; }

std::uint32_t checksumOf(RecordHead head, JournalPosition at, ByteView record) {
   head.checksum = 0;
   std::uint32_t crc = crc32c(0, {reinterpret_cast<const std::uint8_t*>(&head), sizeof head});
   crc = crc32c(crc, {reinterpret_cast<const std::uint8_t*>(&at), sizeof at});
   crc = crc32c(crc, record);
   return crc ? crc : 1;
}

std::uint32_t checksumOf(SegmentHead head) {
   head.checksum = 0;
   return crc32c(0, {reinterpret_cast<const std::uint8_t*>(&head), sizeof head});
}

constexpr std::string_view segmentEnding = ".journal", spareEnding = ".spare";

std::filesystem::path segmentPath(const std::filesystem::path& folder, JournalPosition start,
                                  std::string_view ending = segmentEnding) {
   static constexpr char digits[] = "0123456789abcdef";
   std::string name(16, '0');
   for (std::size_t i = 16; i-- > 0; start >>= 4)
      name[i] = digits[start & 15];
   return folder / name.append(ending);
}

/// Start positions of the segments in the folder, in order; or those that the spare ones had.
std::vector<JournalPosition> listSegments(const std::filesystem::path& folder,
                                          std::string_view ending = segmentEnding) {
   std::vector<JournalPosition> out;
   std::error_code error;
   for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
      const std::string name = at->path().filename().string();
      if (name.size() < 16 || name.substr(16) != ending)
         continue;
      JournalPosition start = 0;
      const bool hex = std::all_of(name.begin(), name.begin() + 16, [&](char c) {
         const int digit = hexDigit(c);
         start = start << 4 | static_cast<unsigned>(digit & 15);
         return digit >= 0;
      });
      if (hex)
         out.push_back(start);
   }
   if (error)
      throw Fault("read folder " + folder.string() + ": " + error.message());
   std::sort(out.begin(), out.end());
   return out;
}

/// Of a spare one, what it held stays behind the head: none of its records is one at its new position.
File createSegment(const std::filesystem::path& folder, JournalPosition start, std::optional<JournalPosition> spare,
                   FileWatch* watch) {
   const auto fresh = spare ? segmentPath(folder, *spare, spareEnding) : folder / "new",
              path = segmentPath(folder, start);
   File file(fresh, O_RDWR | (spare ? 0 : O_CREAT | O_TRUNC), watch);
   SegmentHead head{{}, formatVersion, 0, start, 0};
   std::memcpy(head.magic, magic, sizeof magic);
   head.checksum = checksumOf(head);
   file.writeAt(0, {reinterpret_cast<const std::uint8_t*>(&head), sizeof head});
   file.sync();
   std::error_code error;
   std::filesystem::rename(fresh, path, error);
   if (error)
      throw Fault("rename " + fresh.string() + ": " + error.message());
   syncFolder(folder);
   return file;
}

/// Reads a segment from front to back.
class SegmentReader {
public:
   SegmentReader(const std::filesystem::path& folder, JournalPosition start)
      : file_(segmentPath(folder, start), O_RDONLY), size_(file_.size()), start_(start) {
      SegmentHead head{};
      const std::size_t got = file_.readAt(0, {reinterpret_cast<std::uint8_t*>(&head), sizeof head});
      if (got < sizeof head)
         throw Fault(file_.name() + ": truncated");
      if (std::memcmp(head.magic, magic, sizeof magic) != 0)
         throw Fault(file_.name() + ": not a journal");
      if (head.checksum != checksumOf(head))
         throw Fault(file_.name() + ": damaged: head");
      if (head.formatVersion > formatVersion)
         throw Fault(file_.name() + ": written by a newer version of this program");
      if (head.start != start)
         throw Fault(file_.name() + ": renamed");
   }

   struct Found {
      ByteView record;
      JournalPosition durable;
      JournalPosition after;
   };

   /// The whole record at `at`, or none; only one that knew more to be durable than `durable`. The view lives until the
   /// next read.
   std::optional<Found> read(JournalPosition at, std::optional<JournalPosition> durable = {}) {
      const std::uint64_t offset = sizeof(SegmentHead) + (at - start_);
      if (offset >= size_)
         return std::nullopt;
      ByteView bytes = window(offset, sizeof(RecordHead));
      if (bytes.size() < sizeof(RecordHead))
         return std::nullopt;
      RecordHead head;
      std::memcpy(&head, bytes.data(), sizeof head);
      if (head.checksum == 0 || head.length > recordBytesMax || storedBytes(head.length) > size_ - offset)
         return std::nullopt;
      if (durable && (head.durable <= *durable || head.durable > at))
         return std::nullopt;
      checked_ += head.length;
      bytes = window(offset, sizeof head + head.length);
      if (bytes.size() < sizeof head + head.length)
         return std::nullopt;
      const ByteView record = bytes.subspan(sizeof head, head.length);
      if (head.checksum != checksumOf(head, at, record))
         return std::nullopt;
      return Found{record, head.durable, at + storedBytes(head.length)};
   }

   /// Position behind the last byte of the file.
   JournalPosition limit() const { return start_ + (size_ - sizeof(SegmentHead)); }
   const std::string& name() const { return file_.name(); }
   /// Bytes of all that looked like records so far.
   std::uint64_t checked() const { return checked_; }

private:
   ByteView window(std::uint64_t offset, std::size_t bytes) {
      if (offset < windowAt_ || offset + bytes > windowAt_ + window_.size()) {
         window_.resize(std::max(bytes, std::size_t{1} << 20));
         windowAt_ = offset;
         window_.resize(file_.readAt(offset, window_));
      }
      const std::size_t from = static_cast<std::size_t>(offset - windowAt_);
      return ByteView(window_).subspan(from, std::min(bytes, window_.size() - from));
   }

   File file_;
   std::uint64_t size_;
   JournalPosition start_;
   Bytes window_;
   std::uint64_t windowAt_ = 0;
   std::uint64_t checked_ = 0;
};

/// Lets go of a mutex for a scope, for work that may block.
class Unlocked {
public:
   explicit Unlocked(Mutex& mutex) NO_THREAD_SAFETY_ANALYSIS : mutex_(mutex) { mutex_.unlock(); }
   ~Unlocked() NO_THREAD_SAFETY_ANALYSIS { mutex_.lock(); }
   Unlocked(const Unlocked&) = delete;
   Unlocked& operator=(const Unlocked&) = delete;

private:
   Mutex& mutex_;
};

} // namespace

struct Journal::State {
   State(std::filesystem::path where, const JournalOptions& opts, File lockFile)
      : folder(std::move(where)), options(opts), lock(std::move(lockFile)) {}

   const std::filesystem::path folder;
   const JournalOptions options;
   File lock;

   Mutex mutex;
   std::condition_variable_any changed;
   std::vector<JournalPosition> segments GUARDED_BY(mutex);
   /// Where segments began that are to be written again.
   std::vector<JournalPosition> spares GUARDED_BY(mutex);
   /// Records added and not yet written; they begin at `written`.
   Bytes pending GUARDED_BY(mutex);
   JournalPosition end GUARDED_BY(mutex) = 0;
   JournalPosition written GUARDED_BY(mutex) = 0;
   JournalPosition durable GUARDED_BY(mutex) = 0;
   /// Some thread writes or syncs, without the mutex: the file is its own meanwhile.
   bool busy GUARDED_BY(mutex) = false;
   bool failed GUARDED_BY(mutex) = false;

   /// Only for the thread that made the state busy.
   File file;
   /// The file system has nothing more to note about the file up to here.
   std::uint64_t preparedTo = 0;

   void check() REQUIRES(mutex) {
      if (failed)
         throw Fault(folder.string() + ": an earlier write to the journal failed");
   }

   /// Makes its scope the only one that writes, syncs or rolls. A scope left by a Fault fails the journal.
   class Alone {
   public:
      Alone(State& state, Lock& held) REQUIRES(state.mutex) : state_(state) {
         while (state.busy)
            state.changed.wait(held);
         state.check();
         state.busy = true;
      }
      ~Alone() NO_THREAD_SAFETY_ANALYSIS {
         state_.busy = false;
         state_.failed |= !good_;
         state_.changed.notify_all();
      }
      Alone(const Alone&) = delete;
      Alone& operator=(const Alone&) = delete;
      void done() { good_ = true; }

   private:
      State& state_;
      bool good_ = false;
   };

   void flush(Lock& held, bool durably) REQUIRES(mutex) {
      Alone alone(*this, held);
      writePending();
      if (durably)
         syncFile();
      alone.done();
   }

   /// Writes what is pending; the state is busy.
   void writePending() REQUIRES(mutex) {
      Bytes bytes;
      bytes.swap(pending);
      const JournalPosition from = written, to = from + bytes.size(), segment = segments.back();
      if (!bytes.empty()) {
         const Unlocked unlocked(mutex);
         std::uint64_t offset = sizeof(SegmentHead) + (from - segment);
         const std::uint64_t behind = offset + bytes.size();
         if (behind > preparedTo) {
            preparedTo = (behind + options.aheadBytes) & ~std::uint64_t{4095};
            preparedTo = std::max(preparedTo, behind);
            bytes.resize(static_cast<std::size_t>(preparedTo - offset));
         }
         file.writeAt(offset, bytes);
      }
      written = to;
   }

   void syncFile() REQUIRES(mutex) {
      const JournalPosition upTo = written;
      {
         const Unlocked unlocked(mutex);
         file.sync();
      }
      durable = upTo;
   }

   /// A new segment, when the present one is full.
   void roll(Lock& held) REQUIRES(mutex) {
      Alone alone(*this, held);
      // Others may add to the old segment while it is written: what they add must be durable too.
      while (durable != end) {
         writePending();
         syncFile();
      }
      // From here the mutex stays held. Another thread may have been here first.
      if (end - segments.back() >= options.segmentBytes) {
         std::optional<JournalPosition> spare;
         if (!spares.empty()) {
            spare = spares.back();
            spares.pop_back();
         }
         file = createSegment(folder, end, spare, options.watch);
         preparedTo = file.size();
         segments.push_back(end);
      }
      alone.done();
   }
};

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}

Journal::~Journal() {
   State& s = *state_;
   Lock lock(s.mutex);
   // What nobody asked to be durable is still written, as far as that works.
   if (!s.failed && !s.pending.empty())
      try {
         s.flush(lock, false);
      } catch (const Fault&) { // NOLINT: a destructor has nobody to tell
      }
}

std::unique_ptr<Journal> Journal::open(const std::filesystem::path& folder, const JournalOptions& options) {
   makeFolder(folder);
   File lockFile(folder / "lock", O_RDWR | O_CREAT);
   if (!lockFile.tryLock(Sharing::exclusive))
      throw Fault(folder.string() + ": already open elsewhere");
   auto state = std::make_unique<State>(folder, options, std::move(lockFile));
   State& s = *state;
   Lock lock(s.mutex);
   s.segments = listSegments(folder);
   s.spares = listSegments(folder, spareEnding);
   if (s.segments.empty()) {
      s.file = createSegment(folder, 0, std::nullopt, options.watch);
      s.segments.push_back(0);
   } else {
      const JournalPosition start = s.segments.back();
      SegmentReader reader(folder, start);
      JournalPosition end = start;
      while (const auto found = reader.read(end))
         end = found->after;
      // Behind a torn tail there may be whole records. One that knew this place as durable tells of damage. Bytes of
      // records may be such that many places look like one.
      const std::uint64_t enough = reader.checked() + tailCheckedMax;
      for (JournalPosition at = end; at < reader.limit() && reader.checked() < enough; at += 8)
         if (reader.read(at, end))
            throw Fault(reader.name() + ": damaged: record at position " + std::to_string(end));
      s.file = File(segmentPath(folder, start), O_RDWR, options.watch);
      s.file.resize(sizeof(SegmentHead) + (end - start));
      s.file.sync();
      s.preparedTo = sizeof(SegmentHead) + (end - start);
      s.end = s.written = s.durable = end;
   }
   return std::unique_ptr<Journal>(new Journal(std::move(state)));
}

JournalPosition Journal::append(ByteView record) {
   ASSERT(record.size() <= recordBytesMax);
   State& s = *state_;
   Lock lock(s.mutex);
   s.check();
   while (s.end - s.segments.back() >= s.options.segmentBytes)
      s.roll(lock);
   RecordHead head{static_cast<std::uint32_t>(record.size()), 0, s.durable};
   head.checksum = checksumOf(head, s.end, record);
   polis::append(s.pending, {reinterpret_cast<const std::uint8_t*>(&head), sizeof head});
   polis::append(s.pending, record);
   const std::uint64_t stored = storedBytes(record.size());
   s.pending.resize(s.pending.size() + (stored - sizeof head - record.size()));
   s.end += stored;
   const JournalPosition after = s.end;
   if (s.pending.size() > pendingBytesMax)
      s.flush(lock, false);
   return after;
}

void Journal::sync(JournalPosition upTo) {
   State& s = *state_;
   Lock lock(s.mutex);
   ASSERT(upTo <= s.end);
   while (s.durable < upTo) {
      s.check();
      if (s.busy) {
         s.changed.wait(lock);
         continue;
      }
      s.flush(lock, true);
   }
}

void Journal::sync() { sync(end()); }

JournalPosition Journal::end() const {
   Lock lock(state_->mutex);
   return state_->end;
}

JournalPosition Journal::begin() const {
   Lock lock(state_->mutex);
   return state_->segments.front();
}

JournalPosition Journal::durable() const {
   Lock lock(state_->mutex);
   return state_->durable;
}

void Journal::replay(JournalPosition from, const std::function<void(JournalPosition, ByteView)>& record) const {
   State& s = *state_;
   JournalPosition end;
   std::vector<JournalPosition> segments;
   {
      Lock lock(s.mutex);
      end = s.end;
      while (s.written < end)
         s.flush(lock, false);
      segments = s.segments;
   }
   if (from < segments.front())
      throw Fault(s.folder.string() + ": position " + std::to_string(from) + " is no longer in the journal");
   if (from > end)
      throw Fault(s.folder.string() + ": position " + std::to_string(from) + " is behind the journal's end");
   JournalPosition at = from;
   for (std::size_t i = 0; i < segments.size() && at < end; ++i) {
      const JournalPosition stop = i + 1 < segments.size() ? std::min(end, segments[i + 1]) : end;
      if (at >= stop)
         continue;
      SegmentReader reader(s.folder, segments[i]);
      while (at < stop) {
         const auto found = reader.read(at);
         if (!found || found->after > stop)
            throw Fault(reader.name() + ": damaged: no record at position " + std::to_string(at));
         at = found->after;
         record(at, found->record);
      }
   }
}

void Journal::truncateBefore(JournalPosition position) {
   State& s = *state_;
   std::vector<JournalPosition> gone, kept;
   std::size_t spares;
   {
      Lock lock(s.mutex);
      spares = s.spares.size();
      while (s.segments.size() > 1 && s.segments[1] <= position) {
         gone.push_back(s.segments.front());
         s.segments.erase(s.segments.begin());
      }
   }
   if (gone.empty())
      return;
   for (const JournalPosition start : gone) {
      const auto path = segmentPath(s.folder, start);
      std::error_code error;
      if (spares + kept.size() < s.options.sparesMax) {
         std::filesystem::rename(path, segmentPath(s.folder, start, spareEnding), error);
         kept.push_back(start);
      } else {
         std::filesystem::remove(path, error);
      }
      if (error)
         throw Fault("remove a segment of " + s.folder.string() + ": " + error.message());
   }
   // A segment must not come back under its old name with a new head.
   syncFolder(s.folder);
   Lock lock(s.mutex);
   s.spares.insert(s.spares.end(), kept.begin(), kept.end());
}

} // namespace polis::store

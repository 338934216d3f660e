// An ordered key-value store of immutable versions, in a mapped file.
#pragma once

#include "store/version.hpp"
#include "store/writer.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace polis::store {

class FileWatch;

struct Options {
   /// The file never grows beyond this; a change that would make it do so throws Fault. At most 256 GiB.
   std::uint64_t fileBytesMax = std::uint64_t{256} << 30;
   /// About so much of the file, from its start on, is held in memory, and written when a checkpoint is made; what is
   /// beyond is mapped, and paged by the system. Not given: half of what this process may still have when it opens.
   std::optional<std::uint64_t> heldBytesMax = std::nullopt;
   /// Memory for Merkle roots of subtrees, 48 bytes each; there are about as many as leaves.
   std::size_t hashCacheBytesMax = std::size_t{256} << 20;
   /// Fault rather than make an empty store.
   bool mustExist = false;
   /// Writes nothing, neither file nor folder, whatever state they are in; several processes may read at once, while
   /// none has it open otherwise. There must be a store. checkpoint() is a Fault, and so is a change that needs more
   /// room than the file has.
   bool readOnly = false;
   /// For tests; outlives the store.
   FileWatch* watch = nullptr;
};

/// What survives a restart: named versions, a place in a journal from where to go on, and bytes of the user's.
struct Checkpoint {
   /// Names of at most 255 bytes.
   std::map<std::string, Version> versions;
   /// Meaning is the user's; by convention the journal is replayed from here.
   std::uint64_t journal = 0;
   /// At most 1 MiB.
   Bytes user;
};

struct Stat {
   /// Size of the file, and the part of it in use by nodes of all versions that live.
   std::uint64_t fileBytes = 0;
   std::uint64_t usedBytes = 0;
   /// Count of nodes in use.
   std::uint64_t nodes = 0;
   /// Dropped subtrees that wait for reclamation.
   std::uint64_t reclaimQueue = 0;
   /// Sequence number of the newest checkpoint; 0 when there was none.
   std::uint64_t checkpoint = 0;
   /// For people: damage that was found when opening and because of which nothing is missing. Empty when there is none,
   /// and from the next checkpoint on, which mends it.
   std::string notice;
};

/// One folder, opened for writing by one process at a time. Functions are safe on any thread. Outlives every
/// version, cursor and writer made from it. Errors: all throw Fault.
class Store {
public:
   /// Opens the newest checkpoint in `folder`, or makes an empty store there. What was written after that checkpoint is
   /// gone. Reads the whole of it (checksums, free space): time grows with the size of the data.
   /// Faults: already open, foreign, truncated, newer, or damaged file (says where); then the file is as it was. See
   /// also Stat::notice.
   static std::unique_ptr<Store> open(const std::filesystem::path& folder, const Options& options = {});
   ~Store();
   Store(const Store&) = delete;
   Store& operator=(const Store&) = delete;

   /// The state without entries.
   Version empty();

   /// The checkpoint that was opened; none in a new store, and none once another was made, whose versions the store
   /// need not keep.
   std::optional<Checkpoint> lastCheckpoint();

   /// Makes `next` the checkpoint: durable when this returns, and all or nothing after a crash. Writers and readers
   /// go on meanwhile. One at a time; a second caller waits. After a Fault the one before, or this one, is on the disk.
   /// Needs room on the disk for what has changed since the one before or, when that was much, for the whole file
   /// again.
   void checkpoint(const Checkpoint& next);

   /// Whether it is time for a checkpoint when `logBytes` went to a log since the last one: it would write no more than
   /// twice as much, or the file becomes long for what is in it. Made earlier it writes more for each change; made
   /// later file and log take more room.
   bool checkpointDue(std::uint64_t logBytes);

   /// Writes lastCheckpoint() afresh, as dense as can be, to `folder`, where there is no store yet. What versions
   /// share there they share again. Faults: there is none; a store is there.
   void copyTo(const std::filesystem::path& folder);

   /// Puts a dense copy of the last checkpoint of a store, which nobody has open, in its place. Whatever interrupts it,
   /// the folder holds one of the two. Needs room for both.
   static void compact(const std::filesystem::path& folder);

   Stat stat();

   /// Has the system clear memory that writers will take next, who wait for that otherwise: up to 8 MiB, and never more
   /// than they have taken since the store was opened.
   void prepare();

   /// Waits until everything dropped so far is reclaimed.
   void drain();

   /// Checks all of the store's accounting. `alive`: every version object there is (the checkpoint's own excepted);
   /// no writer may exist and nothing else use the store meanwhile. Throws Fault that says what is wrong. For tests and
   /// tools.
   void verify(std::span<const Version* const> alive = {});

private:
   struct State;
   /// `all` is to hold every version that the record names or needs.
   static Checkpoint readRecord(detail::Generations& generations, detail::Ref record, std::vector<Version>& all);
   static Bytes makeRecord(detail::Generations& generations, const Checkpoint& checkpoint, std::vector<Version>& all);
   explicit Store(std::unique_ptr<State> state);
   std::unique_ptr<State> state_;
};

} // namespace polis::store

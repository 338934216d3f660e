// Snapshots of a chain: the state after one block, what proves who may vouch for it, and their signatures.
// Source: spec, consensus §7. docs/operator.md tells how they are used.
#pragma once

#include "format/keys.hpp"
#include "kernel/kernel.hpp"
#include "node/snapshot_file.hpp"
#include "vm/engine.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace polis::node {

/// What a snapshot says, all of it proven by what it begins with.
struct SnapshotFacts {
   format::Checksum256 chainId{};
   format::Checksum256 blockId{};
   std::uint32_t blockNum = 0;
   format::TimePointUSec time{};
   format::StateChecksum state{};
   /// Of the producers in force, who have signed, and how many have to.
   std::vector<format::AccountNumber> signers{};
   std::uint32_t signersNeeded = 0;
   std::uint64_t rows = 0;
};

/// What the user knows of the chain from elsewhere. Both may be given; neither: whatever the file says is taken for
/// true.
struct SnapshotTrust {
   /// The id of genesis.
   std::optional<format::Checksum256> chain;
   /// Of a block whose header the file has: the one of the snapshot, or one with which a change of producers began, was
   /// irreversible, or ended. Whoever made blocks once, and no longer, cannot forge what is above it.
   std::optional<format::Checksum256> block;
   /// Signatures may be too few; those that are there are checked.
   bool draft = false;
};

/// A snapshot that comes in, in whatever way, and whether it is to be believed. One thread at a time, a
/// `vm::ExecutionThread`. Faults: this machine cannot take it in.
class SnapshotIntake {
public:
   using Done = std::expected<void, std::string>;
   /// Both outlive it. What comes goes to a version of the store that nothing refers to.
   SnapshotIntake(store::Store& store, vm::Engine& engine);
   ~SnapshotIntake();
   SnapshotIntake(const SnapshotIntake&) = delete;
   SnapshotIntake& operator=(const SnapshotIntake&) = delete;

   /// All of a file.
   [[nodiscard]] Done file(const std::filesystem::path& file);

   /// Or piece by piece: rows of databases 0 and 2, headers, heights ascending, and the seal at the end.
   void row(std::uint32_t database, ByteView key, ByteView value);
   /// Forgets the headers.
   void noHeaders();
   /// Errors: it does not follow from those before.
   [[nodiscard]] Done header(format::SignedBlock header);
   void seal(const SnapshotSeal& seal);

   /// Errors: why it is not believed.
   [[nodiscard]] std::expected<SnapshotFacts, std::string> check(const SnapshotTrust& trust);
   /// With what a node begins there: databases 0-5, and 65. Requires that `check` believed it.
   struct Rows {
      store::Version chain, local;
   };
   Rows rows();

private:
   struct State;
   std::unique_ptr<State> state_;
};

/// Headers that show who produces at a block: genesis, of each change those with which it begins, is irreversible and
/// ends, and the block's own. Any thread. Faults: one is not there any more.
std::map<std::uint32_t, format::SignedBlock> lightHeaders(const kernel::Kernel& kernel,
                                                          const kernel::BlockState& block);

/// Writes the state of an irreversible block, which the kernel retains. sign: the signature of a producer, by its
/// claim, over a digest; nothing where its key is not at hand. Any thread. Faults: the producers are changing, so that
/// nobody could check it; a header is not there any more; the file cannot be written.
using SnapshotSign = std::function<std::optional<Bytes>(const format::Claim& claim, const format::Checksum256& digest)>;
SnapshotFacts createSnapshot(const kernel::Kernel& kernel, const kernel::BlockState& block,
                             const std::filesystem::path& file, bool compress, const SnapshotSign& sign);

/// Adds signatures to a file: of every producer that is in force there by one of the keys. Faults: it is not a
/// snapshot; nobody in force has such a key; it cannot be written, and is as it was.
void signSnapshot(const std::filesystem::path& file, const std::vector<format::PrivateKey>& keys);

/// Reads a file whole, and checks it. An execution thread. Errors: why it is not believed.
/// folder: becomes that of a node which goes on from there; it must not be there yet, or be empty. None: nothing is
/// left. work: where a folder may be made meanwhile. Faults: this machine cannot.
[[nodiscard]] std::expected<SnapshotFacts, std::string>
readSnapshot(const std::filesystem::path& file, const SnapshotTrust& trust, vm::Engine& engine,
             const std::filesystem::path& work, const std::optional<std::filesystem::path>& folder);

} // namespace polis::node

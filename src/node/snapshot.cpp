#include "node/snapshot.hpp"

#include "base/fault.hpp"
#include "base/temporary_folder.hpp"
#include "consensus/certificate.hpp"
#include "format/fracpack.hpp"
#include "format/ids.hpp"
#include "format/in_force.hpp"
#include "kernel/databases.hpp"
#include "kernel/proof_checker.hpp"
#include "kernel/quiet_host.hpp"
#include "peer/light_chain.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace polis::node {

namespace fs = std::filesystem;
namespace db = kernel::db;
using kernel::storeKey;

namespace {

constexpr format::AccountNumber verifySig{std::string_view("verify-sig")};
constexpr int gzipFirstByte = 0x1F;

/// Calls `each(raw key, value)` for every row of a database.
template <class Each>
void forEachRow(const store::Version& version, std::uint32_t database, Each&& each) {
   const Bytes prefix{static_cast<std::uint8_t>(database)};
   auto cursor = version.cursor();
   for (bool valid = cursor.seek(prefix); valid; valid = cursor.next()) {
      const auto entry = cursor.entry();
      if (entry.key[0] != prefix[0])
         return;
      each(entry.key.subspan(1), entry.value);
   }
}

std::optional<format::SignedBlock> headerOf(const kernel::Kernel& kernel, const kernel::BlockState& of,
                                            std::uint32_t num) {
   auto found = kernel.block(of, num);
   if (found)
      found->block.transactions.clear();
   return found;
}

} // namespace

std::map<std::uint32_t, format::SignedBlock> lightHeaders(const kernel::Kernel& kernel,
                                                          const kernel::BlockState& block) {
   std::map<std::uint32_t, format::SignedBlock> out;
   const auto take = [&](std::uint32_t num) {
      if (out.contains(num))
         return;
      auto header = headerOf(kernel, block, num);
      if (!header)
         throw Fault("the header of block " + std::to_string(num) + " is not kept here");
      out.emplace(num, std::move(*header));
   };
   std::optional<std::uint32_t> start;
   consensus::ChainConsensusPtr after = consensus::consensusBeforeGenesis();
   forEachRow(block.version, db::blockLog, [&](ByteView key, ByteView) {
      const std::uint32_t num = std::uint32_t{key[0]} << 24 | std::uint32_t{key[1]} << 16 | std::uint32_t{key[2]} << 8 |
                                std::uint32_t{key[3]};
      auto header = headerOf(kernel, block, num);
      const auto& h = header->block.header;
      const auto end = consensus::consensusAfter(after, h);
      after = consensus::consensusForChild(end, h.commitNum);
      if (h.newConsensus)
         start = num;
      const bool ends = start && h.commitNum >= *start;
      if (num == 2 || num == block.num || h.newConsensus || ends)
         out.emplace(num, *header);
      if (!ends)
         return;
      std::uint32_t proven = h.commitNum;
      if (end->sets.current.bft() && header->auxConsensusData)
         if (const auto confirm = format::unpack<format::BlockConfirm>(*header->auxConsensusData))
            proven = confirm->blockNum;
      take(proven);
      start.reset();
   });
   return out;
}

namespace {

std::vector<format::Producer> producersAt(const format::JointConsensus& consensus) {
   return consensus::ProducerSet(consensus.current.data).producers();
}

/// Verify services, by the code that a snapshot itself brings.
class Checker final : public consensus::Signatures {
public:
   explicit Checker(kernel::ProofChecker& proofs) : proofs_(proofs) {}
   bool verify(const format::Consensus& under, const format::Claim& claim, const format::Checksum256& digest,
               ByteView signature) override {
      return proofs_.verifies(under, claim, digest, toBytes(signature));
   }
   bool canSign(const format::Claim&) override { return false; }
   std::optional<Bytes> sign(const format::Claim&, const format::Checksum256&) override { return std::nullopt; }

private:
   kernel::ProofChecker& proofs_;
};

} // namespace

struct SnapshotIntake::State {
   State(store::Store& store, vm::Engine& engine)
      : chain_(store.empty()), local_(store.empty()), proofs_(store, engine, host_) {}

   using Done = std::expected<void, std::string>;

   Done takeFile(const fs::path& file) {
      SnapshotReader reader(snapshotSource(file));
      for (;;) {
         auto row = reader.next();
         if (!row)
            return std::unexpected(row.error());
         if (!*row)
            break;
         if (auto taken = takeRow(std::move(**row)); !taken)
            return taken;
         ++facts_.rows;
      }
      seal_ = reader.seal();
      return {};
   }

   Done takeRow(SnapshotFileRow row) {
      if (row.db == db::nativeSubjective) {
         const auto data = format::unpack<format::BlockDataRow>(row.value);
         if (!data || data->key() != row.key)
            return std::unexpected("a row of the node-local database is not what a snapshot holds of it");
         local_.put(storeKey(row.db, row.key), row.value);
         return {};
      }
      if (row.db == db::blockLog || row.db == db::blockProof) {
         if (row.key.size() != 4)
            return std::unexpected("a row of the block log has no block number for its key");
         if (chain_.get(storeKey(row.db, row.key)))
            return std::unexpected("a block is there twice");
      }
      if (row.db == db::blockLog) {
         // A file may bring whole blocks; nothing shows that they are whole, and the state does not need them.
         auto block = format::unpack<format::Block>(row.value);
         if (!block || !std::ranges::equal(kernel::bigEndian32(block->header.blockNum), row.key))
            return std::unexpected("a block of the log cannot be read");
         block->transactions.clear();
         row.value = format::pack(*block);
      }
      chain_.put(storeKey(row.db, row.key), row.value);
      return {};
   }

   Done checkState() {
      const auto version = chain_.snapshot();
      const format::StateChecksum found{version.merkle(Bytes{db::service}), version.merkle(Bytes{db::native})};
      if (found != seal_.checksum)
         return std::unexpected("the state is not that of its checksum: the file is damaged, or forged");
      const auto packed = version.get(storeKey(db::native, format::StatusRow::key()));
      auto status = format::unpack<format::StatusRow>(packed.value_or(ByteView()));
      if (!status || !status->head || format::blockId(status->head->header) != status->head->blockId)
         return std::unexpected("the state is not that of a chain");
      status_ = std::move(*status);
      facts_.chainId = status_.chainId;
      facts_.blockId = status_.head->blockId;
      facts_.blockNum = status_.head->header.blockNum;
      facts_.time = status_.head->header.time;
      facts_.state = found;
      // Code answers for its hash alone, so that it does not matter yet whether the state is believed.
      Bytes codes = format::nativeKey(format::NativeTable::codeByHash);
      const auto wanted = [&](const format::Consensus& consensus, const format::CodeByHashRow& row) {
         return std::ranges::any_of(consensus.services, [&](const auto& s) { return s.codeHash == row.codeHash; });
      };
      auto cursor = version.cursor();
      const Bytes prefix = storeKey(db::native, codes);
      for (bool valid = cursor.seek(prefix); valid; valid = cursor.next()) {
         const auto entry = cursor.entry();
         if (entry.key.size() < prefix.size() || !std::ranges::equal(entry.key.first(prefix.size()), prefix))
            break;
         const auto row = format::unpack<format::CodeByHashRow>(entry.value);
         if (row && (wanted(status_.consensus.current, *row) ||
                     (status_.consensus.next && wanted(status_.consensus.next->consensus, *row))))
            proofs_.addCode({row->vmType, row->vmVersion, row->code});
      }
      return {};
   }

   Done checkHeaders(const SnapshotTrust& trust) {
      peer::LightChain chain(checker_);
      const auto version = chain_.snapshot();
      const auto local = local_.snapshot();
      bool trusted = false;
      Done result;
      forEachRow(version, db::blockLog, [&](ByteView key, ByteView value) {
         if (!result)
            return;
         format::SignedBlock block;
         block.block = *format::unpack<format::Block>(value);
         const auto id = format::blockId(block.block.header);
         if (chain.num() == 1 && id != facts_.chainId)
            result = std::unexpected("the first header is not that of the chain whose state this is");
         else if (chain.num() == 1 && trust.chain && id != *trust.chain)
            result = std::unexpected("it is of another chain, " + toHex(id));
         trusted = trusted || id == trust.block || facts_.blockId == trust.block;
         if (const auto proof = version.get(storeKey(db::blockProof, key)))
            if (auto signature = format::unpack<Bytes>(*proof))
               block.signature = std::move(*signature);
         if (const auto row = local.get(storeKey(db::nativeSubjective, format::BlockDataRow::key(id))))
            if (auto data = format::unpack<format::BlockDataRow>(*row))
               block.auxConsensusData = std::move(data->auxConsensusData);
         if (block.block.header.authCode)
            for (const auto& code : *block.block.header.authCode)
               proofs_.addCode(code);
         if (result)
            result = chain.add(block);
      });
      if (!result)
         return result;
      const bool whole = chain.id() == facts_.blockId;
      if (!chain.end() || (!whole && chain.num() >= facts_.blockNum) ||
          (whole ? chain.end() : chain.after())->joint != status_.consensus)
         return std::unexpected("the headers do not lead to the block whose state this is");
      if (trust.block && !trusted)
         return std::unexpected("it has no header of block " + toHex(*trust.block) +
                                ", so that nothing can be told from it");
      return {};
   }

   Done checkSignatures(bool draft) {
      const consensus::ProducerSet set(status_.consensus.current.data);
      facts_.signersNeeded = static_cast<std::uint32_t>(set.weak());
      std::set<format::AccountNumber> signers;
      for (const auto& [account, claim, signature] : seal_.signatures) {
         // Others may sign too; it means nothing.
         if (!set.has(account, claim) || signers.contains(account))
            continue;
         if (!consensus::answers(checker_, status_.consensus.current, claim,
                                 format::stateSignatureDigest(seal_.checksum), signature))
            return std::unexpected("the signature of " + account.str() + " is not valid");
         signers.insert(account);
      }
      facts_.signers.assign(signers.begin(), signers.end());
      if (!draft && signers.size() < set.weak())
         return std::unexpected(
             (signers.empty() ? "none of the"
                              : "only " + std::to_string(signers.size()) + " of the " + std::to_string(set.size())) +
             " producers vouch for its state, and it takes " + std::to_string(set.weak()) +
             "; each adds its signature to the file by `polis snapshot sign FILE --sign KEY`");
      return {};
   }

   void putHeader(const format::SignedBlock& block) {
      const auto& header = block.block.header;
      const auto key = kernel::bigEndian32(header.blockNum);
      chain_.put(storeKey(db::blockLog, key), format::pack(block.block));
      chain_.put(storeKey(db::blockProof, key), format::pack(block.signature));
      if (block.auxConsensusData) {
         const format::BlockDataRow row{format::blockId(header), block.auxConsensusData};
         local_.put(storeKey(db::nativeSubjective, row.key()), format::pack(row));
      }
   }

   SnapshotIntake::Rows rows() {
      const auto& [current, next] = status_.consensus;
      if (next && !current.services.empty())
         for (const auto& [key, value] : proofs_.rows(current, db::prevAuthServices))
            chain_.put(key, value);
      // Others will ask for its id.
      if (!chain_.get(storeKey(db::blockLog, kernel::bigEndian32(facts_.blockNum)))) {
         format::SignedBlock own;
         own.block.header = status_.head->header;
         putHeader(own);
      }
      const auto putLocal = [&](const auto& row, const Bytes& key) {
         local_.put(storeKey(db::nativeSubjective, key), format::pack(row));
      };
      const format::SnapshotRow signatures{
          facts_.blockId, format::SnapshotStateItem{seal_.checksum, seal_.signatures}, {}};
      putLocal(signatures, signatures.key());
      putLocal(format::LogTruncateRow{facts_.blockNum}, format::LogTruncateRow::key());
      return {chain_.snapshot(), local_.snapshot()};
   }

   store::Writer chain_, local_;
   kernel::QuietHost host_;
   kernel::ProofChecker proofs_;
   Checker checker_{proofs_};
   peer::LightChain early_{checker_};
   std::map<std::uint32_t, format::SignedBlock> headers_;
   SnapshotFacts facts_;
   SnapshotSeal seal_;
   format::StatusRow status_;
};

SnapshotIntake::SnapshotIntake(store::Store& store, vm::Engine& engine)
   : state_(std::make_unique<State>(store, engine)) {}
SnapshotIntake::~SnapshotIntake() = default;

SnapshotIntake::Done SnapshotIntake::file(const fs::path& file) { return state_->takeFile(file); }

void SnapshotIntake::row(std::uint32_t database, ByteView key, ByteView value) {
   state_->chain_.put(storeKey(database, key), value);
   ++state_->facts_.rows;
}

void SnapshotIntake::noHeaders() {
   state_->headers_.clear();
   state_->early_ = peer::LightChain(state_->checker_);
}

SnapshotIntake::Done SnapshotIntake::header(format::SignedBlock header) {
   State& s = *state_;
   if (header.block.header.authCode)
      for (const auto& code : *header.block.header.authCode)
         s.proofs_.addCode(code);
   if (auto taken = s.early_.add(header); !taken)
      return taken;
   s.headers_.insert_or_assign(header.block.header.blockNum, std::move(header));
   return {};
}

void SnapshotIntake::seal(const SnapshotSeal& seal) {
   State& s = *state_;
   s.seal_ = seal;
   for (const auto& [num, header] : s.headers_)
      s.putHeader(header);
}

std::expected<SnapshotFacts, std::string> SnapshotIntake::check(const SnapshotTrust& trust) {
   State& s = *state_;
   if (auto ok = s.checkState(); !ok)
      return std::unexpected(ok.error());
   if (auto ok = s.checkHeaders(trust); !ok)
      return std::unexpected(ok.error());
   if (auto ok = s.checkSignatures(trust.draft); !ok)
      return std::unexpected(ok.error());
   return s.facts_;
}

SnapshotIntake::Rows SnapshotIntake::rows() { return state_->rows(); }

namespace {

void syncFolder(const fs::path& folder) {
   const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
   const bool synced = fd >= 0 && ::fsync(fd) == 0;
   if (fd >= 0)
      ::close(fd);
   if (!synced)
      throwErrno("The folder " + folder.string() + " cannot be made durable");
}

} // namespace

SnapshotFacts createSnapshot(const kernel::Kernel& kernel, const kernel::BlockState& block, const fs::path& file,
                             bool compress, const SnapshotSign& sign) {
   if (!block.header)
      throw Fault("There is no chain yet");
   if (block.status.consensus.next)
      throw Fault("The producers are changing right now; try again in a moment");
   SnapshotFacts facts;
   facts.chainId = block.status.chainId;
   facts.blockId = block.id;
   facts.blockNum = block.num;
   facts.time = block.header->time;
   facts.state = kernel::stateChecksum(block);

   SnapshotSeal seal{facts.state, {}};
   const auto producers = producersAt(block.status.consensus);
   facts.signersNeeded = static_cast<std::uint32_t>(consensus::ProducerSet(block.status.consensus.current.data).weak());
   for (const format::Producer& producer : producers) {
      auto signature = producer.auth.service ? sign(producer.auth, format::stateSignatureDigest(facts.state))
                                             : std::optional(Bytes());
      if (!signature)
         continue;
      seal.signatures.push_back({producer.name, producer.auth, std::move(*signature)});
      facts.signers.push_back(producer.name);
   }

   const auto headers = lightHeaders(kernel, block);
   SnapshotWriter writer(file, compress);
   for (const std::uint32_t database : {db::service, db::native})
      forEachRow(block.version, database, [&](ByteView key, ByteView value) {
         writer.row(database, key, value);
         ++facts.rows;
      });
   for (const auto& [num, header] : headers)
      writer.row(db::blockLog, kernel::bigEndian32(num), format::pack(header.block));
   for (const auto& [num, header] : headers)
      writer.row(db::blockProof, kernel::bigEndian32(num), format::pack(header.signature));
   std::map<Bytes, Bytes> proofs;
   for (const auto& [num, header] : headers)
      if (header.auxConsensusData) {
         const format::BlockDataRow row{format::blockId(header.block.header), header.auxConsensusData};
         proofs.emplace(row.key(), format::pack(row));
      }
   for (const auto& [key, value] : proofs)
      writer.row(db::nativeSubjective, key, value);
   writer.finish(seal);
   return facts;
}

void signSnapshot(const fs::path& file, const std::vector<format::PrivateKey>& keys) {
   const bool compressed = std::ifstream(file, std::ios::binary).get() == gzipFirstByte;
   SnapshotReader reader(snapshotSource(file));
   SnapshotWriter writer(file, compressed);
   format::StatusRow status;
   for (;;) {
      const auto row = reader.next();
      if (!row)
         throw Fault(file.string() + " is refused: " + row.error());
      if (!*row)
         break;
      if ((*row)->db == db::native && (*row)->key == format::StatusRow::key())
         if (auto read = format::unpack<format::StatusRow>((*row)->value))
            status = std::move(*read);
      writer.row((*row)->db, (*row)->key, (*row)->value);
   }
   SnapshotSeal seal = reader.seal();
   bool any = false;
   for (const format::Producer& producer : producersAt(status.consensus))
      for (const format::PrivateKey& key : keys)
         if (producer.auth == format::Claim{verifySig, key.publicKey().spki()}) {
            std::erase_if(seal.signatures, [&](const auto& s) { return s.account == producer.name; });
            const auto signature = key.sign(format::stateSignatureDigest(seal.checksum));
            seal.signatures.push_back({producer.name, producer.auth, Bytes(signature.begin(), signature.end())});
            any = true;
         }
   if (!any)
      throw Fault("None of the keys is that of a producer there");
   writer.finish(seal);
}

std::expected<SnapshotFacts, std::string> readSnapshot(const fs::path& file, const SnapshotTrust& trust,
                                                       vm::Engine& engine, const fs::path& work,
                                                       const std::optional<fs::path>& folder) {
   std::error_code failed;
   if (folder && fs::exists(*folder) && !(fs::is_directory(*folder) && fs::is_empty(*folder, failed)))
      throw Fault(folder->string() + " is there already; a snapshot is loaded into a new folder");
   const TemporaryFolder scratch("snapshot", work);
   const fs::path made = scratch.path() / "chain";
   fs::create_directory(made);
   ::chmod(made.c_str(), 0700);
   std::expected<SnapshotFacts, std::string> facts;
   {
      const auto store = store::Store::open(made);
      SnapshotIntake intake(*store, engine);
      if (auto ok = intake.file(file); !ok)
         return std::unexpected(ok.error());
      facts = intake.check(trust);
      if (!facts || !folder)
         return facts;
      const auto [chain, local] = intake.rows();
      const auto journal = store::Journal::open(made / "journal");
      kernel::beginAt(*store, *journal, chain, local);
   }
   syncFolder(made);
   // Whole, or not at all.
   fs::remove(*folder, failed);
   fs::rename(made, *folder, failed);
   if (failed)
      throw Fault("The folder " + folder->string() + " cannot be made: " + failed.message());
   syncFolder(fs::absolute(*folder).parent_path());
   return facts;
}

} // namespace polis::node

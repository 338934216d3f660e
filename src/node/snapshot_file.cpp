#include "node/snapshot_file.hpp"

#include "base/fault.hpp"
#include "format/fracpack.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <unistd.h>
#include <zlib.h>

namespace polis::node {

namespace {

constexpr std::array<std::uint8_t, 8> fileHead{0x00, 0xCF, 0x88, 0x73, 0, 0, 0, 0};
constexpr std::array<std::uint32_t, 6> databases{0, 2, 3, 4, 65, snapshotFooter};
constexpr std::array<std::uint8_t, 3> checksumKey{0, 0, 0}, signatureKey{0, 1, 0};

std::uint32_t load32(const std::uint8_t* at) {
   return std::uint32_t{at[0]} | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24;
}

Bytes keyOf(const format::StateSignature& signature) {
   Bytes key(signatureKey.begin(), signatureKey.end());
   for (unsigned shift = 64; shift > 0; shift -= 8)
      key.push_back(static_cast<std::uint8_t>(signature.account.value >> (shift - 8)));
   return key;
}

void store32(Bytes& out, std::uint32_t value) {
   for (unsigned shift = 0; shift < 32; shift += 8)
      out.push_back(static_cast<std::uint8_t>(value >> shift));
}

} // namespace

// ---- reading -------------------------------------------------------------------------------------------------------

/// False: there is nothing more. Errors: there is less than is wanted.
std::expected<bool, std::string> SnapshotReader::fill(std::span<std::uint8_t> out) {
   const auto got = source_(out);
   if (!got)
      return std::unexpected(got.error());
   if (*got == 0 && !out.empty())
      return false;
   if (*got < out.size())
      return std::unexpected("the file ends in the middle of a row: it is truncated");
   return true;
}

std::expected<std::optional<SnapshotFileRow>, std::string> SnapshotReader::row() {
   std::array<std::uint8_t, 8> head;
   const auto more = fill(head);
   if (!more)
      return std::unexpected(more.error());
   if (!*more)
      return std::nullopt;
   const auto rest = [&](std::span<std::uint8_t> out) -> std::expected<void, std::string> {
      const auto read = fill(out);
      if (!read)
         return std::unexpected(read.error());
      if (!*read && !out.empty())
         return std::unexpected("the file ends in the middle of a row: it is truncated");
      return {};
   };
   SnapshotFileRow out;
   out.db = load32(head.data());
   if (std::ranges::find(databases, out.db) == databases.end())
      return std::unexpected("a row is of database " + std::to_string(out.db) + ", which no snapshot has");
   const std::uint32_t keyBytes = load32(head.data() + 4);
   if (keyBytes > keyBytesMax)
      return std::unexpected("a key is longer than keys can be");
   out.key.resize(keyBytes);
   if (auto read = rest(out.key); !read)
      return std::unexpected(read.error());
   std::array<std::uint8_t, 4> size;
   if (auto read = rest(size); !read)
      return std::unexpected(read.error());
   const std::uint32_t valueBytes = load32(size.data());
   if (valueBytes > valueBytesMax)
      return std::unexpected("a value is longer than values can be");
   // Memory is taken as bytes come, not as they are announced.
   constexpr std::size_t pieceBytes = 1 << 20;
   while (out.value.size() < valueBytes) {
      const std::size_t at = out.value.size(), piece = std::min<std::size_t>(pieceBytes, valueBytes - at);
      out.value.resize(at + piece);
      if (auto read = rest(std::span(out.value).subspan(at)); !read)
         return std::unexpected(read.error());
   }
   return out;
}

std::expected<std::optional<SnapshotFileRow>, std::string> SnapshotReader::next() {
   if (!begun_) {
      std::array<std::uint8_t, 8> head;
      const auto read = fill(head);
      if (!read)
         return std::unexpected(read.error());
      if (!*read || !std::equal(head.begin(), head.begin() + 4, fileHead.begin()))
         return std::unexpected("this is not a snapshot");
      if (head != fileHead)
         return std::unexpected("the snapshot is of a version that this program does not know");
      begun_ = true;
   }
   for (;;) {
      auto next = row();
      if (!next)
         return next;
      if (!*next) {
         if (!sealed_)
            return std::unexpected("the file has no end: it is truncated");
         return next;
      }
      const SnapshotFileRow& read = **next;
      if (keyed_ && read.db < db_)
         return std::unexpected("the databases are not in their order");
      if (read.db != db_) {
         db_ = read.db;
         key_.clear();
         keyed_ = false;
      }
      // The state is hashed in the order of its keys. Of the others the reference promises none.
      const bool ordered = read.db == 0 || read.db == 2;
      if (ordered && keyed_ && !std::ranges::lexicographical_compare(key_, read.key))
         return std::unexpected("the keys of database " + std::to_string(read.db) + " are not in their order");
      if (ordered)
         key_ = read.key;
      keyed_ = true;
      if (read.db != snapshotFooter)
         return next;
      if (auto added = addToSeal(read); !added)
         return std::unexpected(added.error());
   }
}

std::expected<void, std::string> SnapshotReader::addToSeal(const SnapshotFileRow& row) {
   if (std::ranges::equal(row.key, checksumKey)) {
      const auto checksum = format::unpack<format::StateChecksum>(row.value);
      if (!checksum || sealed_)
         return std::unexpected("the checksum of the state is malformed, or there are two");
      seal_.checksum = *checksum;
      sealed_ = true;
      return {};
   }
   if (row.key.size() != 11 || !std::equal(signatureKey.begin(), signatureKey.end(), row.key.begin()))
      return std::unexpected("the end of the file holds what is neither checksum nor signature");
   auto signature =
       row.value.size() > signatureBytesMax ? std::nullopt : [&]() -> std::optional<format::StateSignature> {
      auto read = format::unpack<format::StateSignature>(row.value);
      return read ? std::optional(std::move(*read)) : std::nullopt;
   }();
   if (!signature || keyOf(*signature) != row.key || seal_.signatures.size() >= signaturesMax)
      return std::unexpected("a signature is malformed, or there are too many");
   seal_.signatures.push_back(std::move(*signature));
   return {};
}

SnapshotReader::Source snapshotSource(const std::filesystem::path& file) {
   // zlib passes on what is not compressed.
   const gzFile opened = ::gzopen(file.c_str(), "rb");
   if (!opened)
      throwErrno("The file " + file.string() + " cannot be read");
   ::gzbuffer(opened, 256 * 1024);
   const std::shared_ptr<gzFile_s> in(opened, ::gzclose);
   return [in](std::span<std::uint8_t> out) -> std::expected<std::size_t, std::string> {
      std::size_t done = 0;
      while (done < out.size()) {
         const int got = ::gzread(in.get(), out.data() + done, static_cast<unsigned>(out.size() - done));
         int error = Z_OK;
         const char* text = ::gzerror(in.get(), &error);
         if (got < 0 || (error != Z_OK && error != Z_STREAM_END))
            return std::unexpected(error == Z_BUF_ERROR ? std::string("the file is truncated")
                                                        : "the file is damaged: " + std::string(text));
         if (got == 0)
            break;
         done += static_cast<std::size_t>(got);
      }
      return done;
   };
}

// ---- writing -------------------------------------------------------------------------------------------------------

SnapshotWriter::SnapshotWriter(std::filesystem::path file, bool compress)
   : file_(std::move(file)), part_(file_.string() + ".part") {
   const int fd = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
   if (fd < 0)
      throwErrno("The file " + part_.string() + " cannot be written");
   const gzFile out = ::gzdopen(fd, compress ? "wb6" : "wbT");
   if (!out) {
      ::close(fd);
      throw Fault("zlib cannot be started");
   }
   ::gzbuffer(out, 256 * 1024);
   out_ = out;
   write(fileHead);
}

SnapshotWriter::~SnapshotWriter() {
   if (!out_)
      return;
   ::gzclose(static_cast<gzFile>(out_));
   ::unlink(part_.c_str());
}

void SnapshotWriter::write(ByteView bytes) {
   if (bytes.empty())
      return;
   if (::gzwrite(static_cast<gzFile>(out_), bytes.data(), static_cast<unsigned>(bytes.size())) == 0)
      throwErrno("The file " + part_.string() + " cannot be written");
}

void SnapshotWriter::row(std::uint32_t db, ByteView key, ByteView value) {
   Bytes head;
   head.reserve(12 + key.size());
   store32(head, db);
   store32(head, static_cast<std::uint32_t>(key.size()));
   append(head, key);
   store32(head, static_cast<std::uint32_t>(value.size()));
   write(head);
   write(value);
}

void SnapshotWriter::finish(const SnapshotSeal& seal) {
   row(snapshotFooter, checksumKey, format::pack(seal.checksum));
   for (const format::StateSignature& signature : seal.signatures)
      row(snapshotFooter, keyOf(signature), format::pack(signature));
   const auto fail = [this] { throwErrno("The file " + part_.string() + " cannot be written"); };
   if (::gzclose(static_cast<gzFile>(std::exchange(out_, nullptr))) != Z_OK) {
      ::unlink(part_.c_str());
      fail();
   }
   const int fd = ::open(part_.c_str(), O_RDONLY | O_CLOEXEC);
   const bool synced = fd >= 0 && ::fsync(fd) == 0;
   if (fd >= 0)
      ::close(fd);
   if (!synced || ::rename(part_.c_str(), file_.c_str()) != 0) {
      ::unlink(part_.c_str());
      fail();
   }
}

} // namespace polis::node

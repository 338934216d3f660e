// Snapshot files as the protocol has them: rows in a stream, and a footer that says what they hash to and who signs
// for it. Source: spec, consensus §7.2.
#pragma once

#include "base/bytes.hpp"
#include "format/chain.hpp"

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace polis::node {

/// Database number of the footer.
inline constexpr std::uint32_t snapshotFooter = 0xFFFFFFFF;

/// One row of a database. Keys are raw.
struct SnapshotFileRow {
   std::uint32_t db = 0;
   Bytes key;
   Bytes value;
};

/// What the footer says.
struct SnapshotSeal {
   format::StateChecksum checksum{};
   std::vector<format::StateSignature> signatures{};
};

/// Takes rows apart. What it hands on is in the order and within the bounds of the format; what the rows mean is for
/// the caller to check.
class SnapshotReader {
public:
   static constexpr std::size_t keyBytesMax = 1024, valueBytesMax = std::size_t{16} << 20;
   static constexpr std::size_t signaturesMax = 1024, signatureBytesMax = 64 * 1024;

   /// Fills as much of the span as there is, and less only at the end. Errors: a sentence.
   using Source = std::function<std::expected<std::size_t, std::string>(std::span<std::uint8_t>)>;
   explicit SnapshotReader(Source source) : source_(std::move(source)) {}

   /// The next row; none behind the last, and then `seal` is there. Errors: what is wrong with the file.
   [[nodiscard]] std::expected<std::optional<SnapshotFileRow>, std::string> next();
   const SnapshotSeal& seal() const { return seal_; }

private:
   std::expected<bool, std::string> fill(std::span<std::uint8_t> out);
   std::expected<std::optional<SnapshotFileRow>, std::string> row();
   std::expected<void, std::string> addToSeal(const SnapshotFileRow& row);

   Source source_;
   bool begun_ = false;
   bool sealed_ = false;
   std::uint32_t db_ = 0;
   Bytes key_; ///< the last one of db_
   bool keyed_ = false;
   SnapshotSeal seal_;
};

/// Writes a file; it has its name when `finish` returns, and not before. Faults: it cannot be written.
class SnapshotWriter {
public:
   SnapshotWriter(std::filesystem::path file, bool compress);
   ~SnapshotWriter();
   SnapshotWriter(const SnapshotWriter&) = delete;
   SnapshotWriter& operator=(const SnapshotWriter&) = delete;

   /// In the order of the format.
   void row(std::uint32_t db, ByteView key, ByteView value);
   /// Writes the footer, and makes all of it durable.
   void finish(const SnapshotSeal& seal);

private:
   void write(ByteView bytes);

   std::filesystem::path file_, part_;
   void* out_ = nullptr;
};

/// A source of a file's content, compressed or not. Faults: it cannot be opened.
SnapshotReader::Source snapshotSource(const std::filesystem::path& file);

} // namespace polis::node

// Identifiers of transactions and blocks, and what is signed. Source: spec, formats §7.1 and §7.2.
#pragma once

#include "format/chain.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"

namespace polis::format {

template <class T>
Checksum256 sha256Of(const T& value) {
   return sha256(ByteView(pack(value)));
}

/// The id covers the transaction's bytes exactly as they are carried.
inline Checksum256 transactionId(const Nested<Transaction>& transaction) {
   return sha256(ByteView(transaction.packed));
}
inline Checksum256 transactionId(const SignedTransaction& transaction) {
   return transactionId(transaction.transaction);
}

/// Hash of the header without authCode, its first four bytes replaced by the block number, big-endian.
inline Checksum256 blockId(const BlockHeader& header) {
   Checksum256 id;
   if (header.authCode) {
      BlockHeader covered = header;
      covered.authCode.reset();
      id = sha256Of(covered);
   } else {
      id = sha256Of(header);
   }
   for (unsigned i = 0; i < 4; ++i)
      id[i] = static_cast<std::uint8_t>(header.blockNum >> (24 - 8 * i));
   return id;
}

inline BlockNum blockNumOf(const Checksum256& blockId) {
   return BlockNum{blockId[0]} << 24 | BlockNum{blockId[1]} << 16 | BlockNum{blockId[2]} << 8 | blockId[3];
}

/// The last four bytes of a block id, read little-endian: what a Tapos refers to.
inline std::uint32_t refBlockSuffix(const Checksum256& blockId) { return frac::load32(blockId.data() + 28); }

/// The bytes whose SHA-256 a block's producer signs.
inline std::array<std::uint8_t, 36> blockSignaturePreimage(const Checksum256& blockId) {
   std::array<std::uint8_t, 36> out{0x00, 0xCE, 0xA8, 0x42};
   std::memcpy(out.data() + 4, blockId.data(), blockId.size());
   return out;
}
inline Checksum256 blockSignatureDigest(const Checksum256& blockId) {
   return sha256(ByteView(blockSignaturePreimage(blockId)));
}

/// The bytes whose SHA-256 a producer signs under a state checksum.
inline std::array<std::uint8_t, 36> stateSignaturePreimage(const StateChecksum& state) {
   std::array<std::uint8_t, 36> out{0x00, 0xCE, 0xA8, 0x43};
   const Checksum256 hash = sha256Of(state);
   std::memcpy(out.data() + 4, hash.data(), hash.size());
   return out;
}
inline Checksum256 stateSignatureDigest(const StateChecksum& state) {
   return sha256(ByteView(stateSignaturePreimage(state)));
}

/// What the chain's transaction tree says of a transaction. `subjectiveData` is taken as present.
inline TransactionInfo transactionInfo(const SignedTransaction& transaction) {
   return {transactionId(transaction), sha256Of(transaction.proofs),
           sha256Of(transaction.subjectiveData ? *transaction.subjectiveData : std::vector<Bytes>())};
}

} // namespace polis::format

// The Merkle root of a range: spec, formats §7.3 (KvMerkle).
//
// The tree is the binary trie of the keys' bits, most significant first. Keys come in order, so a stack suffices: two
// neighbours are joined at the depth of their common bits, deepest first; at equal depth (an entry at a node with both
// children) the right ones first.
#include "base/fault.hpp"
#include "store/node.hpp"
#include "store/version.hpp"

#include <bit>
#include <memory>
#include <openssl/evp.h>

namespace polis::store {

using namespace detail;

namespace {

class Sha256 {
public:
   Sha256() : context_(EVP_MD_CTX_new()), algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)) {
      if (!context_ || !algorithm_)
         throw Fault("SHA-256 is not available");
   }
   ~Sha256() {
      EVP_MD_CTX_free(context_);
      EVP_MD_free(algorithm_);
   }
   Sha256(const Sha256&) = delete;
   Sha256& operator=(const Sha256&) = delete;

   template <class... Parts>
   MerkleRoot operator()(const Parts&... parts) {
      MerkleRoot out;
      bool good = EVP_DigestInit_ex2(context_, algorithm_, nullptr) == 1;
      ((good = good && EVP_DigestUpdate(context_, parts.data(), parts.size()) == 1), ...);
      if (!good || EVP_DigestFinal_ex(context_, out.data(), nullptr) != 1)
         throw Fault("SHA-256 failed");
      return out;
   }

private:
   EVP_MD_CTX* context_;
   EVP_MD* algorithm_;
};

std::array<std::uint8_t, 4> length32(ByteView bytes) {
   return std::bit_cast<std::array<std::uint8_t, 4>>(static_cast<std::uint32_t>(bytes.size()));
}

/// Count of the keys' common first bits.
std::size_t commonBits(ByteView a, ByteView b) {
   const std::size_t bytes = commonBytes(a, b);
   if (bytes == a.size() || bytes == b.size())
      return bytes * 8;
   return bytes * 8 + static_cast<std::size_t>(std::countl_zero(static_cast<std::uint8_t>(a[bytes] ^ b[bytes])));
}

} // namespace

MerkleRoot Version::merkle(ByteView prefix) const {
   static constexpr std::array<std::uint8_t, 1> leafTag{0}, joinTag{1};
   Sha256 sha256;
   struct Pending {
      MerkleRoot root;
      /// Bits that its last key shares with the next one's.
      std::size_t common;
   };
   std::vector<Pending> pending;
   const auto join = [&] {
      const MerkleRoot right = pending.back().root;
      const std::size_t common = pending.back().common;
      pending.pop_back();
      pending.back() = {sha256(joinTag, pending.back().root, right), common};
   };
   ByteView before;
   Cursor at = cursor();
   for (bool more = at.seek(prefix); more; more = at.next()) {
      const Entry entry = at.entry();
      if (!beginsWith(entry.key, prefix))
         break;
      const ByteView key = entry.key.subspan(prefix.size());
      if (!pending.empty()) {
         const std::size_t common = commonBits(before, key);
         pending.back().common = common;
         while (pending.size() > 1 && pending[pending.size() - 2].common > common)
            join();
      }
      pending.push_back({sha256(leafTag, length32(key), key, length32(entry.value), entry.value), 0});
      before = key;
   }
   if (pending.empty())
      return {};
   while (pending.size() > 1)
      join();
   return pending.front().root;
}

} // namespace polis::store

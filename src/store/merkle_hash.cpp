#include "store/merkle_hash.hpp"

#include "base/fault.hpp"

#include <bit>
#include <cstring>
#include <openssl/evp.h>

namespace polis::store::detail {

struct MerkleHash::State {
   EVP_MD_CTX* context = EVP_MD_CTX_new();
   EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
   ~State() {
      EVP_MD_CTX_free(context);
      EVP_MD_free(algorithm);
   }

   template <class... Parts>
   MerkleRoot hash(const Parts&... parts) {
      MerkleRoot out;
      bool good = EVP_DigestInit_ex2(context, algorithm, nullptr) == 1;
      ((good = good && EVP_DigestUpdate(context, parts.data(), parts.size()) == 1), ...);
      if (!good || EVP_DigestFinal_ex(context, out.data(), nullptr) != 1)
         throw Fault("SHA-256 failed");
      return out;
   }
};

namespace {

std::array<std::uint8_t, 4> length32(ByteView bytes) {
   return std::bit_cast<std::array<std::uint8_t, 4>>(static_cast<std::uint32_t>(bytes.size()));
}

} // namespace

MerkleHash::MerkleHash() : state_(std::make_unique<State>()) {
   if (!state_->context || !state_->algorithm)
      throw Fault("SHA-256 is not available");
}
MerkleHash::~MerkleHash() = default;

MerkleRoot MerkleHash::entry(ByteView key, ByteView value) {
   static constexpr std::array<std::uint8_t, 1> tag{0};
   return state_->hash(tag, length32(key), key, length32(value), value);
}

MerkleRoot MerkleHash::join(const MerkleRoot& left, const MerkleRoot& right) {
   std::array<std::uint8_t, 1 + 2 * sizeof(MerkleRoot)> bytes{1};
   std::memcpy(bytes.data() + 1, left.data(), left.size());
   std::memcpy(bytes.data() + 1 + left.size(), right.data(), right.size());
   return state_->hash(bytes);
}

} // namespace polis::store::detail

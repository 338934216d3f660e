#include "format/hash.hpp"

#include "base/assert.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

namespace polis::format {

Checksum256 sha256(ByteView data) {
   Checksum256 out;
   SHA256(data.data(), data.size(), out.data());
   return out;
}

Checksum256 hmacSha256(ByteView key, ByteView data) {
   static constexpr std::uint8_t nothing = 0;
   Checksum256 out;
   unsigned size = 0;
   const auto* made = HMAC(EVP_sha256(), key.empty() ? &nothing : key.data(), static_cast<int>(key.size()), data.data(),
                           data.size(), out.data(), &size);
   ASSERT(made && size == out.size());
   return out;
}

struct Sha256::State {
   EVP_MD_CTX* context = EVP_MD_CTX_new();
   State() {
      ASSERT(context);
      start();
   }
   ~State() { EVP_MD_CTX_free(context); }
   void start() { ASSERT(EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(ByteView data) {
   ASSERT(EVP_DigestUpdate(state_->context, data.data(), data.size()) == 1);
   return *this;
}

Checksum256 Sha256::finish() {
   Checksum256 out;
   ASSERT(EVP_DigestFinal_ex(state_->context, out.data(), nullptr) == 1);
   state_->start();
   return out;
}

} // namespace polis::format

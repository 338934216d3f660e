#include "format/hash.hpp"

#include "base/assert.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace polis::format {

namespace {

/// Looking the algorithm up costs more than hashing a short message; it is done once.
const EVP_MD* algorithm() {
   static const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> fetched(EVP_MD_fetch(nullptr, "SHA256", nullptr),
                                                                        &EVP_MD_free);
   ASSERT(fetched);
   return fetched.get();
}

using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Context makeContext() {
   Context made(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
   ASSERT(made && EVP_DigestInit_ex2(made.get(), algorithm(), nullptr) == 1);
   return made;
}

} // namespace

Checksum256 sha256(ByteView data) {
   // Scratch memory, one a thread: nothing of a message outlives the call. A quarter of the time of SHA256() for 32
   // bytes.
   static thread_local const Context context = makeContext();
   Checksum256 out;
   ASSERT(EVP_DigestInit_ex2(context.get(), nullptr, nullptr) == 1);
   ASSERT(EVP_DigestUpdate(context.get(), data.data(), data.size()) == 1);
   ASSERT(EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1);
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
   Context context = makeContext();
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(ByteView data) {
   ASSERT(EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) == 1);
   return *this;
}

Checksum256 Sha256::finish() {
   Checksum256 out;
   ASSERT(EVP_DigestFinal_ex(state_->context.get(), out.data(), nullptr) == 1);
   ASSERT(EVP_DigestInit_ex2(state_->context.get(), nullptr, nullptr) == 1);
   return out;
}

} // namespace polis::format

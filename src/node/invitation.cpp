#include "node/invitation.hpp"
#include "base/fault.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "format/keys.hpp"
#include "format/text_encoding.hpp"
#include <algorithm>
#include <array>
#include <memory>
#include <openssl/evp.h>

namespace polis::node {

namespace {

constexpr std::size_t nonceBytes = 12, tagBytes = 16;

/// nonce ‖ ciphertext ‖ tag of AES-128-GCM.
Bytes seal(const std::array<std::uint8_t, 16>& key, const std::array<std::uint8_t, nonceBytes>& nonce, ByteView text) {
   const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                 EVP_CIPHER_CTX_free);
   Bytes out(nonce.begin(), nonce.end());
   out.resize(nonceBytes + text.size() + tagBytes);
   int n = 0, last = 0;
   const bool good =
       context && EVP_EncryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, key.data(), nonce.data()) == 1 &&
       EVP_EncryptUpdate(context.get(), out.data() + nonceBytes, &n, text.data(), static_cast<int>(text.size())) == 1 &&
       EVP_EncryptFinal_ex(context.get(), out.data() + nonceBytes + n, &last) == 1 &&
       EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, tagBytes, out.data() + nonceBytes + text.size()) == 1;
   if (!good)
      throw Fault("AES-GCM is not available");
   return out;
}

/// What invite::createInvite unpacks.
struct InvitePayload {
   Bytes fingerprint;
   std::string secret;
};

} // namespace

Invitation makeInvitation(Random& random) {
   Invitation result;
   std::array<std::uint8_t, 4> id;
   random.fill(id);
   std::array<std::uint8_t, 16> key;
   random.fill(key);
   std::array<std::uint8_t, nonceBytes> nonce;
   random.fill(nonce);
   for (std::size_t i = 0; i < id.size(); ++i)
      result.id |= std::uint32_t{id[i]} << (8 * i);
   const auto credential = format::PrivateKey::generate();
   result.fingerprint = format::sha256(credential.publicKey().spki());
   result.secret = format::toBase64(seal(key, nonce, asBytes(credential.pem())));
   Bytes token(id.begin(), id.end());
   token.insert(token.end(), key.begin(), key.end());
   // The alphabet of URLs, but padded.
   result.token = format::toBase64(token);
   std::ranges::replace(result.token, '+', '-');
   std::ranges::replace(result.token, '/', '_');
   return result;
}

std::string createInviteArguments(const Invitation& invitation, std::uint16_t accounts) {
   const InvitePayload payload{Bytes(invitation.fingerprint.begin(), invitation.fingerprint.end()), invitation.secret};
   return "{\"inviteId\":" + std::to_string(invitation.id) + ",\"payload\":\"" + toHex(format::pack(payload)) +
          "\",\"numAccounts\":" + std::to_string(accounts) + ",\"useHooks\":false,\"resources\":{\"value\":\"0\"}}";
}

} // namespace polis::node

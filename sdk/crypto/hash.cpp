// The hashes of format/hash.hpp for services.
#include "format/hash.hpp"

#include "mbedtls/md.h"
#include "mbedtls/sha256.h"

namespace polis::format {

Checksum256 sha256(ByteView data) {
   Checksum256 out;
   mbedtls_sha256_ret(data.data(), data.size(), out.data(), 0);
   return out;
}

Checksum256 hmacSha256(ByteView key, ByteView data) {
   Checksum256 out;
   mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key.data(), key.size(), data.data(), data.size(),
                   out.data());
   return out;
}

} // namespace polis::format

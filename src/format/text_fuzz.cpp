// Everything that is read from short text or DER: names, times, version patterns, encodings, tokens, keys.
#include "base/assert.hpp"
#include "format/jwt.hpp"
#include "format/keys.hpp"
#include "format/names.hpp"
#include "format/semver.hpp"
#include "format/text_encoding.hpp"
#include "format/time_text.hpp"
#include "format/type_notation.hpp"
#include "format/vectors.hpp"

#include <cstring>

namespace polis::format {
namespace {

void run(ByteView data) {
   if (data.empty())
      return;
   const ByteView bytes = data.subspan(1);
   const std::string_view text = asText(bytes);
   switch (data[0] % 10) {
   case 0: {
      const AccountNumber account(text);
      ASSERT(!account || AccountNumber(std::string_view(account.str())) == account);
      if (bytes.size() >= 8) {
         std::uint64_t value;
         std::memcpy(&value, bytes.data(), 8);
         ASSERT(AccountNumber(value).str().size() <= 14);
         ASSERT(MethodNumber(value).str().size() <= 80);
      }
      break;
   }
   case 1:
      ASSERT(MethodNumber(text).str().size() <= 80);
      break;
   case 2:
      if (const auto time = parseTimeUSec(text))
         ASSERT(parseTimeUSec(timeText(*time)).has_value());
      break;
   case 3:
      if (const auto version = Version::parse(text))
         ASSERT(compareVersions(*version, *version) == 0);
      static_cast<void>(matchesVersion(text, Version{.major = 1}));
      break;
   case 4:
      if (const auto decoded = fromBase64(text))
         ASSERT(toBase64(*decoded) == text);
      if (const auto decoded = fromBase64Url(text))
         ASSERT(toBase64Url(*decoded) == text);
      static_cast<void>(fromPem("X", text));
      break;
   case 5:
      static_cast<void>(decodeJwt({}, text));
      break;
   case 6:
      if (const auto key = PublicKey::fromSpki(bytes))
         ASSERT(key->spki(PointForm::compressed) == Bytes(bytes.begin(), bytes.end()) ||
                key->spki(PointForm::uncompressed) == Bytes(bytes.begin(), bytes.end()));
      break;
   case 7:
      if (const auto key = PrivateKey::fromDer(bytes))
         ASSERT(PrivateKey::fromDer(key->pkcs8()).has_value());
      break;
   case 8:
      static_cast<void>(parseTypeNotation(text));
      break;
   default:
      static_cast<void>(checkVectors(text));
      break;
   }
}

} // namespace
} // namespace polis::format

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   polis::format::run({data, size});
   return 0;
}

#include "consensus/messages.hpp"

namespace polis::consensus::detail {

Bytes frame(MessageType type, ByteView packed) {
   Bytes out;
   out.reserve(packed.size() + 1);
   out.push_back(static_cast<std::uint8_t>(type));
   append(out, packed);
   return out;
}

std::expected<ByteView, FrameError> body(MessageType type, ByteView frame) {
   if (frame.empty())
      return std::unexpected(FrameError::empty);
   if (frame[0] != static_cast<std::uint8_t>(type))
      return std::unexpected(FrameError::otherType);
   if (frame.size() > frameBytesMax)
      return std::unexpected(FrameError::malformed);
   return frame.subspan(1);
}

Checksum256 signedDigest(MessageType type, ByteView packed) { return format::sha256(frame(type, packed)); }

} // namespace polis::consensus::detail

#include "consensus/messages.hpp"

namespace polis::consensus {

std::optional<Message> decodeMessage(ByteView frame) {
   std::optional<Message> out;
   const auto take = [&]<class M>() {
      if constexpr (SignedContent<M>) {
         if (auto message = decode<M>(frame, false))
            out.emplace(std::move(*message));
      } else if (auto message = decode<M>(frame)) {
         out.emplace(std::move(*message));
      }
   };
   switch (typeOf(frame).value_or(MessageType::init)) {
   case MessageType::confirm:
      take.operator()<ConfirmMessage>();
      break;
   case MessageType::requestVote:
      take.operator()<RequestVoteMessage>();
      break;
   case MessageType::vote:
      take.operator()<VoteMessage>();
      break;
   case MessageType::prepare:
      take.operator()<PrepareMessage>();
      break;
   case MessageType::commit:
      take.operator()<CommitMessage>();
      break;
   case MessageType::viewChange:
      take.operator()<ViewChangeMessage>();
      break;
   case MessageType::requestView:
      take.operator()<RequestViewMessage>();
      break;
   default:
      break;
   }
   return out;
}

namespace detail {

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

} // namespace detail
} // namespace polis::consensus

// The messages that peers exchange, and how they are framed: one type byte, then the packed struct.
// Source: spec, consensus §2, §3, §5.2. Field order and names are the protocol's.
#pragma once

#include "base/bytes.hpp"
#include "format/chain.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <type_traits>
#include <variant>
#include <vector>

namespace polis::consensus {

using format::AccountNumber;
using format::BlockNum;
using format::Checksum256;
using format::Claim;
using format::TermNum;
using BlockId = Checksum256;

/// The first byte of a frame. 1–31 routing, 32–63 consensus and sync, from 64 on the service `x-peers`.
enum class MessageType : std::uint8_t {
   init = 1,
   producer = 2,
   routingEnvelope = 3,
   routeUpdate = 4,
   seqnoRequest = 5,
   requestRoutes = 6,
   hello = 32,
   block = 34,
   confirm = 35,
   requestVote = 36,
   vote = 37,
   prepare = 38,
   commit = 39,
   viewChange = 40,
   requestView = 41,
   stateChecksum = 42,
   snapshotPart = 43,
   blockHeader = 44,
   snapshotVerify = 45,
   snapshotResume = 46, ///< our own
   wasmProducer = 64,   ///< only ever inside a routing envelope
};

// --- Routing ---------------------------------------------------------------------------------------------------------

struct InitMessage {
   static constexpr MessageType messageType = MessageType::init;
   std::uint32_t version = 0;
   friend bool operator==(const InitMessage&, const InitMessage&) = default;
};

/// Direct routing only.
struct ProducerMessage {
   static constexpr MessageType messageType = MessageType::producer;
   AccountNumber producer{};
   friend bool operator==(const ProducerMessage&, const ProducerMessage&) = default;
};

struct RoutingEnvelope {
   static constexpr MessageType messageType = MessageType::routingEnvelope;
   AccountNumber destination{};
   Bytes data{}; ///< a whole inner frame, type byte included
   friend bool operator==(const RoutingEnvelope&, const RoutingEnvelope&) = default;
};

struct RouteUpdate {
   static constexpr MessageType messageType = MessageType::routeUpdate;
   static constexpr std::uint16_t infinity = 65535;
   AccountNumber producer{};
   std::uint16_t seqno = 0;
   std::uint16_t metric = 0;
   std::optional<std::uint64_t> router{};
   friend bool operator==(const RouteUpdate&, const RouteUpdate&) = default;
};

struct SeqnoRequest {
   static constexpr MessageType messageType = MessageType::seqnoRequest;
   AccountNumber producer{};
   std::uint16_t seqno = 0;
   std::uint16_t ttl = 64;
   friend bool operator==(const SeqnoRequest&, const SeqnoRequest&) = default;
};

struct RequestRoutes {
   static constexpr MessageType messageType = MessageType::requestRoutes;
   friend bool operator==(const RequestRoutes&, const RequestRoutes&) = default;
};

// --- Block sync and snapshots ----------------------------------------------------------------------------------------

struct ExtendedBlockId {
   BlockId id{};
   BlockNum num = 0;
   friend bool operator==(const ExtendedBlockId&, const ExtendedBlockId&) = default;
};

struct HelloMessage {
   static constexpr MessageType messageType = MessageType::hello;
   ExtendedBlockId xid{};
   bool committed = false;
   friend bool operator==(const HelloMessage&, const HelloMessage&) = default;
};

struct BlockMessage {
   static constexpr MessageType messageType = MessageType::block;
   format::SignedBlock block{};
   friend bool operator==(const BlockMessage&, const BlockMessage&) = default;
};

/// A block without its transactions.
struct BlockHeaderMessage {
   static constexpr MessageType messageType = MessageType::blockHeader;
   format::SignedBlock block{};
   friend bool operator==(const BlockHeaderMessage&, const BlockHeaderMessage&) = default;
};

struct StateChecksumMessage {
   static constexpr MessageType messageType = MessageType::stateChecksum;
   BlockId blockId{};
   format::StateChecksum state{};
   format::StateSignature signature{};
   friend bool operator==(const StateChecksumMessage&, const StateChecksumMessage&) = default;
};

struct SnapshotRowData {
   Bytes key{};
   Bytes value{};
   friend bool operator==(const SnapshotRowData&, const SnapshotRowData&) = default;
};

/// Rows of the range [lowKey, highKey) of a database; empty keys stand for its ends.
struct SnapshotPart {
   static constexpr MessageType messageType = MessageType::snapshotPart;
   BlockId blockId{};
   std::uint32_t db = 0;
   Bytes lowKey{};
   Bytes highKey{};
   std::vector<SnapshotRowData> rows{};
   friend bool operator==(const SnapshotPart&, const SnapshotPart&) = default;
};

struct SnapshotVerify {
   static constexpr MessageType messageType = MessageType::snapshotVerify;
   BlockId blockId{};
   format::StateChecksum hash{};
   std::vector<format::StateSignature> signatures{};
   friend bool operator==(const SnapshotVerify&, const SnapshotVerify&) = default;
};

/// Our own, before the Hello of a link: of this snapshot everything before a place is here. Who sends it goes on from
/// there; who does not know the message begins at the beginning.
struct SnapshotResume {
   static constexpr MessageType messageType = MessageType::snapshotResume;
   BlockId blockId{};
   std::uint32_t db = 0;
   Bytes key{};
   friend bool operator==(const SnapshotResume&, const SnapshotResume&) = default;
};

struct WasmProducerMessage {
   static constexpr MessageType messageType = MessageType::wasmProducer;
   Bytes data{};
   AccountNumber producer{};
   Claim signer{};
   friend bool operator==(const WasmProducerMessage&, const WasmProducerMessage&) = default;
};

// --- CFT -------------------------------------------------------------------------------------------------------------

/// A follower has executed the leader's chain up to `head_num`.
struct ConfirmMessage {
   static constexpr MessageType messageType = MessageType::confirm;
   TermNum term = 0;
   AccountNumber follower_id{};
   BlockNum head_num = 0;
   Claim signer{};
   friend bool operator==(const ConfirmMessage&, const ConfirmMessage&) = default;
};

struct RequestVoteMessage {
   static constexpr MessageType messageType = MessageType::requestVote;
   TermNum term = 0;
   AccountNumber candidate_id{};
   BlockNum last_log_index = 0; ///< height of the candidate's head
   TermNum last_log_term = 0;   ///< and its term
   Claim signer{};
   friend bool operator==(const RequestVoteMessage&, const RequestVoteMessage&) = default;
};

struct VoteMessage {
   static constexpr MessageType messageType = MessageType::vote;
   TermNum term = 0;
   AccountNumber candidate_id{};
   AccountNumber voter_id{};
   bool vote_granted = false;
   Claim signer{};
   friend bool operator==(const VoteMessage&, const VoteMessage&) = default;
};

// --- BFT -------------------------------------------------------------------------------------------------------------

using format::CommitMessage;
using format::PrepareMessage;
using format::ProducerConfirm;

/// A producer has entered `term`, and the best block it knows to be prepared is `best_prepared`, or zero.
struct ViewChangeMessage {
   static constexpr MessageType messageType = MessageType::viewChange;
   TermNum term = 0;
   AccountNumber producer{};
   Claim signer{};
   BlockId best_prepared{};
   TermNum best_prepared_term = 0;
   std::vector<ProducerConfirm> prepares{};
   std::optional<std::vector<ProducerConfirm>> nextPrepares{};
   friend bool operator==(const ViewChangeMessage&, const ViewChangeMessage&) = default;
};

/// Answered with every view change that is at hand.
struct RequestViewMessage {
   static constexpr MessageType messageType = MessageType::requestView;
   friend bool operator==(const RequestViewMessage&, const RequestViewMessage&) = default;
};

// --- Frames ----------------------------------------------------------------------------------------------------------

template <class M>
inline constexpr MessageType messageTypeOf = M::messageType;
template <>
inline constexpr MessageType messageTypeOf<PrepareMessage> = MessageType::prepare;
template <>
inline constexpr MessageType messageTypeOf<CommitMessage> = MessageType::commit;

/// Messages that name a signer travel as SignedMessage.
template <class M>
concept SignedContent = requires(const M& message) {
   { message.signer } -> std::convertible_to<const Claim&>;
};

/// A signed message off the wire, not yet verified. `packed` is what the signature covers, behind the type byte.
template <SignedContent M>
struct Signed {
   M message{};
   Bytes packed{};
   Bytes signature{};
};

/// Why a frame is no message. The frame is dropped; what else follows is the receiver's rule.
enum class FrameError : std::uint8_t {
   empty,
   otherType,    ///< not the type that was asked for
   malformed,    ///< not one packed struct
   nonCanonical, ///< a signed message in other bytes than the canonical ones: no certificate could be rebuilt from it
};

/// Frames longer than this are refused by the network.
inline constexpr std::size_t frameBytesMax = std::size_t{16} << 20;

namespace detail {
Bytes frame(MessageType type, ByteView packed);
std::expected<ByteView, FrameError> body(MessageType type, ByteView frame);
/// SHA-256 of type byte and packed message: what is signed.
Checksum256 signedDigest(MessageType type, ByteView packed);
} // namespace detail

/// The type byte; none for an empty frame.
inline std::optional<MessageType> typeOf(ByteView frame) {
   if (frame.empty())
      return std::nullopt;
   return static_cast<MessageType>(frame[0]);
}

template <class M>
   requires(!SignedContent<M>)
Bytes encode(const M& message) {
   return detail::frame(messageTypeOf<M>, format::pack(message));
}

/// Frames a message with its signature over `digestOf(message)`.
template <SignedContent M>
Bytes encode(const M& message, Bytes signature) {
   const format::SignedMessage<M> outer{format::Nested<M>(message), std::move(signature)};
   return detail::frame(messageTypeOf<M>, format::pack(outer));
}

template <SignedContent M>
Checksum256 digestOf(const M& message) {
   return detail::signedDigest(messageTypeOf<M>, format::pack(message));
}

/// Unknown members at the end are accepted and dropped.
template <class M>
   requires(!SignedContent<M>)
[[nodiscard]] std::expected<M, FrameError> decode(ByteView frame) {
   const auto body = detail::body(messageTypeOf<M>, frame);
   if (!body)
      return std::unexpected(body.error());
   auto message = format::unpack<M>(*body);
   if (!message)
      return std::unexpected(FrameError::malformed);
   return std::move(*message);
}

/// Only canonical bytes: a certificate is rebuilt from the fields, so that any other bytes would poison it.
/// canonicalOnly: false is for tests that show so.
template <SignedContent M>
[[nodiscard]] std::expected<Signed<M>, FrameError> decode(ByteView frame, bool canonicalOnly = true) {
   const auto body = detail::body(messageTypeOf<M>, frame);
   if (!body)
      return std::unexpected(body.error());
   auto outer = format::unpack<format::SignedMessage<M>>(*body);
   if (!outer)
      return std::unexpected(FrameError::malformed);
   auto message = format::unpack<M>(outer->data.packed);
   if (!message)
      return std::unexpected(FrameError::malformed);
   Signed<M> out{std::move(*message), std::move(outer->data.packed), std::move(outer->signature)};
   if (canonicalOnly && format::pack(out.message) != out.packed)
      return std::unexpected(FrameError::nonCanonical);
   return out;
}

/// What is said about blocks and terms, types 35 to 41: off the wire, not yet verified.
using Message =
    std::variant<Signed<ConfirmMessage>, Signed<RequestVoteMessage>, Signed<VoteMessage>, Signed<PrepareMessage>,
                 Signed<CommitMessage>, Signed<ViewChangeMessage>, RequestViewMessage>;

/// Also in other bytes than the canonical ones; `isCanonical` tells. None: it is malformed, or of another type.
std::optional<Message> decodeMessage(ByteView frame);

template <SignedContent M>
bool isCanonical(const Signed<M>& message) {
   return format::pack(message.message) == message.packed;
}
template <SignedContent M>
Bytes encode(const Signed<M>& message) {
   const format::SignedMessage<M> outer{format::Nested<M>(Bytes(message.packed)), message.signature};
   return detail::frame(messageTypeOf<M>, format::pack(outer));
}

/// Who says it, as it says itself.
inline AccountNumber speakerOf(const ConfirmMessage& message) { return message.follower_id; }
inline AccountNumber speakerOf(const RequestVoteMessage& message) { return message.candidate_id; }
inline AccountNumber speakerOf(const VoteMessage& message) { return message.voter_id; }
template <SignedContent M>
   requires requires(const M& message) { message.producer; }
AccountNumber speakerOf(const M& message) {
   return message.producer;
}

/// Calls `f.template operator()<M>()` for every message of the protocol; for tests and fuzzing.
template <class F>
void forEachMessageType(F&& f) {
   [&]<class... M>(std::type_identity<std::tuple<M...>>) {
      (f.template operator()<M>(), ...);
   }(std::type_identity<
       std::tuple<InitMessage, ProducerMessage, RoutingEnvelope, RouteUpdate, SeqnoRequest, RequestRoutes, HelloMessage,
                  BlockMessage, BlockHeaderMessage, StateChecksumMessage, SnapshotPart, SnapshotVerify, SnapshotResume,
                  WasmProducerMessage, ConfirmMessage, RequestVoteMessage, VoteMessage, PrepareMessage, CommitMessage,
                  ViewChangeMessage, RequestViewMessage>>{});
}

} // namespace polis::consensus

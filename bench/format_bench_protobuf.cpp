// Protocol Buffers: its generated messages are the objects. It has no views: to look at a field is to parse, which goes
// into a reused message.
#include "format_bench_subject.hpp"

#include "format_bench.pb.h"

namespace polis::bench {
namespace {

template <class B>
std::string text(const B& bytes) {
   return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void fill(pb::Transfer& out, const Transfer& from) {
   pb::Tapos& tapos = *out.mutable_tapos();
   tapos.set_expiration(from.tapos.expiration.seconds);
   tapos.set_ref_block_suffix(from.tapos.refBlockSuffix);
   tapos.set_flags(from.tapos.flags);
   tapos.set_ref_block_index(from.tapos.refBlockIndex);
   for (const Action& action : from.actions) {
      pb::Action& to = *out.add_actions();
      to.set_sender(action.sender.value);
      to.set_service(action.service.value);
      to.set_method(action.method.value);
      to.set_raw_data(text(action.rawData));
   }
   for (const Claim& claim : from.claims) {
      pb::Claim& to = *out.add_claims();
      to.set_service(claim.service.value);
      to.set_raw_data(text(claim.rawData));
   }
   for (const Bytes& proof : from.proofs)
      out.add_proofs(text(proof));
}
void fill(pb::Block& out, const Block& from) {
   pb::Header& to = *out.mutable_header();
   to.set_previous(text(from.header.previous));
   to.set_block_num(from.header.blockNum);
   to.set_time(from.header.time.microseconds);
   to.set_producer(from.header.producer.value);
   to.set_term(from.header.term);
   to.set_commit_num(from.header.commitNum);
   to.set_consensus_state(text(from.header.consensusState));
   to.set_trx_merkle_root(text(from.header.trxMerkleRoot));
   to.set_event_merkle_root(text(from.header.eventMerkleRoot));
   for (const Transfer& transfer : from.transactions)
      fill(*out.add_transactions(), transfer);
}
void fill(pb::Node& out, const Node& from) {
   out.set_id(from.id);
   out.set_label(from.label);
   out.set_weight(from.weight);
   for (const Node& child : from.children)
      fill(*out.add_children(), child);
}
void fill(pb::Row& out, const Row& from) {
   out.set_id(from.id);
   out.set_owner(from.owner.value);
   out.set_balance(from.balance);
   out.set_token_id(from.tokenId);
   out.set_frozen(from.frozen);
   out.set_changed(from.changed.microseconds);
   out.set_memo(from.memo);
}
void fill(pb::Blob& out, const Blob& from) {
   out.set_name(from.name);
   out.set_content_type(from.contentType);
   out.set_hash(text(from.hash));
   out.set_content(text(from.content));
}

std::uint64_t threeFields(const pb::Transfer& v) {
   return static_cast<std::uint64_t>(v.tapos().expiration()) + v.actions(0).sender() + v.actions(0).raw_data().size();
}
std::uint64_t threeFields(const pb::Block& v) {
   return v.header().block_num() + v.transactions(500).actions(0).service() +
          static_cast<std::uint8_t>(v.transactions(999).proofs(0)[0]);
}
std::uint64_t threeFields(const pb::Node& root) {
   const pb::Node* v = &root;
   for (int i = 0; i < 8; ++i)
      v = &v->children(0);
   return root.id() + root.label().size() + v->id();
}
std::uint64_t threeFields(const pb::Row& v) { return v.owner() + v.balance() + v.memo().size(); }
std::uint64_t threeFields(const pb::Blob& v) {
   return v.name().size() + v.content().size() + static_cast<std::uint8_t>(v.content().back());
}

template <class Message, class T>
void add(Subjects& out, const T& value) {
   Subject subject;
   subject.engine = "protobuf";
   const auto source = std::make_shared<Message>();
   fill(*source, value);
   const auto parse = [](Message& to, const Bytes& bytes) {
      return to.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
   };
   subject.packed = toBytes(source->SerializeAsString());
   Message back;
   ASSERT(parse(back, subject.packed) && toBytes(back.SerializeAsString()) == subject.packed);
   subject.fields = threeFields(back);

   subject.works["pack"] = repeated([source, buffer = std::string()]() mutable {
      source->SerializeToString(&buffer);
      keep(buffer.data());
   });
   subject.works["unpack"] = repeated([bytes = subject.packed, parse] {
      Message message;
      keep(parse(message, bytes));
      keepObject(message);
   });
   const auto again = std::make_shared<Message>();
   subject.works["unpack_again"] = repeated([bytes = subject.packed, parse, again] {
      keep(parse(*again, bytes));
      keepObject(*again);
   });
   subject.works["view"] =
       repeated([bytes = subject.packed, parse, again] { keep(parse(*again, bytes) ? threeFields(*again) : 0); });
   out.push_back(std::move(subject));
}

} // namespace

void addProtobuf(Subjects& out, const Transfer& value) { add<pb::Transfer>(out, value); }
void addProtobuf(Subjects& out, const Block& value) { add<pb::Block>(out, value); }
void addProtobuf(Subjects& out, const Node& value) { add<pb::Node>(out, value); }
void addProtobuf(Subjects& out, const Row& value) { add<pb::Row>(out, value); }
void addProtobuf(Subjects& out, const Blob& value) { add<pb::Blob>(out, value); }

} // namespace polis::bench

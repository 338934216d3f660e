// FlatBuffers: its generated object types are packed and unpacked, a reused builder, the verifier before every view.
#include "format_bench_subject.hpp"

#include "format_bench_generated.h"

namespace polis::bench {
namespace {

fb::Hash hash(const Checksum256& from) {
   return fb::Hash(flatbuffers::span<const std::uint8_t, 32>(from.data(), from.size()));
}

fb::TransferT object(const Transfer& from) {
   fb::TransferT out;
   out.tapos =
       fb::Tapos(from.tapos.expiration.seconds, from.tapos.refBlockSuffix, from.tapos.flags, from.tapos.refBlockIndex);
   for (const Action& action : from.actions) {
      auto& to = *out.actions.emplace_back(std::make_unique<fb::ActionT>());
      to.sender = action.sender.value;
      to.service = action.service.value;
      to.method = action.method.value;
      to.rawData = action.rawData;
   }
   for (const Claim& claim : from.claims) {
      auto& to = *out.claims.emplace_back(std::make_unique<fb::ClaimT>());
      to.service = claim.service.value;
      to.rawData = claim.rawData;
   }
   for (const Bytes& proof : from.proofs)
      out.proofs.emplace_back(std::make_unique<fb::ProofT>())->bytes = proof;
   return out;
}
fb::BlockT object(const Block& from) {
   fb::BlockT out;
   out.header = std::make_unique<fb::HeaderT>();
   fb::HeaderT& to = *out.header;
   to.previous = hash(from.header.previous);
   to.blockNum = from.header.blockNum;
   to.time = from.header.time.microseconds;
   to.producer = from.header.producer.value;
   to.term = from.header.term;
   to.commitNum = from.header.commitNum;
   to.consensusState = hash(from.header.consensusState);
   to.trxMerkleRoot = hash(from.header.trxMerkleRoot);
   to.eventMerkleRoot = hash(from.header.eventMerkleRoot);
   for (const Transfer& transfer : from.transactions)
      out.transactions.push_back(std::make_unique<fb::TransferT>(object(transfer)));
   return out;
}
fb::NodeT object(const Node& from) {
   fb::NodeT out;
   out.id = from.id;
   out.label = from.label;
   out.weight = from.weight;
   for (const Node& child : from.children)
      out.children.push_back(std::make_unique<fb::NodeT>(object(child)));
   return out;
}
fb::RowT object(const Row& from) {
   fb::RowT out;
   out.id = from.id;
   out.owner = from.owner.value;
   out.balance = from.balance;
   out.tokenId = from.tokenId;
   out.frozen = from.frozen;
   out.changed = from.changed.microseconds;
   out.memo = from.memo;
   return out;
}
fb::BlobT object(const Blob& from) {
   fb::BlobT out;
   out.name = from.name;
   out.contentType = from.contentType;
   out.hash = hash(from.hash);
   out.content = from.content;
   return out;
}

std::uint64_t threeFields(const fb::Transfer& v) {
   const auto& action = *v.actions()->Get(0);
   return static_cast<std::uint64_t>(v.tapos()->expiration()) + action.sender() + action.rawData()->size();
}
std::uint64_t threeFields(const fb::Block& v) {
   const auto& transactions = *v.transactions();
   return v.header()->blockNum() + transactions.Get(500)->actions()->Get(0)->service() +
          transactions.Get(999)->proofs()->Get(0)->bytes()->Get(0);
}
std::uint64_t threeFields(const fb::Node& root) {
   const fb::Node* v = &root;
   for (int i = 0; i < 8; ++i)
      v = v->children()->Get(0);
   return root.id() + root.label()->size() + v->id();
}
std::uint64_t threeFields(const fb::Row& v) { return v.owner() + v.balance() + v.memo()->size(); }
std::uint64_t threeFields(const fb::Blob& v) {
   const auto& content = *v.content();
   return v.name()->size() + content.size() + content.Get(content.size() - 1);
}

template <class Table, class T>
void add(Subjects& out, const T& value) {
   using Object = typename Table::NativeTableType;
   Subject subject;
   subject.engine = "flatbuffers";
   const auto source = std::make_shared<Object>(object(value));
   const auto packed = [](const Object& from) {
      flatbuffers::FlatBufferBuilder builder;
      builder.Finish(Table::Pack(builder, &from));
      return Bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
   };
   const auto root = [](const Bytes& bytes) -> const Table& { return *flatbuffers::GetRoot<Table>(bytes.data()); };
   const auto verify = [](const Bytes& bytes) {
      flatbuffers::Verifier verifier(bytes.data(), bytes.size());
      return verifier.VerifyBuffer<Table>(nullptr);
   };
   subject.packed = packed(*source);
   ASSERT(verify(subject.packed));
   Object back;
   root(subject.packed).UnPackTo(&back);
   ASSERT(packed(back) == subject.packed);
   subject.fields = threeFields(root(subject.packed));

   subject.works["pack"] = repeated([source, builder = std::make_shared<flatbuffers::FlatBufferBuilder>()] {
      builder->Clear();
      builder->Finish(Table::Pack(*builder, source.get()));
      keep(builder->GetBufferPointer());
   });
   subject.works["unpack"] = repeated([bytes = subject.packed, verify, root] {
      Object object;
      if (verify(bytes))
         root(bytes).UnPackTo(&object);
      keepObject(object);
   });
   subject.works["unpack_again"] =
       repeated([bytes = subject.packed, verify, root, object = std::make_shared<Object>()] {
          if (verify(bytes))
             root(bytes).UnPackTo(object.get());
          keepObject(*object);
       });
   subject.works["validate"] = repeated([bytes = subject.packed, verify] { keep(verify(bytes)); });
   subject.works["view"] =
       repeated([bytes = subject.packed, verify, root] { keep(verify(bytes) ? threeFields(root(bytes)) : 0); });
   subject.works["read"] = repeated([bytes = subject.packed, root] { keep(threeFields(root(bytes))); });
   out.push_back(std::move(subject));
}

} // namespace

void addFlatbuffers(Subjects& out, const Transfer& value) { add<fb::Transfer>(out, value); }
void addFlatbuffers(Subjects& out, const Block& value) { add<fb::Block>(out, value); }
void addFlatbuffers(Subjects& out, const Node& value) { add<fb::Node>(out, value); }
void addFlatbuffers(Subjects& out, const Row& value) { add<fb::Row>(out, value); }
void addFlatbuffers(Subjects& out, const Blob& value) { add<fb::Blob>(out, value); }

} // namespace polis::bench

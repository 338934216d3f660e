// Cap'n Proto has no objects of its own: packing builds a message from the plain structs, in a reused segment, and
// writes it to a reused buffer; unpacking fills plain structs. A reader checks each pointer when it is followed, so
// that `view` is what three fields cost; `validate` walks the whole message (totalSize).
#include "format_bench_subject.hpp"

#include <kj/string.h>
namespace kj {
// Debian 12's version takes it that C++20 has these by itself.
inline bool operator==(const char* a, const StringPtr& b) { return b == StringPtr(a); }
inline bool operator!=(const char* a, const StringPtr& b) { return !(b == StringPtr(a)); }
} // namespace kj
#include "format_bench.capnp.h"

#include <algorithm>
#include <capnp/serialize.h>
#include <cstring>
#include <kj/io.h>
#include <limits>
#include <memory>

namespace polis::bench {
namespace {

template <class B>
capnp::Data::Reader dataOf(const B& bytes) {
   return {bytes.data(), bytes.size()};
}
Bytes bytesOf(capnp::Data::Reader data) { return Bytes(data.begin(), data.end()); }
Checksum256 hashOf(capnp::Data::Reader data) {
   Checksum256 out{};
   if (data.size() == out.size())
      std::copy(data.begin(), data.end(), out.begin());
   return out;
}
std::string stringOf(capnp::Text::Reader text) { return std::string(text.begin(), text.size()); }

void fill(cp::Transfer::Builder out, const Transfer& from) {
   auto tapos = out.initTapos();
   tapos.setExpiration(from.tapos.expiration.seconds);
   tapos.setRefBlockSuffix(from.tapos.refBlockSuffix);
   tapos.setFlags(from.tapos.flags);
   tapos.setRefBlockIndex(from.tapos.refBlockIndex);
   auto actions = out.initActions(static_cast<unsigned>(from.actions.size()));
   for (unsigned i = 0; i < actions.size(); ++i) {
      const Action& action = from.actions[i];
      actions[i].setSender(action.sender.value);
      actions[i].setService(action.service.value);
      actions[i].setMethod(action.method.value);
      actions[i].setRawData(dataOf(action.rawData));
   }
   auto claims = out.initClaims(static_cast<unsigned>(from.claims.size()));
   for (unsigned i = 0; i < claims.size(); ++i) {
      claims[i].setService(from.claims[i].service.value);
      claims[i].setRawData(dataOf(from.claims[i].rawData));
   }
   auto proofs = out.initProofs(static_cast<unsigned>(from.proofs.size()));
   for (unsigned i = 0; i < proofs.size(); ++i)
      proofs.set(i, dataOf(from.proofs[i]));
}
void fill(cp::Block::Builder out, const Block& from) {
   auto to = out.initHeader();
   to.setPrevious(dataOf(from.header.previous));
   to.setBlockNum(from.header.blockNum);
   to.setTime(from.header.time.microseconds);
   to.setProducer(from.header.producer.value);
   to.setTerm(from.header.term);
   to.setCommitNum(from.header.commitNum);
   to.setConsensusState(dataOf(from.header.consensusState));
   to.setTrxMerkleRoot(dataOf(from.header.trxMerkleRoot));
   to.setEventMerkleRoot(dataOf(from.header.eventMerkleRoot));
   auto transactions = out.initTransactions(static_cast<unsigned>(from.transactions.size()));
   for (unsigned i = 0; i < transactions.size(); ++i)
      fill(transactions[i], from.transactions[i]);
}
void fill(cp::Node::Builder out, const Node& from) {
   out.setId(from.id);
   out.setLabel(from.label.c_str());
   out.setWeight(from.weight);
   auto children = out.initChildren(static_cast<unsigned>(from.children.size()));
   for (unsigned i = 0; i < children.size(); ++i)
      fill(children[i], from.children[i]);
}
void fill(cp::Row::Builder out, const Row& from) {
   out.setId(from.id);
   out.setOwner(from.owner.value);
   out.setBalance(from.balance);
   out.setTokenId(from.tokenId);
   out.setFrozen(from.frozen);
   out.setChanged(from.changed.microseconds);
   out.setMemo(from.memo.c_str());
}
void fill(cp::Blob::Builder out, const Blob& from) {
   out.setName(from.name.c_str());
   out.setContentType(from.contentType.c_str());
   out.setHash(dataOf(from.hash));
   out.setContent(dataOf(from.content));
}

void take(Transfer& out, cp::Transfer::Reader from) {
   const auto tapos = from.getTapos();
   out.tapos = {{tapos.getExpiration()}, tapos.getRefBlockSuffix(), tapos.getFlags(), tapos.getRefBlockIndex()};
   const auto actions = from.getActions();
   out.actions.resize(actions.size());
   for (unsigned i = 0; i < actions.size(); ++i)
      out.actions[i] = {AccountNumber(actions[i].getSender()), AccountNumber(actions[i].getService()),
                        MethodNumber(actions[i].getMethod()), bytesOf(actions[i].getRawData())};
   const auto claims = from.getClaims();
   out.claims.resize(claims.size());
   for (unsigned i = 0; i < claims.size(); ++i)
      out.claims[i] = {AccountNumber(claims[i].getService()), bytesOf(claims[i].getRawData())};
   const auto proofs = from.getProofs();
   out.proofs.resize(proofs.size());
   for (unsigned i = 0; i < proofs.size(); ++i)
      out.proofs[i] = bytesOf(proofs[i]);
}
void take(Block& out, cp::Block::Reader from) {
   const auto header = from.getHeader();
   out.header = {hashOf(header.getPrevious()),
                 header.getBlockNum(),
                 {header.getTime()},
                 AccountNumber(header.getProducer()),
                 header.getTerm(),
                 header.getCommitNum(),
                 hashOf(header.getConsensusState()),
                 hashOf(header.getTrxMerkleRoot()),
                 hashOf(header.getEventMerkleRoot())};
   const auto transactions = from.getTransactions();
   out.transactions.resize(transactions.size());
   for (unsigned i = 0; i < transactions.size(); ++i)
      take(out.transactions[i], transactions[i]);
}
void take(Node& out, cp::Node::Reader from) {
   out.id = from.getId();
   out.label = stringOf(from.getLabel());
   out.weight = from.getWeight();
   const auto children = from.getChildren();
   out.children.resize(children.size());
   for (unsigned i = 0; i < children.size(); ++i)
      take(out.children[i], children[i]);
}
void take(Row& out, cp::Row::Reader from) {
   out = {from.getId(),        AccountNumber(from.getOwner()), from.getBalance(), from.getTokenId(), from.getFrozen(),
          {from.getChanged()}, stringOf(from.getMemo())};
}
void take(Blob& out, cp::Blob::Reader from) {
   out = {stringOf(from.getName()), stringOf(from.getContentType()), hashOf(from.getHash()),
          bytesOf(from.getContent())};
}

std::uint64_t threeFields(cp::Transfer::Reader v) {
   const auto action = v.getActions()[0];
   return static_cast<std::uint64_t>(v.getTapos().getExpiration()) + action.getSender() + action.getRawData().size();
}
std::uint64_t threeFields(cp::Block::Reader v) {
   const auto transactions = v.getTransactions();
   return v.getHeader().getBlockNum() + transactions[500].getActions()[0].getService() +
          transactions[999].getProofs()[0][0];
}
std::uint64_t threeFields(cp::Node::Reader v) {
   const std::uint64_t root = v.getId() + v.getLabel().size();
   for (int i = 0; i < 8; ++i)
      v = v.getChildren()[0];
   return root + v.getId();
}
std::uint64_t threeFields(cp::Row::Reader v) { return v.getOwner() + v.getBalance() + v.getMemo().size(); }
std::uint64_t threeFields(cp::Blob::Reader v) {
   const auto content = v.getContent();
   return v.getName().size() + content.size() + content[content.size() - 1];
}

/// Builds messages in one segment and puts them into one buffer, both kept.
template <class Message, class T>
class Packer {
public:
   kj::ArrayPtr<const std::uint8_t> operator()(const T& value) {
      capnp::MallocMessageBuilder builder(segment_.asPtr());
      fill(builder.template initRoot<Message>(), value);
      const std::size_t words = capnp::computeSerializedSizeInWords(builder);
      if (buffer_.size() < words) {
         buffer_ = kj::heapArray<capnp::word>(words);
         segment_ = cleared(words + 64);
      }
      kj::ArrayOutputStream out(
          kj::arrayPtr(reinterpret_cast<kj::byte*>(buffer_.begin()), words * sizeof(capnp::word)));
      capnp::writeMessage(out, builder);
      return {reinterpret_cast<const std::uint8_t*>(buffer_.begin()), words * sizeof(capnp::word)};
   }

private:
   static kj::Array<capnp::word> cleared(std::size_t words) {
      auto out = kj::heapArray<capnp::word>(words);
      std::memset(out.begin(), 0, words * sizeof(capnp::word));
      return out;
   }
   kj::Array<capnp::word> segment_ = cleared(64), buffer_;
};

template <class Message, class T>
void add(Subjects& out, const T& value) {
   Subject subject;
   subject.engine = "capnp";
   const auto packer = std::make_shared<Packer<Message, T>>();
   (*packer)(value); // in several segments; now there is room for one
   const auto first = (*packer)(value);
   subject.packed.assign(first.begin(), first.end());
   const auto words = std::make_shared<kj::Array<capnp::word>>(
       kj::heapArray<capnp::word>(subject.packed.size() / sizeof(capnp::word)));
   std::memcpy(words->begin(), subject.packed.data(), subject.packed.size());

   capnp::ReaderOptions options;
   options.traversalLimitInWords = std::numeric_limits<std::uint64_t>::max();
   options.nestingLimit = 256; // a list counts as a level, too
   const auto open = [words, options](const auto& use) {
      capnp::FlatArrayMessageReader reader(words->asPtr(), options);
      return use(reader.getRoot<Message>());
   };
   T back;
   open([&](auto root) { return take(back, root), true; });
   ASSERT(back == value);
   subject.fields = open([](auto root) { return threeFields(root); });

   subject.works["pack"] = repeated([packer, &value] { keep((*packer)(value).begin()); });
   subject.works["unpack"] = repeated([open] {
      T object;
      open([&](auto root) { return take(object, root), true; });
      keepObject(object);
   });
   subject.works["unpack_again"] = repeated([open, object = T()]() mutable {
      open([&](auto root) { return take(object, root), true; });
      keepObject(object);
   });
   subject.works["validate"] = repeated([open] { keep(open([](auto root) { return root.totalSize().wordCount; })); });
   subject.works["view"] = repeated([open] { keep(open([](auto root) { return threeFields(root); })); });
   const auto reader = std::make_shared<capnp::FlatArrayMessageReader>(words->asPtr(), options);
   const auto root = reader->template getRoot<Message>();
   subject.works["read"] = repeated([words, reader, root] { keep(threeFields(root)); });
   out.push_back(std::move(subject));
}

} // namespace

void addCapnp(Subjects& out, const Transfer& value) { add<cp::Transfer>(out, value); }
void addCapnp(Subjects& out, const Block& value) { add<cp::Block>(out, value); }
void addCapnp(Subjects& out, const Node& value) { add<cp::Node>(out, value); }
void addCapnp(Subjects& out, const Row& value) { add<cp::Row>(out, value); }
void addCapnp(Subjects& out, const Blob& value) { add<cp::Blob>(out, value); }

} // namespace polis::bench

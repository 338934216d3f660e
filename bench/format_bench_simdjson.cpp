// simdjson reads only. On demand, with a reused parser over padded text; the members come in the order that it expects,
// which is its best case.
#include "format_bench_subject.hpp"

#include "format/json.hpp"
#include "format/time_text.hpp"

#include <charconv>
#include <simdjson.h>

namespace polis::bench {
namespace {

using Value = simdjson::ondemand::value;
using Object = simdjson::ondemand::object;

void take(std::string& out, Value from) { out = from.get_string().value(); }
void take(bool& out, Value from) { out = from.get_bool(); }
void take(double& out, Value from) { out = from.get_double(); }
template <class T>
   requires(std::is_integral_v<T> && sizeof(T) < 8)
void take(T& out, Value from) {
   out = static_cast<T>(from.get_uint64().value());
}
void take(std::uint64_t& out, Value from) { out = from.get_uint64_in_string(); }
void take(AccountNumber& out, Value from) { out = AccountNumber(from.get_string().value()); }
void take(MethodNumber& out, Value from) { out = MethodNumber(from.get_string().value()); }
void take(TimePointSec& out, Value from) { out = format::parseTimeSec(from.get_string().value()).value(); }
void take(TimePointUSec& out, Value from) { out = format::parseTimeUSec(from.get_string().value()).value(); }
void take(Bytes& out, Value from) {
   const std::string_view digits = from.get_string();
   out.resize(digits.size() / 2);
   ASSERT(readHex(digits, out.data()));
}
void take(Checksum256& out, Value from) {
   const std::string_view digits = from.get_string();
   ASSERT(digits.size() == 2 * out.size() && readHex(digits, out.data()));
}
void takeObject(Tapos& out, Object from);
void takeObject(Action& out, Object from);
void takeObject(Claim& out, Object from);
void takeObject(Transfer& out, Object from);
void takeObject(Header& out, Object from);
void takeObject(Block& out, Object from);
void takeObject(Node& out, Object from);
void takeObject(Row& out, Object from);
void takeObject(Blob& out, Object from);
template <class T>
   requires requires(T& out, Object from) { takeObject(out, from); }
void take(T& out, Value from) {
   takeObject(out, from.get_object().value());
}
template <class T>
void take(std::vector<T>& out, Value from) {
   for (auto element : from.get_array())
      take(out.emplace_back(), element.value());
}

template <class T>
void member(T& out, Object& object, std::string_view name) {
   take(out, object.find_field(name).value());
}

void takeObject(Tapos& out, Object from) {
   member(out.expiration, from, "expiration");
   member(out.refBlockSuffix, from, "refBlockSuffix");
   member(out.flags, from, "flags");
   member(out.refBlockIndex, from, "refBlockIndex");
}
void takeObject(Action& out, Object from) {
   member(out.sender, from, "sender");
   member(out.service, from, "service");
   member(out.method, from, "method");
   member(out.rawData, from, "rawData");
}
void takeObject(Claim& out, Object from) {
   member(out.service, from, "service");
   member(out.rawData, from, "rawData");
}
void takeObject(Header& out, Object from) {
   member(out.previous, from, "previous");
   member(out.blockNum, from, "blockNum");
   member(out.time, from, "time");
   member(out.producer, from, "producer");
   member(out.term, from, "term");
   member(out.commitNum, from, "commitNum");
   member(out.consensusState, from, "consensusState");
   member(out.trxMerkleRoot, from, "trxMerkleRoot");
   member(out.eventMerkleRoot, from, "eventMerkleRoot");
}
void takeObject(Row& out, Object from) {
   member(out.id, from, "id");
   member(out.owner, from, "owner");
   member(out.balance, from, "balance");
   member(out.tokenId, from, "tokenId");
   member(out.frozen, from, "frozen");
   member(out.changed, from, "changed");
   member(out.memo, from, "memo");
}
void takeObject(Blob& out, Object from) {
   member(out.name, from, "name");
   member(out.contentType, from, "contentType");
   member(out.hash, from, "hash");
   member(out.content, from, "content");
}

void takeObject(Transfer& out, Object from) {
   member(out.tapos, from, "tapos");
   member(out.actions, from, "actions");
   member(out.claims, from, "claims");
   member(out.proofs, from, "proofs");
}
void takeObject(Block& out, Object from) {
   member(out.header, from, "header");
   member(out.transactions, from, "transactions");
}
void takeObject(Node& out, Object from) {
   member(out.id, from, "id");
   member(out.label, from, "label");
   member(out.weight, from, "weight");
   member(out.children, from, "children");
}

template <class T>
void add(Subjects& out, const T& value) {
   Subject subject;
   subject.engine = "simdjson";
   const std::string text = format::toJson(value);
   subject.packed = toBytes(text);
   struct State {
      simdjson::ondemand::parser parser;
      simdjson::padded_string text;
   };
   const auto state = std::make_shared<State>();
   state->text = simdjson::padded_string(text);
   const auto parse = [state](T& into) {
      simdjson::ondemand::document document = state->parser.iterate(state->text);
      takeObject(into, document.get_object().value());
   };
   T back;
   parse(back);
   ASSERT(back == value);
   subject.works["json_in"] = repeated([parse] {
      T object;
      parse(object);
      keepObject(object);
   });
   out.push_back(std::move(subject));
}

} // namespace

void addSimdjson(Subjects& out, const Transfer& value) { add(out, value); }
void addSimdjson(Subjects& out, const Block& value) { add(out, value); }
void addSimdjson(Subjects& out, const Node& value) { add(out, value); }
void addSimdjson(Subjects& out, const Row& value) { add(out, value); }
void addSimdjson(Subjects& out, const Blob& value) { add(out, value); }

} // namespace polis::bench

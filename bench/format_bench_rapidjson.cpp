// RapidJSON: its writer into a reused buffer; its document, parsed in place, and plain structs filled from it. Names,
// times and hexadecimal bytes are made and read by Polis's own functions, in every engine of JSON the same ones.
#include "format_bench_subject.hpp"

#include "format/time_text.hpp"

#include <charconv>
#define RAPIDJSON_SSE2
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace polis::bench {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;
using Value = rapidjson::Value;

void put(Writer& out, const std::string& text) { out.String(text.data(), static_cast<unsigned>(text.size())); }
void put(Writer& out, bool value) { out.Bool(value); }
void put(Writer& out, double value) { out.Double(value); }
void put(Writer& out, std::uint32_t value) { out.Uint(value); }
void put(Writer& out, std::uint64_t value) {
   char digits[24];
   char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
   out.String(digits, static_cast<unsigned>(end - digits));
}
void put(Writer& out, AccountNumber value) { put(out, value.str()); }
void put(Writer& out, MethodNumber value) { put(out, value.str()); }
void put(Writer& out, TimePointSec value) { put(out, format::timeText(value)); }
void put(Writer& out, TimePointUSec value) { put(out, format::timeText(value)); }
void put(Writer& out, const Bytes& bytes) { put(out, toHex(bytes)); }
void put(Writer& out, const Checksum256& hash) { put(out, toHex(hash)); }
void put(Writer& out, const Tapos& v);
void put(Writer& out, const Header& v);
template <class T>
void put(Writer& out, const std::vector<T>& list);

template <class T>
void member(Writer& out, std::string_view name, const T& value) {
   out.Key(name.data(), static_cast<unsigned>(name.size()));
   put(out, value);
}

void put(Writer& out, const Tapos& v) {
   out.StartObject();
   member(out, "expiration", v.expiration);
   member(out, "refBlockSuffix", v.refBlockSuffix);
   member(out, "flags", std::uint32_t{v.flags});
   member(out, "refBlockIndex", std::uint32_t{v.refBlockIndex});
   out.EndObject();
}
void put(Writer& out, const Action& v) {
   out.StartObject();
   member(out, "sender", v.sender);
   member(out, "service", v.service);
   member(out, "method", v.method);
   member(out, "rawData", v.rawData);
   out.EndObject();
}
void put(Writer& out, const Claim& v) {
   out.StartObject();
   member(out, "service", v.service);
   member(out, "rawData", v.rawData);
   out.EndObject();
}
void put(Writer& out, const Transfer& v) {
   out.StartObject();
   member(out, "tapos", v.tapos);
   member(out, "actions", v.actions);
   member(out, "claims", v.claims);
   member(out, "proofs", v.proofs);
   out.EndObject();
}
void put(Writer& out, const Header& v) {
   out.StartObject();
   member(out, "previous", v.previous);
   member(out, "blockNum", v.blockNum);
   member(out, "time", v.time);
   member(out, "producer", v.producer);
   member(out, "term", v.term);
   member(out, "commitNum", v.commitNum);
   member(out, "consensusState", v.consensusState);
   member(out, "trxMerkleRoot", v.trxMerkleRoot);
   member(out, "eventMerkleRoot", v.eventMerkleRoot);
   out.EndObject();
}
void put(Writer& out, const Block& v) {
   out.StartObject();
   member(out, "header", v.header);
   member(out, "transactions", v.transactions);
   out.EndObject();
}
void put(Writer& out, const Node& v) {
   out.StartObject();
   member(out, "id", v.id);
   member(out, "label", v.label);
   member(out, "weight", v.weight);
   member(out, "children", v.children);
   out.EndObject();
}
void put(Writer& out, const Row& v) {
   out.StartObject();
   member(out, "id", v.id);
   member(out, "owner", v.owner);
   member(out, "balance", v.balance);
   member(out, "tokenId", v.tokenId);
   member(out, "frozen", v.frozen);
   member(out, "changed", v.changed);
   member(out, "memo", v.memo);
   out.EndObject();
}
void put(Writer& out, const Blob& v) {
   out.StartObject();
   member(out, "name", v.name);
   member(out, "contentType", v.contentType);
   member(out, "hash", v.hash);
   member(out, "content", v.content);
   out.EndObject();
}
template <class T>
void put(Writer& out, const std::vector<T>& list) {
   out.StartArray();
   for (const T& element : list)
      put(out, element);
   out.EndArray();
}

std::string_view textOf(const Value& from) { return {from.GetString(), from.GetStringLength()}; }

void take(std::string& out, const Value& from) { out = textOf(from); }
void take(bool& out, const Value& from) { out = from.GetBool(); }
void take(double& out, const Value& from) { out = from.GetDouble(); }
void take(std::uint8_t& out, const Value& from) { out = static_cast<std::uint8_t>(from.GetUint()); }
void take(std::uint16_t& out, const Value& from) { out = static_cast<std::uint16_t>(from.GetUint()); }
void take(std::uint32_t& out, const Value& from) { out = from.GetUint(); }
void take(std::uint64_t& out, const Value& from) {
   const std::string_view digits = textOf(from);
   ASSERT(std::from_chars(digits.data(), digits.data() + digits.size(), out).ec == std::errc());
}
void take(AccountNumber& out, const Value& from) { out = AccountNumber(textOf(from)); }
void take(MethodNumber& out, const Value& from) { out = MethodNumber(textOf(from)); }
void take(TimePointSec& out, const Value& from) { out = format::parseTimeSec(textOf(from)).value(); }
void take(TimePointUSec& out, const Value& from) { out = format::parseTimeUSec(textOf(from)).value(); }
void take(Bytes& out, const Value& from) {
   const std::string_view digits = textOf(from);
   out.resize(digits.size() / 2);
   ASSERT(readHex(digits, out.data()));
}
void take(Checksum256& out, const Value& from) {
   const std::string_view digits = textOf(from);
   ASSERT(digits.size() == 2 * out.size() && readHex(digits, out.data()));
}
template <class T>
void take(std::vector<T>& out, const Value& from);

void take(Tapos& out, const Value& from) {
   take(out.expiration, from["expiration"]);
   take(out.refBlockSuffix, from["refBlockSuffix"]);
   take(out.flags, from["flags"]);
   take(out.refBlockIndex, from["refBlockIndex"]);
}
void take(Action& out, const Value& from) {
   take(out.sender, from["sender"]);
   take(out.service, from["service"]);
   take(out.method, from["method"]);
   take(out.rawData, from["rawData"]);
}
void take(Claim& out, const Value& from) {
   take(out.service, from["service"]);
   take(out.rawData, from["rawData"]);
}
void take(Transfer& out, const Value& from) {
   take(out.tapos, from["tapos"]);
   take(out.actions, from["actions"]);
   take(out.claims, from["claims"]);
   take(out.proofs, from["proofs"]);
}
void take(Header& out, const Value& from) {
   take(out.previous, from["previous"]);
   take(out.blockNum, from["blockNum"]);
   take(out.time, from["time"]);
   take(out.producer, from["producer"]);
   take(out.term, from["term"]);
   take(out.commitNum, from["commitNum"]);
   take(out.consensusState, from["consensusState"]);
   take(out.trxMerkleRoot, from["trxMerkleRoot"]);
   take(out.eventMerkleRoot, from["eventMerkleRoot"]);
}
void take(Block& out, const Value& from) {
   take(out.header, from["header"]);
   take(out.transactions, from["transactions"]);
}
void take(Node& out, const Value& from) {
   take(out.id, from["id"]);
   take(out.label, from["label"]);
   take(out.weight, from["weight"]);
   take(out.children, from["children"]);
}
void take(Row& out, const Value& from) {
   take(out.id, from["id"]);
   take(out.owner, from["owner"]);
   take(out.balance, from["balance"]);
   take(out.tokenId, from["tokenId"]);
   take(out.frozen, from["frozen"]);
   take(out.changed, from["changed"]);
   take(out.memo, from["memo"]);
}
void take(Blob& out, const Value& from) {
   take(out.name, from["name"]);
   take(out.contentType, from["contentType"]);
   take(out.hash, from["hash"]);
   take(out.content, from["content"]);
}
template <class T>
void take(std::vector<T>& out, const Value& from) {
   out.reserve(from.Size());
   for (const Value& element : from.GetArray())
      take(out.emplace_back(), element);
}

template <class T>
void add(Subjects& out, const T& value) {
   Subject subject;
   subject.engine = "rapidjson";
   rapidjson::StringBuffer written;
   Writer writer(written);
   put(writer, value);
   const std::string text(written.GetString(), written.GetSize());
   subject.packed = toBytes(text);
   const auto parse = [](T& into, std::string& copy) {
      rapidjson::Document document;
      document.ParseInsitu<rapidjson::kParseValidateEncodingFlag>(copy.data());
      ASSERT(!document.HasParseError());
      take(into, document);
   };
   std::string copy = text;
   T back;
   parse(back, copy);
   ASSERT(back == value);

   subject.works["json_out"] = repeated([&value, buffer = std::make_shared<rapidjson::StringBuffer>()] {
      buffer->Clear();
      Writer writer(*buffer);
      put(writer, value);
      keep(buffer->GetString());
   });
   subject.works["json_in"] = repeated([text, parse, copy = std::string()]() mutable {
      copy = text;
      T object;
      parse(object, copy);
      keepObject(object);
   });
   out.push_back(std::move(subject));
}

} // namespace

void addRapidjson(Subjects& out, const Transfer& value) { add(out, value); }
void addRapidjson(Subjects& out, const Block& value) { add(out, value); }
void addRapidjson(Subjects& out, const Node& value) { add(out, value); }
void addRapidjson(Subjects& out, const Row& value) { add(out, value); }
void addRapidjson(Subjects& out, const Blob& value) { add(out, value); }

} // namespace polis::bench

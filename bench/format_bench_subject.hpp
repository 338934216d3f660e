// What bench/run format measures: five values, and for every engine what it can do with each.
#pragma once

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "format/names.hpp"
#include "format/types.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace polis::bench {

using format::AccountNumber;
using format::Checksum256;
using format::MethodNumber;
using format::TimePointSec;
using format::TimePointUSec;

struct Tapos {
   using FixedLayout = std::true_type;
   TimePointSec expiration{};
   std::uint32_t refBlockSuffix = 0;
   std::uint16_t flags = 0;
   std::uint8_t refBlockIndex = 0;
   friend bool operator==(const Tapos&, const Tapos&) = default;
};
struct Action {
   AccountNumber sender{};
   AccountNumber service{};
   MethodNumber method{};
   Bytes rawData{};
   friend bool operator==(const Action&, const Action&) = default;
};
struct Claim {
   AccountNumber service{};
   Bytes rawData{};
   friend bool operator==(const Claim&, const Claim&) = default;
};
/// A token transfer with its signature, as the protocol has it, but that the transaction is no packed value of its own:
/// the other formats have no such thing.
struct Transfer {
   Tapos tapos{};
   std::vector<Action> actions{};
   std::vector<Claim> claims{};
   std::vector<Bytes> proofs{};
   friend bool operator==(const Transfer&, const Transfer&) = default;
};

struct Header {
   Checksum256 previous{};
   std::uint32_t blockNum = 0;
   TimePointUSec time{};
   AccountNumber producer{};
   std::uint32_t term = 0;
   std::uint32_t commitNum = 0;
   Checksum256 consensusState{}, trxMerkleRoot{}, eventMerkleRoot{};
   friend bool operator==(const Header&, const Header&) = default;
};
struct Block {
   Header header{};
   std::vector<Transfer> transactions{};
   friend bool operator==(const Block&, const Block&) = default;
};

struct Node {
   std::uint32_t id = 0;
   std::string label{};
   double weight = 0;
   std::vector<Node> children{};
   friend bool operator==(const Node&, const Node&) = default;
};

struct Row {
   std::uint64_t id = 0;
   AccountNumber owner{};
   std::uint64_t balance = 0;
   std::uint32_t tokenId = 0;
   bool frozen = false;
   TimePointUSec changed{};
   std::string memo{};
   friend bool operator==(const Row&, const Row&) = default;
};

struct Blob {
   std::string name{};
   std::string contentType{};
   Checksum256 hash{};
   Bytes content{};
   friend bool operator==(const Blob&, const Blob&) = default;
};

/// Does the same thing so many times.
using Work = std::function<void(std::size_t times)>;

/// One engine with one value.
struct Subject {
   std::string engine;
   Bytes packed; ///< or JSON text
   /// Sum of the three fields that `view` and `read` look at: proof that every engine reads the same ones.
   std::uint64_t fields = 0;
   std::map<std::string, Work> works; ///< by operation
};

/// The compiler must take the value for used, and all memory for changed.
template <class T>
void keep(const T& value) {
   asm volatile("" : : "r,m"(value) : "memory");
}
template <class T>
void keepObject(const T& value) {
   asm volatile("" : : "r"(&value) : "memory");
}

template <class F>
Work repeated(F once) {
   return [once = std::move(once)](std::size_t times) mutable {
      while (times-- > 0)
         once();
   };
}

/// Adds an engine's subject, for each of the five types.
using Subjects = std::vector<Subject>;
#define POLIS_BENCH_ENGINE(name)                                                                                       \
   void name(Subjects& out, const Transfer& value);                                                                    \
   void name(Subjects& out, const Block& value);                                                                       \
   void name(Subjects& out, const Node& value);                                                                        \
   void name(Subjects& out, const Row& value);                                                                         \
   void name(Subjects& out, const Blob& value)
POLIS_BENCH_ENGINE(addPolis);
POLIS_BENCH_ENGINE(addFlatbuffers);
POLIS_BENCH_ENGINE(addCapnp);
POLIS_BENCH_ENGINE(addProtobuf);
POLIS_BENCH_ENGINE(addPolisJson);
POLIS_BENCH_ENGINE(addRapidjson);
POLIS_BENCH_ENGINE(addSimdjson);
#undef POLIS_BENCH_ENGINE

} // namespace polis::bench

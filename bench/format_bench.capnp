# The bench's data for Cap'n Proto.
@0xb6f5a1d0c3e27949;
using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("polis::bench::cp");

struct Tapos { expiration @0 :Int64; refBlockSuffix @1 :UInt32; flags @2 :UInt16; refBlockIndex @3 :UInt8; }
struct Action { sender @0 :UInt64; service @1 :UInt64; method @2 :UInt64; rawData @3 :Data; }
struct Claim { service @0 :UInt64; rawData @1 :Data; }
struct Transfer { tapos @0 :Tapos; actions @1 :List(Action); claims @2 :List(Claim); proofs @3 :List(Data); }

struct Header {
  previous @0 :Data; blockNum @1 :UInt32; time @2 :Int64; producer @3 :UInt64; term @4 :UInt32; commitNum @5 :UInt32;
  consensusState @6 :Data; trxMerkleRoot @7 :Data; eventMerkleRoot @8 :Data;
}
struct Block { header @0 :Header; transactions @1 :List(Transfer); }

struct Node { id @0 :UInt32; label @1 :Text; weight @2 :Float64; children @3 :List(Node); }

struct Row {
  id @0 :UInt64; owner @1 :UInt64; balance @2 :UInt64; tokenId @3 :UInt32; frozen @4 :Bool; changed @5 :Int64;
  memo @6 :Text;
}

struct Blob { name @0 :Text; contentType @1 :Text; hash @2 :Data; content @3 :Data; }

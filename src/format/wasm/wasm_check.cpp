// Compiled for wasm only, as a service compiles it: proof that the headers stand without exceptions and in libc++.
#include "format/chain.hpp"
#include "format/fracpack.hpp"
#include "format/ids.hpp"
#include "format/in_force.hpp"
#include "format/json.hpp"
#include "format/key.hpp"
#include "format/native_tables.hpp"

namespace polis::format {
std::expected<SignedTransaction, FracError> unpackTransaction(ByteView bytes) {
   return unpackStrict<SignedTransaction>(bytes);
}
Bytes packTransaction(const SignedTransaction& transaction) { return pack(transaction); }
Bytes packHeader(const BlockHeader& header) { return pack(header); }
Bytes key(AccountNumber account) { return CodeRow::key(account); }
std::string toText(const SignedBlock& block) { return toJson(block); }
std::expected<SignedBlock, JsonError> fromText(std::string_view text) { return fromJson<SignedBlock>(text); }
std::string name(MethodNumber method) { return method.str(); }
} // namespace polis::format

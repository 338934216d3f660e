#include "store/proof.hpp"

#include "store/merkle_hash.hpp"
#include "store/node.hpp"
#include "store/reader.hpp"

namespace polis::store {

using namespace detail;

namespace {
enum Token : std::uint8_t { hidden = 0, entry = 1, join = 2 };
} // namespace

namespace detail {

void writeProofHidden(Bytes& proof, const MerkleRoot& root) {
   proof.push_back(Token::hidden);
   append(proof, root);
}

void writeProofEntry(Bytes& proof, ByteView key, ByteView value) {
   proof.push_back(Token::entry);
   appendNumber(proof, static_cast<std::uint32_t>(key.size()));
   append(proof, key);
   appendNumber(proof, static_cast<std::uint32_t>(value.size()));
   append(proof, value);
}

void writeProofJoin(Bytes& proof) { proof.push_back(Token::join); }

} // namespace detail

std::expected<Proof, Rejection> Proof::check(const MerkleRoot& root, ByteView bytes) {
   const auto refuse = [](const char* reason) { return std::unexpected(Rejection{reason}); };
   Proof out;
   MerkleHash hash;
   std::vector<MerkleRoot> pending;
   for (Reader reader(bytes); !reader.done();) {
      switch (reader.number<std::uint8_t>()) {
      case Token::hidden: {
         const ByteView subtree = reader.bytes(sizeof(MerkleRoot));
         if (subtree.size() < sizeof(MerkleRoot))
            return refuse("proof too short");
         MerkleRoot& top = pending.emplace_back();
         std::memcpy(top.data(), subtree.data(), top.size());
         if (top == MerkleRoot{})
            return refuse("proof with a subtree of nothing");
         out.hiddenBefore_.back() = true;
         break;
      }
      case Token::entry: {
         const ByteView key = reader.bytes(reader.number<std::uint32_t>());
         const ByteView value = reader.bytes(reader.number<std::uint32_t>());
         if (reader.failed())
            return refuse("proof too short");
         if (!out.entries_.empty() && compare(out.entries_.back().key, key) >= 0)
            return refuse("proof with keys out of order");
         pending.push_back(hash.entry(key, value));
         out.entries_.push_back({key, value});
         out.hiddenBefore_.push_back(false);
         break;
      }
      case Token::join: {
         if (pending.size() < 2)
            return refuse("proof that is no tree");
         const MerkleRoot right = pending.back();
         pending.pop_back();
         pending.back() = hash.join(pending.back(), right);
         break;
      }
      default:
         return refuse("proof with an unknown part");
      }
   }
   if (pending.size() > 1)
      return refuse("proof that is no tree");
   if ((pending.empty() ? MerkleRoot{} : pending.front()) != root)
      return refuse("proof for another root");
   return out;
}

bool Proof::complete(const KeyRange& range) const {
   for (std::size_t i = 0; i < hiddenBefore_.size(); ++i) {
      if (!hiddenBefore_[i])
         continue;
      // Whether a key between two neighbours can be in the range: the least there is.
      Bytes least = range.low;
      if (i > 0 && compare(entries_[i - 1].key, range.low) >= 0) {
         least = toBytes(entries_[i - 1].key);
         least.push_back(0);
      }
      if ((i == entries_.size() || compare(least, entries_[i].key) < 0) && range.contains(least))
         return false;
   }
   return true;
}

std::expected<std::optional<ByteView>, Rejection> Proof::get(ByteView key) const {
   const auto at = std::lower_bound(entries_.begin(), entries_.end(), key,
                                    [](const Entry& entry, ByteView wanted) { return compare(entry.key, wanted) < 0; });
   if (at != entries_.end() && same(at->key, key))
      return at->value;
   if (hiddenBefore_[static_cast<std::size_t>(at - entries_.begin())])
      return std::unexpected(Rejection{"proof that does not tell of this key"});
   return std::nullopt;
}

} // namespace polis::store

#pragma once
#include "base/mutex.hpp"
#include "format/chain.hpp"
#include "format/keys.hpp"
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace polis::node {

/// The keys that this node signs with: those in its folder, and one that the configuration names. What leaves it are
/// public keys and signatures, nothing else. Any thread.
class Keyring {
public:
   static constexpr std::size_t keysMax = 64;

   /// Reads `folder`, which need not exist. Throws Fault when a file in it holds no key.
   explicit Keyring(std::filesystem::path folder);

   /// Adds a key that is kept elsewhere, if it is not here yet.
   void add(format::PrivateKey key);
   /// Adds a key and writes it to the folder, readable for the node's user alone, before it returns. One that is there
   /// already stays as it is. Errors: there are `keysMax`; the file cannot be written.
   [[nodiscard]] std::expected<format::Claim, std::string> keep(const format::PrivateKey& key);
   /// What it can sign for, in the order in which keys came.
   std::vector<format::Claim> claims() const;
   /// The key that a claim speaks of, in whichever form.
   std::optional<format::PrivateKey> find(const format::Claim& claim) const;

private:
   struct Entry {
      format::PrivateKey key;
      Bytes spki;
   };
   std::filesystem::path folder_;
   Mutex keeping_; ///< held while a file is written; whoever signs does not wait for it
   mutable Mutex mutex_;
   std::vector<Entry> entries_ GUARDED_BY(mutex_);
};

} // namespace polis::node

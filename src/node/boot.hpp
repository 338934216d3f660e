#pragma once
#include "base/random.hpp"
#include "format/chain.hpp"
#include "node/package.hpp"
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

namespace polis::node {

struct BootOptions {
   format::AccountNumber producer;
   /// SPKI of the producer's key: signs blocks, and the producer account's transactions (auth-sig). None: no block is
   /// signed, and everybody may act as the producer account (auth-any).
   std::optional<Bytes> publicKey;
   /// Expiration of the boot transactions.
   format::TimePointSec expiration;
   /// Accounts that the first invitation is good for; 0: no invitation.
   std::uint16_t invitationAccounts = 0;
};

/// Transactions that make a chain (spec, services §5).
struct BootPlan {
   std::vector<format::SignedTransaction> first; ///< block 2
   std::vector<format::SignedTransaction> rest;  ///< in this order, until `transact::finishBoot`
   std::string invitationToken;                  ///< empty: none
};

/// packages: resolved, dependencies first. Errors: a package that the protocol needs is missing, a script that does not
/// fit its service's schema.
[[nodiscard]] std::expected<BootPlan, std::string> planBoot(const std::vector<Package>& packages,
                                                            const BootOptions& options, Random& random);

/// DevDefault if the folder has it, otherwise every package of network scope.
std::vector<std::string> defaultBootPackages(const PackageFolder& folder);

/// Contents as stored on a site: compressed where that pays.
struct StoredContent {
   std::optional<std::string> encoding;
   Bytes content;
};
StoredContent storedContent(const PackagedFile& file);

} // namespace polis::node

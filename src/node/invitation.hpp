#pragma once
#include "base/bytes.hpp"
#include "base/random.hpp"
#include "format/types.hpp"
#include <cstdint>
#include <string>

namespace polis::node {

/// An invitation that is still to be put on the chain (spec, client §2.5).
struct Invitation {
   std::uint32_t id = 0;
   format::Checksum256 fingerprint{}; ///< of the credential's key
   std::string secret;                ///< goes on the chain: the private key, encrypted
   std::string token;                 ///< goes into the link, and nowhere else
};

Invitation makeInvitation(Random& random);

/// The arguments of invite::createInvite, JSON. accounts: how many can be made with it.
std::string createInviteArguments(const Invitation& invitation, std::uint16_t accounts);

} // namespace polis::node

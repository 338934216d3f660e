// Blocks and transactions as clients of the protocol ask for them.
#pragma once

#include <polis/http.hpp>

namespace polis::services {

/// The answer to a GraphQL query; nothing for other requests.
std::optional<sdk::HttpReply> graphqlReply(const sdk::HttpRequest& request);

} // namespace polis::services

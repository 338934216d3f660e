// What is told where nothing answers: to people a page that says what to do, to programs a text.
#pragma once

#include <polis/http.hpp>

namespace polis::services {

using namespace polis::sdk;

/// Why nothing answered.
enum class Missing {
   page,    ///< the app is there, and has nothing at this path
   app,     ///< the account is there, and has no app
   account, ///< nobody has taken this name
   name,    ///< no account can have this name
};

struct MissingPage {
   Missing what = Missing::page;
   std::string_view host; ///< of the request
   std::string_view name; ///< the host's part before the root host
   std::string_view path;
   std::string rootUrl;
};

/// 404: HTML for who accepts it, JSON for who accepts that, else a text.
HttpReply missingReply(const MissingPage& page, std::string_view accept);

} // namespace polis::services

#pragma once
// For query services that answer plain JSON routes below /api/: parameters, each checked, and errors.

#include <polis/http.hpp>

#include <charconv>

namespace polis::sdk {

/// Rows in one reply, at most.
inline constexpr std::size_t apiRowsMax = 100;

struct ApiError {
   std::string error;
};

inline HttpReply apiError(std::uint16_t status, std::string_view text) {
   auto reply = jsonReply(ApiError{std::string(text)});
   reply.status = status;
   return reply;
}

/// An account name; nothing when absent or malformed.
inline std::optional<AccountNumber> accountParameter(const HttpRequest& request, std::string_view name) {
   const auto text = queryParameter(request, name);
   if (!text)
      return std::nullopt;
   const AccountNumber account{*text};
   if (!account || account.str() != *text)
      return std::nullopt;
   return account;
}

/// A decimal number; nothing when absent or malformed or out of range.
template <class T>
std::optional<T> numberParameter(const HttpRequest& request, std::string_view name) {
   const auto text = queryParameter(request, name);
   T value{};
   if (!text)
      return std::nullopt;
   const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
   if (error != std::errc() || end != text->data() + text->size())
      return std::nullopt;
   return value;
}

/// How many rows are wanted: 1…apiRowsMax; `usual` when not said or malformed.
inline std::size_t limitParameter(const HttpRequest& request, std::size_t usual = 25) {
   const auto wanted = numberParameter<std::uint32_t>(request, "limit");
   return wanted && *wanted ? std::min<std::size_t>(*wanted, apiRowsMax) : usual;
}

/// 64 hexadecimal digits.
inline std::optional<Checksum256> hashParameter(const HttpRequest& request, std::string_view name) {
   const auto text = queryParameter(request, name);
   Checksum256 hash{};
   if (!text || text->size() != 2 * hash.size())
      return std::nullopt;
   for (std::size_t i = 0; i < hash.size(); ++i) {
      const int high = hexDigit((*text)[2 * i]), low = hexDigit((*text)[2 * i + 1]);
      if ((high | low) < 0)
         return std::nullopt;
      hash[i] = static_cast<std::uint8_t>(high << 4 | low);
   }
   return hash;
}

} // namespace polis::sdk

/// Declares the class of a query service: `POLIS_QUERY_SERVICE(TokensQuery, Tokens::account)`; its one action serveSys
/// is then defined in the same file.
#define POLIS_QUERY_SERVICE(Class, base)                                                                               \
   class Class : public ::polis::sdk::Service {                                                                        \
   public:                                                                                                             \
      static constexpr ::polis::sdk::AccountNumber account{(base).value + 1};                                          \
      std::optional<::polis::sdk::HttpReply> serveSys(::polis::sdk::HttpRequest request,                               \
                                                      std::optional<std::int32_t> socket,                              \
                                                      std::optional<::polis::sdk::AccountNumber> user);                \
   };                                                                                                                  \
   POLIS_SERVICE(Class, action(serveSys, request, socket, user))

#pragma once

#include "format/chain.hpp"
#include "format/fracpack.hpp"
#include "format/keys.hpp"
#include "format/names.hpp"
#include "harness/http_load.hpp"

#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace polis::harness {

/// An argument that is a structure in the protocol.
struct Quantity {
   std::uint64_t value = 0;
};

/// Packs an action; the arguments are packed in order, as they are.
template <class... Args>
format::Action action(std::string_view sender, std::string_view service, std::string_view method, Args... args) {
   return {.sender = format::AccountNumber{sender},
           .service = format::AccountNumber{service},
           .method = format::MethodNumber{method},
           .rawData = format::pack(std::tuple<Args...>{std::move(args)...})};
}

/// A person's view of one node on loopback: packs, signs, pushes.
class ChainClient {
public:
   /// patience: longest silence of the node; zero: any.
   explicit ChainClient(std::uint16_t port, std::chrono::milliseconds patience = {})
      : port_(port), patience_(patience) {}

   /// The Host header of a service.
   std::string host(std::string_view service) const;
   Answer get(std::string_view service, const std::string& target) const;
   Answer post(std::string_view service, const std::string& target, ByteView body,
               const std::string& contentType) const;

   /// TaPoS of the newest block, expiring in `seconds`. Throws std::runtime_error.
   format::Tapos tapos(std::int64_t seconds = 600) const;

   /// A transaction of these actions, packed; with a key, signed and with its claim.
   Bytes transaction(std::vector<format::Action> actions, const format::PrivateKey* key = nullptr) const;
   static Bytes signedBytes(const format::Transaction& transaction, const format::PrivateKey* key);

   /// Pushes packed bytes. waitFor: `applied` or `final`.
   Answer push(ByteView signedTransaction, const std::string& waitFor = "applied") const;
   /// Pushes, waits until it is irreversible, and throws std::runtime_error with the node's answer unless it succeeded.
   void mustPush(std::vector<format::Action> actions, const format::PrivateKey* key = nullptr) const;
   RawRequest pushRequest(ByteView signedTransaction, const std::string& waitFor) const;

   /// A 200 whose trace has no error.
   static bool succeeded(const Answer& answer);

private:
   std::uint16_t port_;
   std::chrono::milliseconds patience_;
};

} // namespace polis::harness

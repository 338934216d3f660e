#include "harness/chain_client.hpp"

#include "format/hash.hpp"
#include "format/ids.hpp"

#include <chrono>
#include <cstdio>
#include <stdexcept>

namespace polis::harness {

using namespace format::literals;

namespace {
constexpr auto octets = "application/octet-stream";
}

std::string ChainClient::host(std::string_view service) const {
   return std::string(service) + ".polis.localhost:" + std::to_string(port_);
}

Answer ChainClient::get(std::string_view service, const std::string& target) const {
   return request(port_, host(service), "GET", target, {}, {}, patience_);
}

Answer ChainClient::post(std::string_view service, const std::string& target, ByteView body,
                         const std::string& contentType) const {
   return request(port_, host(service), "POST", target, body, contentType, patience_);
}

format::Tapos ChainClient::tapos(std::int64_t seconds) const {
   const auto head = get("transact", "/common/tapos/head");
   unsigned index = 0;
   unsigned suffix = 0;
   if (head.status != 200 ||
       std::sscanf(head.body.c_str(), R"({"refBlockIndex":%u,"refBlockSuffix":%u})", &index, &suffix) != 2)
      throw std::runtime_error("unexpected answer to /common/tapos/head: " + head.body);
   const auto now = std::chrono::system_clock::now().time_since_epoch();
   format::Tapos tapos;
   tapos.refBlockIndex = static_cast<std::uint8_t>(index);
   tapos.refBlockSuffix = suffix;
   tapos.expiration.seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count() + seconds;
   return tapos;
}

Bytes ChainClient::signedBytes(const format::Transaction& transaction, const format::PrivateKey* key) {
   format::SignedTransaction result;
   result.transaction = format::Nested<format::Transaction>{transaction};
   if (key) {
      const auto signature = key->sign(format::transactionId(result));
      result.proofs.emplace_back(signature.begin(), signature.end());
   }
   return format::pack(result);
}

Bytes ChainClient::transaction(std::vector<format::Action> actions, const format::PrivateKey* key) const {
   format::Transaction result;
   result.tapos = tapos();
   result.actions = std::move(actions);
   if (key)
      result.claims.push_back({.service = "verify-sig"_a, .rawData = key->publicKey().spki()});
   return signedBytes(result, key);
}

Answer ChainClient::push(ByteView signedTransaction, const std::string& waitFor) const {
   return post("transact", "/push_transaction?wait_for=" + waitFor, signedTransaction, octets);
}

void ChainClient::mustPush(std::vector<format::Action> actions, const format::PrivateKey* key) const {
   const auto answer = push(transaction(std::move(actions), key), "final");
   if (!succeeded(answer))
      throw std::runtime_error("the push failed: " + std::to_string(answer.status) + " " +
                               answer.body.substr(answer.body.size() > 800 ? answer.body.size() - 800 : 0));
}

RawRequest ChainClient::pushRequest(ByteView signedTransaction, const std::string& waitFor) const {
   return rawRequest(host("transact"), "POST", "/push_transaction?wait_for=" + waitFor, signedTransaction, octets);
}

bool ChainClient::succeeded(const Answer& answer) {
   return answer.status == 200 && answer.body.ends_with("\"error\":null}");
}

} // namespace polis::harness

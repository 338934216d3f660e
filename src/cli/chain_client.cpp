#include "cli/chain_client.hpp"
#include "base/clock.hpp"
#include "base/fault.hpp"
#include "base/random.hpp"
#include "cli/advice.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "format/json.hpp"
#include "node/package.hpp"
#include <array>
#include <cstdlib>
#include <iostream>
#include <sys/stat.h>

namespace polis::cli {

namespace {

using namespace format::literals;

/// Two transactions that are equal in all, time too, are one and the same to the chain. Each gets a lifetime of its own
/// within these bounds, so that the same may be pushed twice in a row. Where several nodes make blocks, that something
/// has failed is certain only when its time is over, so it is no longer than needed.
constexpr std::uint32_t lifetimeMinSeconds = 30, lifetimeMaxSeconds = 45;

struct TaposHead {
   std::uint8_t refBlockIndex = 0;
   std::uint32_t refBlockSuffix = 0;
};

} // namespace

void addCommon(CLI::App& command, Common& common) {
   common.url = defaultUrl();
   command.add_option("-u,--url", common.url, "Address of the root host (also POLIS_URL)")
       ->type_name("URL")
       ->capture_default_str();
   command.add_option("--trust", common.trustFile, "Certificates (PEM) to trust besides the system's")
       ->type_name("FILE");
   command.add_flag("--json", common.json, "Print JSON");
}

std::string defaultUrl() {
   for (const char* name : {"POLIS_URL", "PSINODE_URL"})
      if (const char* value = std::getenv(name); value && *value)
         return value;
   return "http://polis.localhost:8080/";
}

std::vector<format::PrivateKey> readKeys(const std::vector<std::string>& files) {
   std::vector<format::PrivateKey> keys;
   for (const auto& file : files) {
      struct stat info{};
      if (::stat(file.c_str(), &info) == 0 && (info.st_mode & 077) != 0)
         std::cerr << "warning: " << file << " can be read by others; chmod 600 it\n";
      constexpr std::uint64_t keyBytesMax = 64 * 1024;
      const Bytes text = node::readFile(file, keyBytesMax);
      auto key = format::PrivateKey::fromPem(asText(text));
      if (!key)
         key = format::PrivateKey::fromDer(text);
      if (!key)
         throw Fault(file + " holds no private key. Make one with: polis key " + file);
      keys.push_back(std::move(*key));
   }
   return keys;
}

format::AccountNumber parseAccount(const std::string& name) {
   const format::AccountNumber account{std::string_view(name)};
   if (account.value == 0 || account.str() != name)
      throw Fault(
          "'" + name +
          "' is not an account name: at most 10 of a-z, 0-9 and -, which is neither first nor last nor doubled");
   return account;
}

std::string percentEncoded(std::string_view text) {
   static constexpr char digits[] = "0123456789ABCDEF";
   std::string out;
   for (const char c : text) {
      const auto byte = static_cast<std::uint8_t>(c);
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
         out += c;
      else
         ((out += '%') += digits[byte >> 4]) += digits[byte & 15];
   }
   return out;
}

std::string replyText(const format::HttpReply& reply) {
   constexpr std::size_t textMax = 2000;
   std::string text(asText(reply.body).substr(0, textMax));
   while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
      text.pop_back();
   return text.empty() ? "status " + std::to_string(reply.status) : text;
}

void printTrace(const format::TransactionTrace& trace, const Common& common) {
   if (common.json)
      std::cout << format::toJson(trace) << "\n";
}

ChainClient::ChainClient(const Common& common)
   : client_(http::Client::Options{.timeoutMs = 120'000, .trustFile = common.trustFile}) {
   auto url = http::parseUrl(common.url);
   if (!url)
      throw Fault("'" + common.url + "' is not an address. Write, for example, --url http://polis.localhost:8080/");
   root_ = std::move(*url);
   root_.target = "/";
}

format::HttpReply ChainClient::send(std::string_view subdomain, const std::string& target,
                                    format::HttpRequest request) {
   http::Url url = root_.subdomain(subdomain);
   url.target = target;
   try {
      return client_.send(url, std::move(request));
   } catch (const Fault& fault) {
      throw Fault(std::string(fault.what()) +
                  "\nIs the node running? Start one with ./run (or polis node), or name its address: "
                  "--url http://polis.localhost:9000/, or POLIS_URL");
   }
}

format::HttpReply ChainClient::ask(std::string_view subdomain, const std::string& target) {
   format::HttpRequest request;
   request.method = "GET";
   auto reply = send(subdomain, target, std::move(request));
   if (reply.status == 302)
      throw Fault("The node at " + root_.origin() +
                  " has no chain yet, or serves another host. Start a chain with: polis boot --url " + root_.origin());
   return reply;
}

format::HttpReply ChainClient::get(std::string_view subdomain, const std::string& target) {
   auto reply = ask(subdomain, target);
   if (reply.status != 200)
      throw Fault("GET " + root_.subdomain(subdomain).origin() + target + ": " + replyText(reply));
   return reply;
}

format::Tapos ChainClient::tapos(std::uint32_t secondsToLive) {
   const auto reply = get("transact", "/common/tapos/head");
   const auto head = format::fromJson<TaposHead>(asText(reply.body));
   if (!head)
      throw Fault("The node's answer to /common/tapos/head cannot be read: " + head.error().message);
   format::Tapos result;
   result.expiration.seconds = SystemClock().realtimeNs() / 1'000'000'000 + secondsToLive;
   result.refBlockIndex = head->refBlockIndex;
   result.refBlockSuffix = head->refBlockSuffix;
   return result;
}

const node::ActionPacker& ChainClient::schemas(format::AccountNumber service) {
   if (packer_.knows(service))
      return packer_;
   const auto reply = ask("packages", "/schema?service=" + percentEncoded(service.str()));
   if (reply.status == 404)
      throw Fault("There is no service " + service.str() +
                  " on this chain, or none with a schema. Install its package: polis install FILE.psi\n"
                  "What is there: polis query packages /api/installed");
   if (reply.status != 200)
      throw Fault("The schema of " + service.str() + " cannot be had: " + replyText(reply));
   auto schema = format::fromJson<format::ServiceSchema>(asText(reply.body));
   if (!schema)
      throw Fault("The schema of " + service.str() + " cannot be read: " + schema.error().message);
   schema->service = service;
   if (auto added = packer_.add(*schema); !added)
      throw Fault(added.error());
   return packer_;
}

bool ChainClient::accountExists(format::AccountNumber account) {
   return ask("accounts", "/api/account?name=" + percentEncoded(account.str())).status == 200;
}

format::TransactionTrace ChainClient::push(std::vector<format::Action> actions,
                                           const std::vector<format::PrivateKey>& keys, WaitFor waitFor) {
   format::Transaction transaction;
   transaction.tapos =
       tapos(lifetimeMinSeconds +
             static_cast<std::uint32_t>(SystemRandom().next64() % (lifetimeMaxSeconds - lifetimeMinSeconds)));
   transaction.actions = std::move(actions);
   for (const auto& key : keys)
      transaction.claims.push_back({"verify-sig"_a, key.publicKey().spki()});
   format::SignedTransaction signed_;
   signed_.transaction = format::Nested<format::Transaction>(transaction);
   const auto id = format::sha256(signed_.transaction.packed);
   for (const auto& key : keys) {
      const auto signature = key.sign(id);
      signed_.proofs.emplace_back(signature.begin(), signature.end());
   }
   format::HttpRequest request;
   request.method = "POST";
   request.contentType = "application/octet-stream";
   request.headers.push_back({"Accept", "application/octet-stream"});
   request.body = format::pack(signed_);
   static constexpr std::array<std::string_view, 3> waits = {"none", "applied", "final"};
   const auto reply = send(
       "transact", std::string("/push_transaction?wait_for=") + std::string(waits[static_cast<std::size_t>(waitFor)]),
       std::move(request));
   const std::string sender = transaction.actions.empty() ? "" : transaction.actions.front().sender.str();
   const auto refused = [&](std::string_view error) {
      return Fault(explained({.error = error, .sender = sender, .hasKeys = !keys.empty()}));
   };
   if (reply.status == 202 && waitFor == WaitFor::none)
      return {};
   if (reply.status == 504) // what has become of it is not known
      throw Fault(replyText(reply));
   if (reply.status != 200)
      throw refused(replyText(reply));
   auto trace = format::unpack<format::TransactionTrace>(reply.body);
   if (!trace)
      throw Fault("The node's answer to the transaction cannot be read.");
   if (trace->error && !trace->error->empty())
      throw refused(*trace->error);
   return std::move(*trace);
}

} // namespace polis::cli

#include "node/native_endpoints.hpp"
#include "format/fracpack.hpp"
#include "format/json.hpp"
#include "http/reply_writer.hpp"
#include "node/version.hpp"
#include <algorithm>

namespace polis::node {

namespace {

const std::string* header(const format::HttpRequest& request, std::string_view name) {
   for (const auto& h : request.headers)
      if (http::equalsIgnoringCase(h.name, name))
         return &h.value;
   return nullptr;
}

/// The media type without parameters, in lower case.
std::string mediaType(const format::HttpRequest& request) {
   std::string type = request.contentType.substr(0, request.contentType.find(';'));
   while (type.ends_with(' '))
      type.pop_back();
   std::ranges::transform(type, type.begin(),
                          [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
   return type;
}

format::HttpReply json(std::string text) {
   format::HttpReply reply;
   reply.contentType = "application/json";
   reply.body = toBytes(text);
   reply.headers.push_back({"Cache-Control", "no-store"});
   return reply;
}

format::HttpReply notAllowed(std::string_view methods) {
   auto reply = http::textReply(405, "This address takes " + std::string(methods) + ".");
   reply.headers.push_back({"Allow", std::string(methods)});
   return reply;
}

format::HttpReply foreignPage() {
   return http::textReply(400, "Another page may not do this: the Origin is not this address.");
}

void writeBlock(format::JsonWriter& writer, const kernel::BlockState& block) {
   writer.beginObject();
   writer.key("num");
   writer.integer(block.num);
   writer.key("id");
   writer.hex(block.id);
   writer.key("time");
   if (block.header)
      writer.string(format::timeText(block.header->time));
   else
      writer.null();
   writer.endObject();
}

struct BootRequest {
   std::vector<std::string> packages{};
   std::optional<format::Claim> key{};
};

struct SnapshotRequest {
   std::optional<std::uint32_t> block{}; ///< absent: the newest irreversible one
   bool compress = false;
};

struct KeyRequest {
   format::AccountNumber service{};
   std::optional<Bytes> rawData{}; ///< of a private key, DER; absent: make one
   std::optional<std::string> device{};
};

struct ProducersAnswer {
   std::vector<format::Producer> chain{}; ///< present ones, and those of a change under way
   /// By whom alone, and how, the newest irreversible block was agreed on; none while that changes.
   std::optional<format::ConsensusData> inForce{};
   std::vector<peer::Introduction> nodes{};
};

constexpr format::AccountNumber verifySig{std::string_view("verify-sig")};

} // namespace

bool isSameOrigin(const format::HttpRequest& request, bool tls) {
   const auto* origin = header(request, "Origin");
   if (!origin)
      return true;
   const auto* host = header(request, "Host");
   if (!host)
      return false;
   // Behind a proxy that ends TLS the page's own address is https.
   return http::equalsIgnoringCase(*origin, "https://" + *host) ||
          (!tls && http::equalsIgnoringCase(*origin, "http://" + *host));
}

void NativeEndpoints::serve(const std::shared_ptr<http::Exchange>& exchange, const format::HttpRequest& request) {
   const std::string path = request.target.substr(0, request.target.find('?'));
   const bool get = request.method == "GET" || request.method == "HEAD";
   const bool ownPage = isSameOrigin(request, exchange->peer().tls);
   format::HttpReply reply;
   if (path == "/native/admin/status") {
      reply = get ? status() : notAllowed("GET");
   } else if (path == "/native/admin/chain") {
      reply = get ? chain() : notAllowed("GET");
   } else if (path == "/native/admin/producers") {
      reply = get ? producers() : notAllowed("GET");
   } else if (path == "/native/admin/metrics") {
      if (get) {
         reply.contentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";
         reply.body = toBytes(control_.metrics());
      } else
         reply = notAllowed("GET");
   } else if (path == "/native/admin/perf") {
      reply = get ? json(format::toJson(control_.performance())) : notAllowed("GET");
   } else if (path == "/native/admin/log") {
      if (!get)
         reply = notAllowed("GET");
      else if (!ownPage)
         reply = foreignPage();
      else
         return control_.logFeed().follow(exchange, request);
   } else if (path == "/native/admin/keys") {
      if (get)
         reply = json(format::toJson(control_.keyring().claims()));
      else if (request.method != "POST")
         reply = notAllowed("GET, POST");
      else
         reply = ownPage ? addKey(request) : foreignPage();
   } else if (path == "/native/admin/keys/devices") {
      reply = get ? json("[]") : notAllowed("GET");
   } else if (path == "/native/admin/keys/unlock" || path == "/native/admin/keys/lock") {
      reply = request.method == "POST" ? http::textReply(404, "This node knows no devices that hold keys.")
                                       : notAllowed("POST");
   } else if (path == "/native/admin/snapshot") {
      if (request.method != "POST")
         reply = notAllowed("POST");
      else
         reply = ownPage ? snapshot(request) : foreignPage();
   } else if (path == "/native/admin/push_boot" || path == "/native/admin/boot") {
      if (request.method != "POST")
         reply = notAllowed("POST");
      else if (!ownPage)
         reply = foreignPage();
      else
         return path == "/native/admin/boot" ? boot(exchange, request) : pushBoot(exchange, request);
   } else {
      reply = http::textReply(404, "There is nothing at " + path + ".");
   }
   (void)exchange->reply(std::move(reply));
}

format::HttpReply NativeEndpoints::status() const {
   std::vector<std::string> words;
   if (control_.starting())
      words.push_back("startup");
   if (control_.stopping())
      words.push_back("shutdown");
   if (!control_.kernel().hasChain())
      words.push_back("needgenesis");
   return json(format::toJson(words));
}

format::HttpReply NativeEndpoints::addKey(const format::HttpRequest& request) {
   if (mediaType(request) != "application/json")
      return http::textReply(415, "What key is wanted is sent as application/json.");
   auto wanted = format::fromJson<KeyRequest>(asText(request.body));
   if (!wanted)
      return http::textReply(400, "Malformed request: " + wanted.error().message + ".");
   if (wanted->device)
      return http::textReply(400, "This node knows no devices that hold keys.");
   if (wanted->service != verifySig)
      return http::textReply(400, "The keys of this node are for the service verify-sig.");
   auto key =
       wanted->rawData ? format::PrivateKey::fromDer(*wanted->rawData) : std::optional(format::PrivateKey::generate());
   if (!key)
      return http::textReply(400, "rawData is no private key: PKCS #8 or SEC 1, DER, curve P-256 or secp256k1.");
   const auto kept = control_.keyring().keep(*key);
   return kept ? json(format::toJson(*kept)) : http::textReply(500, kept.error());
}

format::HttpReply NativeEndpoints::snapshot(const format::HttpRequest& request) {
   if (mediaType(request) != "application/json")
      return http::textReply(415, "What snapshot is wanted is sent as application/json.");
   const auto wanted = format::fromJson<SnapshotRequest>(asText(request.body));
   if (!wanted)
      return http::textReply(400, "Malformed request: " + wanted.error().message + ".");
   const auto made = control_.makeSnapshot(wanted->block, wanted->compress);
   return made ? json(format::toJson(*made)) : http::textReply(500, made.error());
}

format::HttpReply NativeEndpoints::chain() const {
   auto& kernel = control_.kernel();
   std::string out;
   format::JsonWriter writer(out);
   writer.beginObject();
   writer.key("chainId");
   if (kernel.hasChain())
      writer.hex(kernel.chainId());
   else
      writer.null();
   writer.key("head");
   writeBlock(writer, *kernel.head());
   writer.key("irreversible");
   writeBlock(writer, *kernel.irreversible());
   writer.key("producer");
   writer.string(control_.producer().value ? control_.producer().str() : "");
   writer.key("peers");
   format::writeJson(writer, control_.neighbourUrls());
   writer.key("signs");
   if (const auto key = control_.signingKey())
      format::writeJson(writer, format::Claim{verifySig, key->publicKey().spki()});
   else
      writer.null();
   writer.key("unguarded");
   writer.boolean(control_.unguarded());
   writer.key("version");
   writer.string(version);
   writer.endObject();
   return json(std::move(out));
}

format::HttpReply NativeEndpoints::producers() const {
   ProducersAnswer answer;
   answer.nodes = control_.introductions();
   const auto add = [&](const format::Consensus& set) {
      std::visit(
          [&](const auto& data) {
             answer.chain.insert(answer.chain.end(), data.producers.begin(), data.producers.end());
          },
          set.data);
   };
   const auto head = control_.kernel().head(), irreversible = control_.kernel().irreversible();
   add(head->status.consensus.current);
   if (const auto& next = head->status.consensus.next)
      add(next->consensus);
   if (!irreversible->status.consensus.next)
      answer.inForce = irreversible->status.consensus.current.data;
   return json(format::toJson(answer));
}

void NativeEndpoints::pushBoot(const std::shared_ptr<http::Exchange>& exchange, const format::HttpRequest& request) {
   const auto type = mediaType(request);
   if (!type.empty() && type != "application/octet-stream") {
      (void)exchange->reply(http::textReply(415, "Boot transactions are sent as application/octet-stream."));
      return;
   }
   auto transactions = format::unpackStrict<std::vector<format::SignedTransaction>>(request.body);
   if (!transactions) {
      (void)exchange->reply(http::textReply(400, "The body is not a packed list of signed transactions."));
      return;
   }
   control_.pushBoot(std::move(*transactions),
                     [exchange](std::expected<format::TransactionTrace, kernel::Rejection> result) {
                        if (result)
                           (void)exchange->reply(json(format::toJson(*result)));
                        else
                           (void)exchange->reply(http::textReply(500, result.error().reason));
                     });
}

void NativeEndpoints::boot(const std::shared_ptr<http::Exchange>& exchange, const format::HttpRequest& request) {
   if (mediaType(request) != "application/json") {
      (void)exchange->reply(http::textReply(415, "What to boot is sent as application/json."));
      return;
   }
   auto wanted = format::fromJson<BootRequest>(asText(request.body));
   if (!wanted) {
      (void)exchange->reply(http::textReply(400, "Malformed request: " + wanted.error().message + "."));
      return;
   }
   const auto done = [exchange](std::expected<std::string, std::string> result) {
      if (!result) {
         (void)exchange->reply(http::textReply(500, result.error()));
         return;
      }
      std::string out;
      format::JsonWriter writer(out);
      writer.beginObject();
      writer.key("invitation");
      if (result->empty())
         writer.null();
      else
         writer.string(*result);
      writer.endObject();
      (void)exchange->reply(json(std::move(out)));
   };
   control_.bootFromPackages(std::move(wanted->packages), std::move(wanted->key), done);
}

} // namespace polis::node

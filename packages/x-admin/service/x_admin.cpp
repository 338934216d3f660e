#include "x_admin.hpp"

#include "http/service/http.hpp"
#include "transact/query/transact_query.hpp"
#include "x-http/service/x_http.hpp"

#include <algorithm>
#include <charconv>

namespace polis::services {

namespace {

std::optional<std::string> environment(std::string_view name) {
   return subjectively([&]() -> std::optional<std::string> {
      auto row = native::get<EnvRow>(Db::nativeSession, native::envTable, name);
      return row ? std::optional(std::move(row->value)) : std::nullopt;
   });
}

std::optional<HostConfigRow> hostConfig() {
   return subjectively([] { return native::get<HostConfigRow>(Db::nativeSession, native::hostConfigTable); });
}

// --- JSON --------------------------------------------------------------------------------------------------------

/// Calls `visit(key)` with the reader at each member's value; `visit` moves behind it. False: not an object.
template <class F>
bool forEachMember(JsonReader& reader, F&& visit) {
   if (!reader.expect(JsonToken::beginObject, "{"))
      return false;
   while (reader.token() == JsonToken::key) {
      const std::string name(reader.text());
      reader.advance();
      if (!visit(name))
         return false;
   }
   return reader.expect(JsonToken::endObject, "}");
}

/// A list of texts, or one text.
bool readTexts(JsonReader& reader, std::vector<std::string>& out) {
   if (reader.token() == JsonToken::string) {
      out.emplace_back(reader.text());
      reader.advance();
      return true;
   }
   std::vector<std::string> more;
   if (!readJson(reader, more))
      return false;
   out.insert(out.end(), more.begin(), more.end());
   return true;
}

void applyOption(AdminOptions& options, std::string_view name, std::string_view value) {
   if (name == "host" || name == "hosts" || name == "o")
      options.hosts.emplace_back(value);
   else if (name == "peer" || name == "peers")
      options.peers.emplace_back(value);
   else if (name == "p2p")
      options.p2p = value.empty() || value == "true" || value == "1" || value == "yes" || value == "on";
   else
      abortMessage("unknown option: " + std::string(name));
}

bool takesValue(std::string_view name) { return name != "p2p"; }

/// Command line of the node as far as it is not the node's own: `--host x`, `--host=x`, `-o x`, `--p2p`.
void applyArguments(AdminOptions& options, const std::vector<std::string>& arguments) {
   for (std::size_t i = 0; i < arguments.size(); ++i) {
      std::string_view argument = arguments[i];
      if (argument.starts_with("--"))
         argument.remove_prefix(2);
      else if (argument.starts_with("-"))
         argument.remove_prefix(1);
      if (const auto equals = argument.find('='); equals != std::string_view::npos)
         applyOption(options, argument.substr(0, equals), argument.substr(equals + 1));
      else if (takesValue(argument)) {
         check(i + 1 < arguments.size(), "option without a value: " + std::string(argument));
         applyOption(options, argument, arguments[++i]);
      } else
         applyOption(options, argument, "");
   }
}

/// Lines `name = value` of a configuration file.
void applyLines(AdminOptions& options, std::string_view text) {
   auto trim = [](std::string_view part) {
      while (!part.empty() && (part.front() == ' ' || part.front() == '\t' || part.front() == '\r'))
         part.remove_prefix(1);
      while (!part.empty() && (part.back() == ' ' || part.back() == '\t' || part.back() == '\r'))
         part.remove_suffix(1);
      return part;
   };
   while (!text.empty()) {
      const auto line = trim(text.substr(0, text.find('\n')));
      text.remove_prefix(
          std::min(text.size(), text.find('\n') == std::string_view::npos ? text.size() : text.find('\n') + 1));
      if (line.empty() || line.front() == '#')
         continue;
      const auto equals = line.find('=');
      applyOption(options, trim(line.substr(0, equals)),
                  equals == std::string_view::npos ? std::string_view() : trim(line.substr(equals + 1)));
   }
}

/// {"host": {…}, "service": {"argv": […], "config": {…} or text}}. Suites for the protocol name their hosts in the
/// first.
AdminOptions parseOptions(std::string_view json) {
   AdminOptions options;
   std::vector<std::string> arguments;
   JsonReader reader(json);
   const bool good = forEachMember(reader, [&](std::string_view name) {
      if (name == "host")
         return forEachMember(reader, [&](std::string_view part) {
            if (part == "hosts")
               return readTexts(reader, options.hosts);
            reader.skip();
            return true;
         });
      if (name != "service") {
         reader.skip();
         return true;
      }
      return forEachMember(reader, [&](std::string_view part) {
         if (part == "argv")
            return readTexts(reader, arguments);
         if (part != "config") {
            reader.skip();
            return true;
         }
         if (reader.token() == JsonToken::string) {
            applyLines(options, reader.text());
            reader.advance();
            return true;
         }
         if (reader.token() == JsonToken::null) {
            reader.advance();
            return true;
         }
         return forEachMember(reader, [&](std::string_view option) {
            if (option == "p2p" && reader.token() == JsonToken::boolean)
               return readJson(reader, options.p2p);
            if (option == "host" || option == "hosts")
               return readTexts(reader, options.hosts);
            if (option == "peer" || option == "peers")
               return readTexts(reader, options.peers);
            reader.skip();
            return true;
         });
      });
   });
   check(good, "malformed node configuration: " + reader.error().message);
   applyArguments(options, arguments);
   std::vector<std::string> hosts;
   for (auto& host : options.hosts)
      if (std::find(hosts.begin(), hosts.end(), host) == hosts.end())
         hosts.push_back(std::move(host));
   options.hosts = std::move(hosts);
   return options;
}

/// The names under which the protocol shows host settings and keeps them differ in one.
std::string_view shownName(std::string_view name) { return name == "pkcs11_modules" ? "pkcs11-modules" : name; }
std::string_view keptName(std::string_view name) { return name == "pkcs11-modules" ? "pkcs11_modules" : name; }

HttpReply getConfig() {
   const auto row = hostConfig();
   std::string out;
   JsonWriter writer(out);
   writer.beginObject();
   const auto options = to<XAdmin>().options();
   writer.key("p2p");
   writer.boolean(options.p2p);
   writer.key("peers");
   writeJson(writer, options.peers);
   writer.key("hosts");
   writeJson(writer, options.hosts);
   if (row) {
      JsonReader reader(row->config);
      forEachMember(reader, [&](std::string_view name) {
         if (name != "host") {
            reader.skip();
            return true;
         }
         return forEachMember(reader, [&](std::string_view member) {
            if (member == "hosts") { // among the others already
               reader.skip();
               return true;
            }
            writer.key(shownName(member));
            return copyJson(reader, writer);
         });
      });
   }
   writer.endObject();
   return httpReply(200, "application/json", out);
}

HttpReply putConfig(const HttpRequest& request) {
   if (mediaTypeOf(request) != "application/json")
      return httpReply(415, "text/html", "Content-Type must be application/json\n");
   AdminOptions options;
   std::string hostPart;
   JsonWriter host(hostPart);
   host.beginObject();
   JsonReader reader(asText(request.body));
   const bool good = forEachMember(reader, [&](std::string_view name) {
      if (name == "p2p")
         return readJson(reader, options.p2p);
      if (name == "peers")
         return readJson(reader, options.peers);
      if (name == "hosts")
         return readJson(reader, options.hosts);
      host.key(keptName(name));
      return copyJson(reader, host);
   });
   host.endObject();
   if (!good)
      return httpReply(400, "text/html", "malformed configuration: " + reader.error().message + "\n");
   std::string config;
   JsonWriter writer(config);
   writer.beginObject();
   writer.key("host");
   writer.raw(hostPart);
   writer.key("service");
   writer.beginObject();
   writer.key("argv");
   writer.beginArray();
   writer.endArray();
   writer.key("config");
   writer.beginObject();
   writer.key("host");
   writeJson(writer, options.hosts);
   writer.key("peer");
   writeJson(writer, options.peers);
   writer.key("p2p");
   writer.boolean(options.p2p);
   writer.endObject();
   writer.endObject();
   writer.endObject();
   subjectively([&] {
      auto row = native::get<HostConfigRow>(Db::nativeSession, native::hostConfigTable);
      if (!row)
         row.emplace();
      row->config = config;
      native::put(Db::nativeSession, native::hostConfigTable, *row);
      open<XAdmin::Options>(Mode::readWrite).put(options);
   });
   return httpReply(200, "text/html", "");
}

// --- Who asks --------------------------------------------------------------------------------------------------------

using Address = std::array<std::uint8_t, 16>; ///< IPv4 as ::ffff:a.b.c.d

Address mapped(const std::uint8_t* v4) {
   Address out{};
   out[10] = out[11] = 0xFF;
   for (std::size_t i = 0; i < 4; ++i)
      out[12 + i] = v4[i];
   return out;
}

std::optional<Address> parseV4(std::string_view text) {
   std::uint8_t parts[4];
   for (std::size_t i = 0; i < 4; ++i) {
      unsigned value = 256;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc{} || value > 255)
         return std::nullopt;
      parts[i] = static_cast<std::uint8_t>(value);
      text.remove_prefix(static_cast<std::size_t>(end - text.data()));
      if (i < 3) {
         if (!text.starts_with('.'))
            return std::nullopt;
         text.remove_prefix(1);
      }
   }
   return text.empty() ? std::optional(mapped(parts)) : std::nullopt;
}

std::optional<Address> parseV6(std::string_view text) {
   std::vector<std::uint16_t> head, tail;
   bool gap = false;
   if (text.starts_with("::")) {
      gap = true;
      text.remove_prefix(2);
   }
   while (!text.empty()) {
      if (const auto v4 = parseV4(text)) {
         auto& list = gap ? tail : head;
         list.push_back(static_cast<std::uint16_t>((*v4)[12] << 8 | (*v4)[13]));
         list.push_back(static_cast<std::uint16_t>((*v4)[14] << 8 | (*v4)[15]));
         break;
      }
      unsigned value = 0x10000;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
      if (error != std::errc{} || value > 0xFFFF)
         return std::nullopt;
      (gap ? tail : head).push_back(static_cast<std::uint16_t>(value));
      text.remove_prefix(static_cast<std::size_t>(end - text.data()));
      if (text.empty())
         break;
      if (text.starts_with("::") && !gap) {
         gap = true;
         text.remove_prefix(2);
      } else if (text.starts_with(':') && text.size() > 1)
         text.remove_prefix(1);
      else
         return std::nullopt;
   }
   if (head.size() + tail.size() > 8 || (!gap && head.size() != 8))
      return std::nullopt;
   Address out{};
   for (std::size_t i = 0; i < head.size(); ++i) {
      out[2 * i] = static_cast<std::uint8_t>(head[i] >> 8);
      out[2 * i + 1] = static_cast<std::uint8_t>(head[i]);
   }
   for (std::size_t i = 0; i < tail.size(); ++i) {
      const auto at = 16 - 2 * tail.size() + 2 * i;
      out[at] = static_cast<std::uint8_t>(tail[i] >> 8);
      out[at + 1] = static_cast<std::uint8_t>(tail[i]);
   }
   return out;
}

std::string_view trimmed(std::string_view text) {
   while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '"'))
      text.remove_prefix(1);
   while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '"'))
      text.remove_suffix(1);
   return text;
}

/// An address, with or without port and brackets.
std::optional<Address> parseAddress(std::string_view text) {
   text = trimmed(text);
   if (text.starts_with('[')) {
      const auto end = text.find(']');
      if (end == std::string_view::npos)
         return std::nullopt;
      return parseV6(text.substr(1, end - 1));
   }
   if (const auto colon = text.find(':');
       colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos)
      text = text.substr(0, colon);
   if (auto v4 = parseV4(text))
      return v4;
   return parseV6(text);
}

bool inNetwork(const Address& address, std::string_view network) {
   const auto slash = network.find('/');
   const auto base = parseAddress(network.substr(0, slash));
   if (!base)
      return false;
   const bool isV4 = network.find(':') == std::string_view::npos;
   unsigned bits = 128;
   if (slash != std::string_view::npos) {
      const auto text = trimmed(network.substr(slash + 1));
      unsigned given = 0;
      if (std::from_chars(text.data(), text.data() + text.size(), given).ec != std::errc{} ||
          given > (isV4 ? 32u : 128u))
         return false;
      bits = isV4 ? given + 96 : given;
   }
   for (unsigned i = 0; i < bits; ++i)
      if (((address[i / 8] ^ (*base)[i / 8]) >> (7 - i % 8)) & 1)
         return false;
   return true;
}

bool isTrusted(const Address& address, std::string_view networks) {
   constexpr std::uint8_t one[4] = {127, 0, 0, 0};
   const auto v4Loopback = mapped(one);
   if (std::equal(v4Loopback.begin(), v4Loopback.begin() + 13, address.begin()))
      return true;
   Address v6Loopback{};
   v6Loopback[15] = 1;
   if (address == v6Loopback)
      return true;
   while (!networks.empty()) {
      const auto item = trimmed(networks.substr(0, networks.find(',')));
      networks.remove_prefix(std::min(
          networks.size(), networks.find(',') == std::string_view::npos ? networks.size() : networks.find(',') + 1));
      if (!item.empty() && (item == "*" || inNetwork(address, item)))
         return true;
   }
   return false;
}

bool socketIsTrusted(std::int32_t socket, std::string_view networks) {
   const auto row =
       subjectively([&] { return native::get<SocketRow>(Db::nativeSession, native::socketTable, socket); });
   if (!row)
      return false;
   const std::optional<SocketEndpoint>* endpoint = nullptr;
   if (const auto* http = std::get_if<HttpSocketInfo>(&row->info))
      endpoint = &http->endpoint;
   else if (const auto* ws = std::get_if<WebSocketInfo>(&row->info))
      endpoint = &ws->endpoint;
   if (!endpoint || !*endpoint)
      return false;
   if (const auto* v4 = std::get_if<IPV4Endpoint>(&**endpoint))
      return isTrusted(mapped(v4->address.bytes.data()), networks);
   if (const auto* v6 = std::get_if<IPV6Endpoint>(&**endpoint)) {
      Address address;
      std::copy(v6->address.bytes.begin(), v6->address.bytes.end(), address.begin());
      return isTrusted(address, networks);
   }
   return true; // a local socket is reached by this machine's users only
}

/// Addresses that proxies put into the request, in order.
std::vector<std::string> forwardedFor(const HttpRequest& request) {
   std::vector<std::string> hops;
   for (const auto& header : request.headers) {
      const bool plain = equalIgnoringCase(header.name, "X-Forwarded-For");
      if (!plain && !equalIgnoringCase(header.name, "Forwarded"))
         continue;
      std::string_view rest = header.value;
      while (!rest.empty()) {
         auto item = rest.substr(0, rest.find(','));
         rest.remove_prefix(std::min(rest.size(), item.size() + 1));
         if (plain) {
            hops.emplace_back(trimmed(item));
            continue;
         }
         std::string hop = "unknown";
         while (!item.empty()) {
            const auto part = trimmed(item.substr(0, item.find(';')));
            item.remove_prefix(
                std::min(item.size(), item.find(';') == std::string_view::npos ? item.size() : item.find(';') + 1));
            if (const auto equals = part.find('=');
                equals != std::string_view::npos && equalIgnoringCase(part.substr(0, equals), "for"))
               hop = trimmed(part.substr(equals + 1));
         }
         hops.push_back(std::move(hop));
      }
   }
   return hops;
}

bool hopsAreTrusted(const std::vector<std::string>& hops, std::string_view networks) {
   for (const auto& hop : hops) {
      const auto address = parseAddress(hop);
      if (!address || !isTrusted(*address, networks))
         return false;
   }
   return true;
}

bool isAdminAccount(AccountNumber account) {
   return account == XAdmin::account || subjectively([&] { return open<XAdmin::AdminAccounts>().contains(account); });
}

bool anyAdminAccount() {
   return subjectively([] { return open<XAdmin::AdminAccounts>().first().has_value(); });
}

/// A page of another origin must not act through the visitor's browser, and gets no word of what it may not read.
/// The host is the one by which x-http has chosen who answers; of the Host header only the port counts.
bool originIsOwn(const HttpRequest& request) {
   const auto origin = headerOf(request, "Origin");
   if (!origin)
      return true;
   std::string host = request.host;
   if (const auto given = headerOf(request, "Host"))
      if (const auto colon = given->rfind(':');
          colon != std::string_view::npos && given->find(']', colon) == std::string_view::npos)
         host += given->substr(colon);
   return equalIgnoringCase(*origin, "http://" + host) || equalIgnoringCase(*origin, "https://" + host);
}

/// Whether the request came to the administration's own subdomain.
bool hostIsOwn(const HttpRequest& request) {
   return equalIgnoringCase(request.host, XAdmin::account.str() + "." + to<XHttp>().rootHost(request.host));
}

/// A service of the chain may ask about requests that it is answering, and about no others: whoever names a socket
/// that is somebody else's would learn who is behind it, and be taken for them.
void checkAsker(std::optional<std::int32_t> socket) {
   const auto sender = getSender();
   if (isPrivilegedOnChain(sender) || isLocal(sender))
      return;
   const auto row = socket ? openOf<Http::RequestsHere>(Http::account, Mode::readWrite).get(*socket) : std::nullopt;
   check(row && row->owner == sender, "'" + sender.str() + "' is not answering this request");
}

/// The part of a request that identifies its sender, without its body.
HttpRequest headOf(const HttpRequest& request) {
   HttpRequest head = request;
   head.body.clear();
   return head;
}

// --- Services --------------------------------------------------------------------------------------------------------

constexpr std::uint32_t codeMax = 8u << 20;

void releaseCode(const CodeRow& row) {
   if (row.codeHash == Checksum256{})
      return;
   auto refs = open<XAdmin::CodeRefs>(Mode::readWrite);
   auto count = refs.get(row.codeHash, row.vmType, row.vmVersion);
   if (count && count->numRefs > 1) {
      --count->numRefs;
      refs.put(*count);
      return;
   }
   if (count)
      refs.erase(row.codeHash, row.vmType, row.vmVersion);
   else
      return; // installed by the node without counting: it may be shared
   native::space(Db::nativeSubjective)
       .remove(native::rowKey(native::codeByHashTable, row.codeHash, row.vmType, row.vmVersion));
}

HttpReply putService(const HttpRequest& request, std::string_view name) {
   if (mediaTypeOf(request) != "application/wasm")
      return httpReply(415, "text/html", "Content-Type must be application/wasm\n");
   const AccountNumber service{name};
   if (!service.value || service.str() != name)
      return httpReply(400, "text/html", "no valid account name\n");
   if (request.body.empty() || request.body.size() > codeMax)
      return httpReply(400, "text/html", "the code is empty or too large\n");
   std::uint64_t flags = 0;
   auto isSet = [&](std::string_view flag) {
      const auto value = queryParameter(request, flag);
      return value && *value != "0" && *value != "false";
   };
   if (isSet("isPrivileged"))
      flags |= CodeRow::isPrivileged;
   if (isSet("isReplacement"))
      flags |= CodeRow::isReplacement;
   const CodeRow row{service, flags, sha256(ByteView(request.body)), 0, 0};
   subjectively([&] {
      const auto old = native::get<CodeRow>(Db::nativeSubjective, native::codeTable, service);
      if (!old || old->codeHash != row.codeHash) {
         auto refs = open<XAdmin::CodeRefs>(Mode::readWrite);
         auto count = refs.get(row.codeHash, row.vmType, row.vmVersion);
         if (!count) {
            count = LocalCodeRefs{row.codeHash, 0, 0, 0};
            native::put(Db::nativeSubjective, native::codeByHashTable, CodeByHashRow{row.codeHash, 0, 0, request.body},
                        row.codeHash, row.vmType, row.vmVersion);
         }
         ++count->numRefs;
         refs.put(*count);
         if (old)
            releaseCode(*old);
      }
      native::put(Db::nativeSubjective, native::codeTable, row, service);
   });
   return httpReply(200, "text/html", "");
}

HttpReply getService(std::string_view name) {
   const AccountNumber service{name};
   const auto code = subjectively([&]() -> std::optional<CodeByHashRow> {
      const auto row = native::get<CodeRow>(Db::nativeSubjective, native::codeTable, service);
      if (!row)
         return std::nullopt;
      return native::get<CodeByHashRow>(Db::nativeSubjective, native::codeByHashTable, row->codeHash, row->vmType,
                                        row->vmVersion);
   });
   if (!code)
      return httpReply(404, "text/html", "no such local service\n");
   return httpReply(200, "application/wasm", asText(code->code));
}

// --- The rest --------------------------------------------------------------------------------------------------------

struct AdminAccountChange {
   AccountNumber account;
   bool admin = false;
};

HttpReply changeAdmin(const HttpRequest& request) {
   if (mediaTypeOf(request) != "application/json")
      return httpReply(415, "text/html", "Content-Type must be application/json\n");
   const auto change = fromJson<AdminAccountChange>(asText(request.body));
   if (!change || !change->account.value)
      return httpReply(400, "text/html", "expected {\"account\", \"admin\"}\n");
   subjectively([&] {
      auto accounts = open<XAdmin::AdminAccounts>(Mode::readWrite);
      if (change->admin)
         accounts.put({change->account});
      else
         accounts.erase(change->account);
   });
   return httpReply(200, "text/html", "");
}

HttpReply listAdmins() {
   const auto list = subjectively([] {
      std::vector<AccountNumber> accounts;
      for (const auto& row : open<XAdmin::AdminAccounts>())
         accounts.push_back(row.account);
      return accounts;
   });
   return httpReply(200, "application/json", toJson(list));
}

struct ShutdownRequest {
   std::optional<bool> restart;
   std::optional<bool> force;
   std::optional<bool> soft;
};

HttpReply shutDown(const HttpRequest& request) {
   if (mediaTypeOf(request) != "application/json")
      return httpReply(415, "text/html", "Content-Type must be application/json\n");
   const auto wish = fromJson<ShutdownRequest>(asText(request.body));
   if (!wish)
      return httpReply(400, "text/html", "expected {\"restart\", \"force\", \"soft\"}\n");
   std::string args;
   JsonWriter writer(args);
   writer.beginObject();
   if (wish->restart.value_or(false)) {
      writer.key("restart");
      writer.beginArray();
      writer.endArray();
   }
   if (wish->soft.value_or(false)) {
      writer.key("soft");
      writer.boolean(true);
   }
   if (wish->force.value_or(false)) {
      std::uint64_t now = 0;
      env::polis_clockTimeGet(1, &now);
      writer.key("deadline");
      writer.integer(static_cast<std::int64_t>(now / 1000));
   }
   writer.endObject();
   subjectively([&] { native::put(Db::nativeSession, native::pendingShutdownTable, PendingShutdownRow{args}); });
   return httpReply(200, "text/html", "");
}

// --- The run queue ---------------------------------------------------------------------------------------------------

/// Items whose results one service waits for.
struct RunItems {
   AccountNumber service;
   std::uint32_t items = 0;
};

struct RunQueueOwner {
   AccountNumber service;
};

/// Calls `visit(key, row)` for every item. Within a subjective transaction.
template <class F>
void forEachRun(F&& visit) {
   const auto space = native::space(Db::nativeSubjective);
   Bytes at = native::rowKey(native::runTable);
   const auto tableBytes = at.size();
   for (;;) {
      const auto size = space.greaterEqual(at, tableBytes);
      if (size == env::none)
         return;
      const auto row = unpack<RunRow>(polis::sdk::detail::takeResult(size));
      at = polis::sdk::detail::takeKey();
      visit(ByteView(at), row ? row->continuation.service : AccountNumber{});
      at.push_back(0);
   }
}

HttpReply listRuns() {
   const auto list = subjectively([] {
      std::vector<RunItems> services;
      forEachRun([&](ByteView, AccountNumber service) {
         auto known = std::find_if(services.begin(), services.end(),
                                   [&](const RunItems& entry) { return entry.service == service; });
         if (known == services.end())
            known = services.insert(known, {service, 0});
         ++known->items;
      });
      return services;
   });
   return httpReply(200, "application/json", toJson(list));
}

HttpReply clearRuns(const HttpRequest& request) {
   if (mediaTypeOf(request) != "application/json")
      return httpReply(415, "text/html", "Content-Type must be application/json\n");
   const auto wish = fromJson<RunQueueOwner>(asText(request.body));
   if (!wish)
      return httpReply(400, "text/html", "expected {\"service\"}\n");
   const auto removed = subjectively([&] {
      std::vector<Bytes> keys;
      forEachRun([&](ByteView key, AccountNumber service) {
         if (service == wish->service)
            keys.push_back(toBytes(key));
      });
      for (const auto& key : keys)
         native::space(Db::nativeSubjective).remove(key);
      return keys.size();
   });
   return httpReply(200, "application/json", "{\"removed\":" + std::to_string(removed) + "}");
}

HttpReply packageFile(std::string_view name) {
   if (name.empty() || name.find('/') != std::string_view::npos || name.starts_with('.') ||
       !(name.ends_with(".psi") || name.ends_with(".json")))
      return httpReply(404, "text/html", "no such package\n");
   const auto folder = environment("PSIBASE_DATADIR");
   if (!folder)
      return httpReply(404, "text/html", "this node has no packages\n");
   const std::string path = *folder + "/packages/" + std::string(name);
   const auto size = env::polis_readFile(path.data(), static_cast<std::uint32_t>(path.size()));
   if (size == env::none)
      return httpReply(404, "text/html", "no such package\n");
   auto reply = httpReply(200, name.ends_with(".json") ? "application/json" : "application/zip", "");
   reply.body = polis::sdk::detail::takeResult(size);
   return reply;
}

} // namespace

void XAdmin::startSession() {
   onlyFrom({XHttp::account});
   const auto row = hostConfig();
   const auto options = row ? parseOptions(row->config) : AdminOptions{};
   subjectively([&] { open<Options>(Mode::readWrite).put(options); });
}

AdminOptions XAdmin::options() {
   onlyFromLocal();
   return subjectively([] {
      auto row = open<Options>().get();
      return row ? std::move(*row) : AdminOptions{};
   });
}

bool XAdmin::isAdmin(std::optional<AccountNumber> user, std::optional<std::int32_t> socket,
                     std::vector<std::string> forwardedFor) {
   checkAsker(socket);
   if (user && isAdminAccount(*user))
      return true;
   if (!socket)
      return false;
   const auto networks = environment("PSIBASE_ADMIN_IP").value_or("");
   return socketIsTrusted(*socket, networks) && hopsAreTrusted(forwardedFor, networks);
}

std::optional<HttpReply> XAdmin::checkAuth(HttpRequest req, std::optional<std::int32_t> socket) {
   checkAsker(socket);
   if (!originIsOwn(req))
      return httpReply(403, "text/html", "Requests from pages of another origin are refused\n");
   const auto networks = environment("PSIBASE_ADMIN_IP").value_or("");
   if (socket && socketIsTrusted(*socket, networks)) {
      const auto field = environment("PSIBASE_USERNAME_FIELD");
      if (field && !field->empty() && headerOf(req, *field))
         return std::nullopt;
      if (hopsAreTrusted(forwardedFor(req), networks))
         return std::nullopt;
   }
   if (admin::hasSession(req))
      return std::nullopt;
   std::optional<AccountNumber> user;
   const bool presented = headerOf(req, "Authorization").has_value() || headerOf(req, "Cookie").has_value();
   if (presented) {
      const auto status = native::status();
      if (status && status->head)
         user = to<TransactQuery>().getUser(headOf(req));
   }
   if (user && isAdminAccount(*user))
      return std::nullopt;
   if (user)
      return httpReply(403, "text/html", "Not authorized\n");
   auto refused = httpReply(401, "text/html", "Not authorized\n");
   if (anyAdminAccount())
      refused.headers.push_back({"WWW-Authenticate", "Bearer"});
   return refused;
}

std::optional<HttpReply> XAdmin::serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                          std::optional<AccountNumber>) {
   onlyFrom({XHttp::account});
   const auto path = pathOf(request);
   const bool reads = request.method == "GET" || request.method == "HEAD";
   if (!hostIsOwn(request))
      return httpReply(404, "text/html", "The administration is not at this address\n");
   if (path.starts_with("/packages/")) {
      if (!reads)
         return methodNotAllowed("GET");
      return packageFile(path.substr(10));
   }
   if (path == "/admin_claim" || path == "/admin_leave") {
      // Whoever has the secret is the one; another page must not even try.
      if (request.method != "POST")
         return methodNotAllowed("POST");
      if (!originIsOwn(request))
         return httpReply(403, "text/html", "Requests from pages of another origin are refused\n");
      return path == "/admin_claim" ? admin::claim(request, socket) : admin::leave(request, socket);
   }
   const bool isOwn = path == "/config" || path == "/admin_token" || path == "/shutdown" || path == "/run_queue" ||
                      path.starts_with("/services/") || path == "/admin_accounts" || path == "/admin_login" ||
                      path.starts_with("/native/");
   if (!isOwn)
      return std::nullopt; // pages, from x-sites
   if (auto refused = checkAuth(headOf(request), socket))
      return refused;
   if (path.starts_with("/native/"))
      return std::nullopt; // the node answers
   if (path == "/config") {
      if (reads)
         return getConfig();
      if (request.method == "PUT")
         return putConfig(request);
      return methodNotAllowed("GET, PUT");
   }
   if (path.starts_with("/services/")) {
      const auto name = path.substr(10);
      if (reads)
         return getService(name);
      if (request.method == "PUT")
         return putService(request, name);
      return methodNotAllowed("GET, PUT");
   }
   if (path == "/admin_token")
      return request.method == "POST" ? admin::putToken(request) : methodNotAllowed("POST");
   if (path == "/shutdown")
      return request.method == "POST" ? shutDown(request) : methodNotAllowed("POST");
   if (path == "/run_queue") {
      if (reads)
         return listRuns();
      return request.method == "POST" ? clearRuns(request) : methodNotAllowed("GET, POST");
   }
   if (path == "/admin_accounts") {
      if (reads)
         return listAdmins();
      return request.method == "POST" ? changeAdmin(request) : methodNotAllowed("GET, POST");
   }
   if (!reads)
      return methodNotAllowed("GET");
   const auto status = native::status();
   if (!status || !status->head)
      return httpReply(503, "text/html", "Node is not connected to any psibase network.");
   return httpReply(200, "application/json", toJson(to<TransactQuery>().login(to<XHttp>().rootHost(request.host))));
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::XAdmin)

#include "sites.hpp"

#include "http/service/http.hpp"

#include <polis/graphql.hpp>

#include <algorithm>

namespace polis::services {

namespace {

constexpr std::size_t proxiesMax = 16;

constexpr std::string_view policyDefault =
    "default-src 'self'; font-src 'self' https:; script-src 'self' 'unsafe-eval' 'unsafe-inline' blob: https:; "
    "img-src * data:; style-src 'self' 'unsafe-inline'; frame-src *; connect-src * blob:;";

SiteConfig configOf(AccountNumber site) {
   auto row = open<Sites::Configs>().get(site);
   return row ? std::move(*row) : SiteConfig{.account = site};
}

void putConfig(const SiteConfig& config) { open<Sites::Configs>(Mode::readWrite).put(config); }

void checkPath(std::string_view path) { check(path.starts_with('/'), "path must start with /"); }

void checkEncoding(const std::optional<std::string>& encoding) {
   check(!encoding || *encoding == "br" || *encoding == "gzip", "unsupported content encoding");
}

void addReference(const Checksum256& hash) {
   auto refs = open<Sites::DataRefs>(Mode::readWrite);
   auto row = refs.get(hash).value_or(SitesDataRef{hash, 0});
   ++row.refs;
   refs.put(row);
}

void dropReference(const Checksum256& hash) {
   auto refs = open<Sites::DataRefs>(Mode::readWrite);
   auto row = refs.get(hash);
   if (!row)
      return;
   if (--row->refs > 0) {
      refs.put(*row);
      return;
   }
   refs.erase(hash);
   open<Sites::DataTable>(Mode::readWrite).erase(hash);
}

void store(std::string path, std::string contentType, std::optional<std::string> encoding, const Checksum256& hash) {
   auto contents = open<Sites::Contents>(Mode::readWrite);
   const auto site = getSender();
   const auto old = contents.get(site, path);
   addReference(hash);
   contents.put({site, std::move(path), std::move(contentType), hash, std::move(encoding), std::nullopt});
   if (old)
      dropReference(old->contentHash);
}

/// Account of the subdomain that the request is for.
AccountNumber siteOf(const HttpRequest& request) {
   const auto root = to<Http>().rootHost(request.host);
   if (request.host.size() <= root.size() + 1)
      return {};
   return AccountNumber{std::string_view(request.host).substr(0, request.host.size() - root.size() - 1)};
}

/// The file that answers for a path of a site, its proxies included.
std::optional<SitesContent> find(const SiteConfig& first, const std::string& path) {
   auto contents = open<Sites::Contents>();
   SiteConfig config = first;
   for (std::size_t i = 0; i < proxiesMax; ++i) {
      std::string wanted = path;
      if (config.spa && wanted.find('.', wanted.rfind('/') + 1) == std::string::npos)
         wanted = "/index.html";
      if (auto row = contents.get(config.account, wanted))
         return row;
      if (auto row = contents.get(config.account, wanted + (wanted.ends_with('/') ? "index.html" : "/index.html")))
         return row;
      if (!config.proxyAccount)
         return std::nullopt;
      config = configOf(*config.proxyAccount);
   }
   return std::nullopt;
}

std::string etagOf(const Checksum256& hash) { return toHex(ByteView(hash).first(8)); }

std::string_view trimmed(std::string_view text) {
   while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
      text.remove_prefix(1);
   while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
      text.remove_suffix(1);
   return text;
}

/// Thousandths; nothing when malformed.
std::optional<int> quality(std::string_view text) {
   if (text.empty() || (text[0] != '0' && text[0] != '1') || text.size() > 5 || (text.size() > 1 && text[1] != '.'))
      return std::nullopt;
   int value = (text[0] - '0') * 1000;
   int scale = 100;
   for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
      if (c < '0' || c > '9')
         return std::nullopt;
      value += (c - '0') * scale;
      scale /= 10;
   }
   return value <= 1000 ? std::optional(value) : std::nullopt;
}

struct Accepted {
   bool stored = false;  ///< the encoding that the file is stored in
   bool identity = true; ///< none
};

/// What makes no sense is not accepted.
Accepted acceptedOf(std::string_view header, const std::optional<std::string>& storedEncoding) {
   Accepted result;
   bool identityNamed = false;
   while (!header.empty()) {
      const auto item = trimmed(header.substr(0, header.find(',')));
      header.remove_prefix(header.find(',') == std::string_view::npos ? header.size() : header.find(',') + 1);
      const auto name = trimmed(item.substr(0, item.find(';')));
      std::optional<int> q = 1000;
      if (const auto semicolon = item.find(';'); semicolon != std::string_view::npos) {
         const auto parameter = trimmed(item.substr(semicolon + 1));
         const bool isQuality = parameter.starts_with("q=") || parameter.starts_with("Q=");
         q = isQuality ? quality(trimmed(parameter.substr(2))) : std::nullopt;
      }
      if (!q)
         continue;
      if (storedEncoding && name == *storedEncoding)
         result.stored = *q > 0;
      if (name == "identity") {
         result.identity = *q > 0;
         identityNamed = true;
      }
      if (name == "*" && *q == 0 && !identityNamed)
         result.identity = false;
   }
   return result;
}

std::vector<HttpHeader> readCors() {
   return {{"Access-Control-Allow-Origin", "*"},
           {"Access-Control-Allow-Methods", "GET, OPTIONS, HEAD"},
           {"Access-Control-Allow-Headers", "*"}};
}

std::string expandRoot(std::string text, const HttpRequest& request) {
   constexpr std::string_view mark = "{{root}}";
   if (text.find(mark) == std::string::npos)
      return text;
   std::string root = to<Http>().rootHost(request.host);
   if (const auto host = headerOf(request, "Host"))
      if (const auto colon = host->rfind(':');
          colon != std::string_view::npos && host->find(']', colon) == std::string_view::npos)
         root += host->substr(colon);
   for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + root.size()))
      text.replace(at, mark.size(), root);
   return text;
}

constexpr AccountNumber brotliService{"brotli-svc"};

bool canDecompress(std::string_view encoding) {
   if (encoding != "br")
      return false;
   const auto code = native::code(brotliService);
   return code && code->codeHash != Checksum256{};
}

Bytes decompress(const Bytes& content) {
   constexpr MethodNumber method{"decompress"};
   return unpackOrAbort<Bytes>(callRaw(getReceiver(), brotliService, method, pack(std::tuple(content))));
}

std::optional<Bytes> dataOf(const Checksum256& hash) {
   auto row = open<Sites::DataTable>().get(hash);
   return row ? std::optional(std::move(row->data)) : std::nullopt;
}

struct SiteConfigReply {
   static constexpr std::string_view typeName = "SiteConfig";
   AccountNumber account;
   bool spa = false;
   bool cache = true;
   /// Empty: the default.
   std::string globalCsp;
   std::optional<AccountNumber> proxyAccount;
};

struct ContentReply {
   static constexpr std::string_view typeName = "SitesContent";
   AccountNumber account;
   std::string path;
   std::string contentType;
   Checksum256 contentHash{};
   std::optional<std::string> contentEncoding;
   /// Empty: the site's.
   std::string csp;
};

ContentReply describe(const SitesContent& row) {
   return {row.account, row.path, row.contentType, row.contentHash, row.contentEncoding, row.csp.value_or("")};
}

struct Query {
   SiteConfigReply getConfig(AccountNumber account) const {
      const auto row = configOf(account);
      return {row.account, row.spa, row.cache, row.globalCsp.value_or(""), row.proxyAccount};
   }
   /// The files of a site, by path.
   Connection<ContentReply> getContent(AccountNumber account, Page<std::string> page) const {
      return connectionOf(open<Sites::Contents>().index<0>(), page, describe, account);
   }
   std::optional<ContentReply> getContentAt(AccountNumber account, std::string path) const {
      const auto row = open<Sites::Contents>().get(account, path);
      return row ? std::optional(describe(*row)) : std::nullopt;
   }
   std::string getDefaultCsp() const { return std::string(policyDefault); }
};
POLIS_GRAPHQL(Query, field(getConfig, account), field(getContent, account, page), field(getContentAt, account, path),
              field(getDefaultCsp))

} // namespace

void Sites::storeSys(std::string path, std::string contentType, std::optional<std::string> contentEncoding,
                     Bytes content) {
   checkPath(path);
   checkEncoding(contentEncoding);
   const auto hash = sha256(ByteView(content));
   auto data = open<DataTable>(Mode::readWrite);
   if (!data.contains(hash))
      data.put({hash, std::move(content)});
   store(std::move(path), std::move(contentType), std::move(contentEncoding), hash);
}

void Sites::hardlink(std::string path, std::string contentType, std::optional<std::string> contentEncoding,
                     Checksum256 contentHash) {
   checkPath(path);
   checkEncoding(contentEncoding);
   check(open<DataTable>(Mode::readWrite).contains(contentHash), "no content with this hash");
   store(std::move(path), std::move(contentType), std::move(contentEncoding), contentHash);
}

void Sites::remove(std::string path) {
   auto contents = open<Contents>(Mode::readWrite);
   const auto row = contents.get(getSender(), path);
   if (!row)
      return;
   contents.remove(*row);
   dropReference(row->contentHash);
}

bool Sites::isValidPath(AccountNumber site, std::string path) { return find(configOf(site), path).has_value(); }

std::optional<SitesContent> Sites::getProps(AccountNumber site, std::string path) { return find(configOf(site), path); }

Bytes Sites::getData(AccountNumber site, std::string path, bool decompressed) {
   const auto row = find(configOf(site), path);
   check(row.has_value(), "no such file");
   auto data = dataOf(row->contentHash);
   check(data.has_value(), "no such file");
   if (decompressed && row->contentEncoding) {
      check(canDecompress(*row->contentEncoding), "this content cannot be decompressed here");
      return decompress(*data);
   }
   return std::move(*data);
}

void Sites::enableSpa(bool enable) {
   auto config = configOf(getSender());
   config.spa = enable;
   putConfig(config);
}

void Sites::setCsp(std::string path, std::string csp) {
   if (path == "*") {
      auto config = configOf(getSender());
      config.globalCsp = std::move(csp);
      putConfig(config);
      return;
   }
   auto contents = open<Contents>(Mode::readWrite);
   auto row = contents.get(getSender(), path);
   check(row.has_value(), "no such file");
   row->csp = std::move(csp);
   contents.put(*row);
}

void Sites::deleteCsp(std::string path) {
   if (path == "*") {
      auto config = configOf(getSender());
      config.globalCsp.reset();
      putConfig(config);
      return;
   }
   auto contents = open<Contents>(Mode::readWrite);
   auto row = contents.get(getSender(), path);
   check(row.has_value(), "no such file");
   row->csp.reset();
   contents.put(*row);
}

void Sites::enableCache(bool enable) {
   auto config = configOf(getSender());
   config.cache = enable;
   putConfig(config);
}

void Sites::setProxy(AccountNumber proxy) {
   const auto site = getSender();
   auto next = std::optional(proxy);
   for (std::size_t i = 0; next; ++i) {
      check(*next != site, "a proxy must not lead back to the site");
      check(i < proxiesMax, "too many proxies in a row");
      next = configOf(*next).proxyAccount;
   }
   auto config = configOf(site);
   config.proxyAccount = proxy;
   putConfig(config);
}

void Sites::clearProxy() {
   auto config = configOf(getSender());
   config.proxyAccount.reset();
   putConfig(config);
}

std::optional<HttpReply> Sites::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                         std::optional<AccountNumber>) {
   check(getSender() == Http::account || getSender() == "common-api"_a, "requests come from http");
   const auto site = siteOf(request);
   if (site == account)
      if (auto reply = serveGraphql(Query{}, request))
         return reply;
   const bool head = request.method == "HEAD";
   if (request.method != "GET" && !head)
      return std::nullopt;
   if (!site.value)
      return std::nullopt;
   const auto config = configOf(site);
   const auto row = find(config, urlDecode(pathOf(request), false));
   if (!row)
      return std::nullopt;
   const auto etag = etagOf(row->contentHash);
   if (const auto known = headerOf(request, "If-None-Match"); config.cache && known && *known == etag) {
      HttpReply reply;
      reply.status = 304;
      reply.headers = readCors();
      reply.headers.push_back({"ETag", etag});
      return reply;
   }
   std::optional<std::string> encoding = row->contentEncoding;
   bool unpacked = false;
   if (const auto accept = headerOf(request, "Accept-Encoding")) {
      const auto accepted = acceptedOf(*accept, encoding);
      if (encoding && !accepted.stored) {
         if (!accepted.identity || !canDecompress(*encoding))
            return httpReply(406, "text/html", "This file is stored as " + *encoding + " only\n", readCors());
         unpacked = true;
         encoding.reset();
      }
   }
   HttpReply reply;
   reply.status = 200;
   reply.contentType = row->contentType;
   if (!head) {
      auto data = dataOf(row->contentHash);
      check(data.has_value(), "content is missing");
      reply.body = unpacked ? decompress(*data) : std::move(*data);
   }
   reply.headers = readCors();
   reply.headers.push_back({"Content-Security-Policy", expandRoot(row->csp           ? *row->csp
                                                                  : config.globalCsp ? *config.globalCsp
                                                                                     : std::string(policyDefault),
                                                                  request)});
   reply.headers.push_back({"Cache-Control", "no-cache"});
   reply.headers.push_back({"ETag", etag});
   if (encoding)
      reply.headers.push_back({"Content-Encoding", *encoding});
   return reply;
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::Sites)

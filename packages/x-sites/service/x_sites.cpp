#include "x_sites.hpp"

#include "x-admin/service/x_admin.hpp"

namespace polis::services {

namespace {

constexpr std::size_t bytesMax = 8u << 20;

/// These pages administer the node: nothing of elsewhere runs in them, and nobody frames them. A file that needs more
/// brings a policy of its own.
constexpr std::string_view policyDefault =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'";

/// Account of the subdomain that the request is for.
AccountNumber siteOf(const HttpRequest& request) {
   return AccountNumber{std::string_view(request.host).substr(0, request.host.find('.'))};
}

std::string etagOf(const Checksum256& hash) { return toHex(ByteView(hash).first(8)); }

} // namespace

std::optional<HttpReply> XSites::serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                          std::optional<AccountNumber>) {
   onlyFrom({"x-http"_a});
   const auto site = siteOf(request);
   std::string path = urlDecode(pathOf(request), false);
   if (request.method == "GET" || request.method == "HEAD") {
      const auto row = subjectively([&] {
         auto contents = open<Contents>();
         auto found = contents.get(site, path);
         if (!found && path.ends_with('/'))
            found = contents.get(site, path + "index.html");
         if (!found && path.find('.', path.rfind('/') + 1) == std::string::npos)
            found = contents.get(site, std::string("/index.html"));
         return found;
      });
      if (!row)
         return std::nullopt;
      const auto etag = etagOf(row->contentHash);
      if (const auto known = headerOf(request, "If-None-Match"); known && *known == etag)
         return httpReply(304, "", "", {{"ETag", etag}});
      auto reply =
          httpReply(200, row->contentType, request.method == "HEAD" ? std::string_view() : asText(row->content));
      reply.headers = {{"Content-Security-Policy", row->csp.value_or(std::string(policyDefault))},
                       {"Cache-Control", "no-cache"},
                       {"ETag", etag},
                       {"X-Content-Type-Options", "nosniff"}};
      if (row->contentEncoding)
         reply.headers.push_back({"Content-Encoding", *row->contentEncoding});
      return reply;
   }
   if (request.method != "PUT" && request.method != "DELETE")
      return methodNotAllowed("GET, HEAD, PUT, DELETE");
   HttpRequest head = request;
   head.body.clear();
   if (auto refused = to<XAdmin>().checkAuth(std::move(head), socket))
      return refused;
   if (request.method == "DELETE") {
      const bool known = subjectively([&] {
         auto contents = open<Contents>(Mode::readWrite);
         if (!contents.contains(site, path))
            return false;
         contents.erase(site, path);
         return true;
      });
      return known ? httpReply(200, "text/html", "") : httpReply(404, "text/html", "no such file\n");
   }
   if (request.body.size() > bytesMax)
      return httpReply(413, "text/html", "the file is too large\n");
   LocalContent row{.account = site,
                    .path = path,
                    .contentType = request.contentType,
                    .contentHash = sha256(ByteView(request.body)),
                    .content = request.body,
                    .contentEncoding = std::nullopt,
                    .csp = std::nullopt};
   if (const auto encoding = headerOf(request, "Content-Encoding"))
      row.contentEncoding = std::string(*encoding);
   if (const auto csp = headerOf(request, "Content-Security-Policy"))
      row.csp = std::string(*csp);
   subjectively([&] { open<Contents>(Mode::readWrite).put(row); });
   return httpReply(200, "text/html", "");
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::XSites)

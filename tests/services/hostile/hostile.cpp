// A service of the chain that tries to act as its node, or for others. Each path of its subdomain is one attempt; what
// the node says to it is the answer.
#include "http/service/http.hpp"
#include "x-admin/service/x_admin.hpp"
#include "x-http/service/x_http.hpp"
#include "x-packages/service/x_packages.hpp"
#include "x-run/service/x_run.hpp"
#include "x-sites/service/x_sites.hpp"

#include <charconv>

namespace hostile {

using namespace polis::sdk;
using namespace polis::services;

class Hostile : public Service {
public:
   static constexpr auto account = "bad-server"_a;

   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
   /// What it would have run, and told of: nothing.
   void nothing();
};
POLIS_SERVICE(Hostile, action(serveSys, request, socket, user), action(nothing))

namespace {

/// A clean request of this machine, as far as a service can make one up.
HttpRequest forged(std::string_view service, std::string_view method, std::string_view target,
                   std::string_view json = {}) {
   HttpRequest request;
   request.host = std::string(service) + ".polis.localhost";
   request.method = method;
   request.target = target;
   request.headers.push_back({"Host", request.host});
   request.contentType = "application/json";
   request.body = polis::toBytes(json);
   return request;
}

std::int32_t socketIn(const HttpRequest& request, std::int32_t own) {
   const auto text = queryParameter(request, "socket");
   std::int32_t socket = own;
   if (text)
      std::from_chars(text->data(), text->data() + text->size(), socket);
   return socket;
}

} // namespace

void Hostile::nothing() {}

std::optional<HttpReply> Hostile::serveSys(HttpRequest request, std::optional<std::int32_t> given,
                                           std::optional<AccountNumber>) {
   const auto path = pathOf(request);
   const std::optional<std::int32_t> socket = socketIn(request, given.value_or(-1));
   const std::optional<AccountNumber> nobody;
   auto text = [](std::string_view words) { return httpReply(200, "text/plain", words); };
   if (path == "/config")
      return to<XAdmin>().serveSys(forged("x-admin", "GET", "/config"), socket, nobody);
   if (path == "/become-admin")
      return to<XAdmin>().serveSys(
          forged("x-admin", "POST", "/admin_accounts", "{\"account\":\"bad-server\",\"admin\":true}"), socket, nobody);
   if (path == "/postinstall")
      return to<XPackages>().serveSys(forged("x-packages", "POST", "/postinstall", "{\"name\":\"X\"}"), socket, nobody);
   if (path == "/sites")
      return to<XSites>().serveSys(forged("x-admin", "GET", "/index.html"), socket, nobody);
   if (path == "/options")
      return httpReply(200, "application/json", toJson(to<XAdmin>().options()));
   if (path == "/check")
      return text(to<XAdmin>().checkAuth(forged("x-admin", "GET", "/config"), socket) ? "no" : "yes");
   if (path == "/is-admin")
      return text(to<XAdmin>().isAdmin(nobody, socket, std::vector<std::string>()) ? "yes" : "no");
   if (path == "/answer-others") {
      constexpr MethodNumber nothing{"nothing"};
      to<XHttp>().setCallback(*socket, nothing, nothing);
      to<XHttp>().send(*socket, pack(httpReply(200, "text/html", "INJECTED")), 0u);
      return text("sent");
   }
   if (path == "/send-raw") {
      to<XHttp>().send(*socket, pack(httpReply(200, "text/html", "INJECTED")), 0u);
      return text("sent");
   }
   if (path == "/reply-others") {
      to<XHttp>().sendReply(*socket, httpReply(200, "text/html", "INJECTED"));
      return text("sent");
   }
   if (path == "/claim-others")
      return text(to<Http>().claimReply(*socket) ? "INJECTED" : "no");
   if (path == "/close-others") {
      to<XHttp>().asyncClose(*socket);
      return text("closed");
   }
   if (path == "/run") {
      constexpr MethodNumber nothing{"nothing"};
      to<XRun>().post(RunMode::rpc, Action{account, account, nothing, {}}, std::int64_t{1'000'000}, nothing);
      return text("posted");
   }
   if (path == "/verify") {
      constexpr MethodNumber nothing{"nothing"};
      to<XRun>().verify(Checksum256{}, Claim{"verify-sig"_a, {}}, Bytes(), std::int64_t{1'000'000}, nothing);
      return text("posted");
   }
   if (path == "/cookie") {
      auto reply = text("");
      reply.headers = {{"Set-Cookie", "SESSION=evil; Domain=polis.localhost; Path=/"},
                       {"Set-Cookie", "a=b; path=/; dOmAiN = .polis.localhost ;HttpOnly"},
                       {"Set-Cookie", "domain=1; Path=/"}};
      return reply;
   }
   return std::nullopt;
}

} // namespace hostile

POLIS_DISPATCH(hostile::Hostile)

#pragma once
#include "format/chain.hpp"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace polis::http {

struct Url {
   bool tls = false;
   std::string host; ///< as written; an IPv6 literal keeps its brackets
   std::uint16_t port = 80;
   std::string target = "/";

   /// Host and, where it is not the scheme's own, port: the value of a Host header.
   std::string authority() const;
   /// "http://host:port", without target.
   std::string origin() const;
   /// The same with `label` put in front of the host: the address of an app under a root host.
   Url subdomain(std::string_view label) const;
};

/// An absolute http or https address, else nothing. Without a scheme http is taken.
std::optional<Url> parseUrl(std::string_view text);

/// A client that waits for each answer, for tools and tests. Keeps one connection a server alive. One thread.
/// Names under localhost are always this machine. No redirects are followed.
class Client {
public:
   struct Options {
      std::uint32_t timeoutMs = 60'000;
      std::string trustFile; ///< PEM certificates trusted besides the system's
   };

   Client();
   explicit Client(Options options);
   ~Client();
   Client(Client&&) noexcept;
   Client& operator=(Client&&) noexcept;

   /// `request.host` and `request.target` are taken from `url`. Throws Fault when there is no answer.
   format::HttpReply send(const Url& url, format::HttpRequest request);
   format::HttpReply get(const Url& url);
   format::HttpReply post(const Url& url, std::string_view contentType, Bytes body);

private:
   struct Impl;
   std::unique_ptr<Impl> impl_;
};

} // namespace polis::http

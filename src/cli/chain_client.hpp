#pragma once
#include "cli/commands.hpp"
#include "format/chain.hpp"
#include "format/keys.hpp"
#include "http/client.hpp"
#include "node/action_packer.hpp"
#include <expected>
#include <optional>
#include <string>
#include <vector>

namespace polis::cli {

/// How far a pushed transaction has got when push returns.
enum class WaitFor {
   none,    ///< the node has taken it in
   applied, ///< it was executed
   final,   ///< it is irreversible, and every later request sees it
};

/// Talks to a node as any program can: packs, signs and pushes by itself. Every failure is a Fault whose text says what
/// to do next.
class ChainClient {
public:
   explicit ChainClient(const Common& common);

   /// The answer of `service`'s subdomain; 200 or Fault.
   format::HttpReply get(std::string_view subdomain, const std::string& target);
   /// Whatever the answer, but not one of a node without a chain.
   format::HttpReply ask(std::string_view subdomain, const std::string& target);
   /// Whatever the answer.
   format::HttpReply send(std::string_view subdomain, const std::string& target, format::HttpRequest request);

   format::Tapos tapos(std::uint32_t secondsToLive);
   /// Fetches the service's schema once. Fault when there is none.
   const node::ActionPacker& schemas(format::AccountNumber service);
   bool accountExists(format::AccountNumber account);

   /// Signs with every key; each adds a claim, the first key's first. A failure of the transaction becomes a Fault.
   /// The trace is empty when nothing was waited for.
   format::TransactionTrace push(std::vector<format::Action> actions, const std::vector<format::PrivateKey>& keys,
                                 WaitFor waitFor = WaitFor::final);

   const http::Url& root() const { return root_; }

private:
   http::Url root_;
   http::Client client_;
   node::ActionPacker packer_;
};

/// Default of --url: POLIS_URL, PSINODE_URL, else http://polis.localhost:8080/.
std::string defaultUrl();

/// Keys of files; each must be readable by its owner alone, or a warning is printed.
std::vector<format::PrivateKey> readKeys(const std::vector<std::string>& files);

format::AccountNumber parseAccount(const std::string& name);

/// For a parameter of a URL.
std::string percentEncoded(std::string_view text);

/// The text of a reply that is no success, as short as it can be.
std::string replyText(const format::HttpReply& reply);

/// Printed for people, or as JSON.
void printTrace(const format::TransactionTrace& trace, const Common& common);

} // namespace polis::cli

#pragma once
#include "http/exchange.hpp"
#include "kernel/kernel.hpp"
#include "node/keyring.hpp"
#include "node/log_feed.hpp"
#include "node/performance.hpp"
#include "peer/network.hpp"
#include <functional>
#include <memory>
#include <string>

namespace polis::node {

/// A snapshot that this node has written.
struct SnapshotMade {
   std::string file;
   std::uint32_t blockNum = 0;
   std::string blockId;
   std::string chainId;
};

/// What the native endpoints ask of the node. Any thread.
class NodeControl {
public:
   virtual ~NodeControl() = default;
   virtual kernel::Kernel& kernel() = 0;
   virtual bool starting() const = 0;
   virtual bool stopping() const = 0;
   virtual format::AccountNumber producer() const = 0;
   /// Other nodes that this one was told to connect to.
   virtual const std::vector<std::string>& neighbourUrls() const = 0;
   /// Whether anybody may act for a producer, and so for the whole chain; before there is one, whether that would be
   /// so.
   virtual bool unguarded() const = 0;
   /// Builds block 2 from the given transactions on the chain thread, then calls `done` there.
   using BootDone = std::function<void(std::expected<format::TransactionTrace, kernel::Rejection>)>;
   virtual void pushBoot(std::vector<format::SignedTransaction> transactions, BootDone done) = 0;
   /// Boots a chain from packages of this machine; `done` hears the invitation link (or nothing), or what went wrong.
   /// key: of the keyring, for the producer; nothing: that of the configuration, if there is one.
   using FullBootDone = std::function<void(std::expected<std::string, std::string>)>;
   virtual void bootFromPackages(std::vector<std::string> packages, std::optional<format::Claim> key,
                                 FullBootDone done) = 0;
   /// Writes a snapshot of an irreversible block, the newest where none is named, into the folder of this node, signed
   /// with its keys; the answer tells where it is. Errors: a sentence.
   virtual std::expected<SnapshotMade, std::string> makeSnapshot(std::optional<std::uint32_t> block, bool compress) = 0;
   /// What this node says of itself, and then what each that is connected says.
   virtual std::vector<peer::Introduction> introductions() const = 0;
   /// OpenMetrics text.
   virtual std::string metrics() const = 0;
   virtual Performance performance() const = 0;
   virtual LogFeed& logFeed() = 0;
   virtual Keyring& keyring() = 0;
   /// What the next block of this node is signed with; nothing where it has no key for it.
   virtual std::optional<format::PrivateKey> signingKey() const = 0;
};

/// Answers `/native/…` (spec, kernel §8.2). The services have decided that the caller may; what changes something
/// checks here once more that no foreign page asks.
class NativeEndpoints {
public:
   explicit NativeEndpoints(NodeControl& control) : control_(control) {}
   void serve(const std::shared_ptr<http::Exchange>& exchange, const format::HttpRequest& request);

private:
   format::HttpReply status() const;
   format::HttpReply chain() const;
   format::HttpReply producers() const;
   void pushBoot(const std::shared_ptr<http::Exchange>& exchange, const format::HttpRequest& request);
   void boot(const std::shared_ptr<http::Exchange>& exchange, const format::HttpRequest& request);
   format::HttpReply snapshot(const format::HttpRequest& request);
   /// Makes a key, or takes one in. The answer is its public half.
   format::HttpReply addKey(const format::HttpRequest& request);

   NodeControl& control_;
};

/// True unless the request has an Origin that is `null` or not its own host.
bool isSameOrigin(const format::HttpRequest& request, bool tls);

} // namespace polis::node

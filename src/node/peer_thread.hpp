#pragma once
#include "base/mutex.hpp"
#include "node/chain_thread.hpp"
#include "node/wake.hpp"
#include "peer/network.hpp"
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <variant>

namespace polis::node {

using peer::PeerId;

/// Frames that begin with a smaller byte are the node's, the rest those of the service `x-peers` (spec, consensus N2).
inline constexpr std::uint8_t peerFramesEnd = 64;

/// One connection to a neighbour. Any thread; nothing blocks.
class PeerLink {
public:
   virtual ~PeerLink() = default;
   virtual void sendFrame(Bytes&& frame) = 0;
   /// Allows one frame more.
   virtual void readFrame() = 0;
   /// Ends the connection.
   virtual void drop() = 0;
   /// The other end, for the log.
   virtual std::string where() const = 0;
};

/// Speaks the peer protocol: hands neighbours the irreversible blocks of this node, and takes theirs to the chain
/// thread. Follows a chain of a single producer; one with several needs the replica of `src/consensus`, and is refused.
class PeerThread {
public:
   struct Options {
      /// This node's producer; 0: it only follows.
      format::AccountNumber producer;
      /// Takes frac(Action) from another node to the services.
      std::function<void(Bytes)> transaction;
   };

   PeerThread(kernel::Kernel& kernel, ChainThread& chain, Options options, std::function<void(const char*)> onFault);
   ~PeerThread();
   void start();
   /// Ends the thread, and every link.
   void stop();

   // ---- any thread ----

   PeerId opened(std::shared_ptr<PeerLink> link);
   void frame(PeerId peer, Bytes&& frame) { tell(Frame{peer, std::move(frame)}); }
   void written(PeerId peer) { tell(Written{peer}); }
   void closed(PeerId peer) { tell(Closed{peer}); }
   /// The irreversible block moved.
   void chainChanged();
   /// frac(Action) of a service, for every producer that can be reached. Dropped when too many wait.
   void toProducers(Bytes&& action);

   std::size_t links() const { return linkCount_.load(); }

private:
   struct Opened {
      PeerId peer;
      std::shared_ptr<PeerLink> link;
   };
   struct Frame {
      PeerId peer;
      Bytes bytes;
   };
   struct Written {
      PeerId peer;
   };
   struct Closed {
      PeerId peer;
   };
   struct ToProducers {
      Bytes action;
   };
   /// The chain thread's answer; error: the block is refused, and so is whoever sent it.
   struct Executed {
      PeerId from;
      peer::BlockId id;
      std::optional<std::string> error;
   };
   using Event = std::variant<Opened, Frame, Written, Closed, ToProducers, Executed>;

   class View;

   void tell(Event&& event);
   void run();
   void take(Event&& event);
   void lookAtChain();
   void handOut();
   void executeNext();
   std::optional<std::string> execute(kernel::Kernel& kernel, const consensus::BlockPtr& block) const;

   kernel::Kernel& kernel_;
   ChainThread& chain_;
   Options options_;
   std::function<void(const char*)> onFault_;

   Mutex mutex_;
   std::deque<Event> events_ GUARDED_BY(mutex_);
   std::size_t waitingActions_ GUARDED_BY(mutex_) = 0;
   std::uint64_t lastPeer_ GUARDED_BY(mutex_) = 0;
   Wake wake_;
   std::atomic<bool> chainMoved_ = false, stopping_ = false;
   std::atomic<std::size_t> linkCount_ = 0;

   // The thread's own.
   std::unique_ptr<View> view_;
   std::unique_ptr<peer::Network> network_;
   std::map<PeerId, std::shared_ptr<PeerLink>> links_;
   std::set<PeerId> unread_; ///< links whose next frame is not asked for yet
   std::deque<consensus::BlockReceived> blocks_;
   bool executing_ = false, hadChain_ = false;
   std::map<std::string, std::int64_t> logged_; ///< reasons for closing, and when they were told
   std::thread thread_;
};

} // namespace polis::node

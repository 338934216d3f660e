#include "harness/test_network.hpp"

#include "harness/relay.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <queue>
#include <random>
#include <stdexcept>
#include <vector>

namespace polis::harness {

namespace {

namespace fs = std::filesystem;

// ---- connections through a proxy
// -------------------------------------------------------------------------------------

class ProxyNetwork final : public TestNetwork {
public:
   explicit ProxyNetwork(std::size_t nodes) : nodes_(nodes), ports_(nodes) {
      for (std::size_t from = 0; from < nodes; ++from)
         for (std::size_t to = 0; to < nodes; ++to)
            relay_.add(0); // also from a node to itself, so that numbers are simple
   }

   std::string_view name() const override { return "proxy"; }
   void enter(std::size_t) override {}
   std::vector<std::string> arguments(std::size_t) const override { return {}; }
   void nodeListens(std::size_t node, std::uint16_t port) override {
      ports_.at(node) = port;
      for (std::size_t from = 0; from < nodes_; ++from)
         relay_.leadTo(way(from, node), port);
   }
   std::string peerUrl(std::size_t from, std::size_t to) const override {
      return "http://polis.localhost:" + std::to_string(relay_.port(way(from, to)));
   }
   std::uint16_t clientPort(std::size_t node) const override { return ports_.at(node); }

   // What goes from one node to another may go by a connection that either of them dialled.
   void set(std::size_t from, std::size_t to, Link link) override {
      relay_.set(way(from, to), true, link);
      relay_.set(way(to, from), false, link);
   }
   Link link(std::size_t from, std::size_t to) const override { return relay_.link(way(from, to), true); }
   Traffic traffic(std::size_t from, std::size_t to) const override {
      return {relay_.traffic(way(from, to), true).bytes + relay_.traffic(way(to, from), false).bytes};
   }

private:
   std::size_t way(std::size_t from, std::size_t to) const { return from * nodes_ + to; }

   const std::size_t nodes_;
   std::vector<std::uint16_t> ports_;
   Relay relay_;
};

// ---- packets between network namespaces
// ------------------------------------------------------------------------------

constexpr std::uint16_t peerPort = 8080;
constexpr std::size_t packetBytesMax = 1500;
/// Packets on their way on one link; more are lost.
constexpr std::size_t underwayMax = 8192;

in_addr addressOf(std::size_t node) { return {htonl(0x0A4D0001u + static_cast<std::uint32_t>(node))}; } // 10.77.0.1

std::string textOf(in_addr address) {
   char text[INET_ADDRSTRLEN];
   return ::inet_ntop(AF_INET, &address, text, sizeof text);
}

/// The one device of a namespace, which is brought up with its loopback. Throws std::runtime_error.
Fd makeDevice(std::size_t node) {
   Fd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
   ifreq request{};
   std::strncpy(request.ifr_name, "polis", IFNAMSIZ);
   request.ifr_flags = IFF_TUN | IFF_NO_PI;
   if (!tun || ::ioctl(tun.get(), TUNSETIFF, &request) != 0)
      throw std::runtime_error("no network device can be made here");
   const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
   const auto ask = [&](unsigned long what) {
      if (::ioctl(socket.get(), what, &request) != 0)
         throw std::runtime_error("a network device cannot be set up here");
   };
   const auto setAddress = [&](unsigned long what, in_addr value) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr = value;
      std::memcpy(&request.ifr_addr, &address, sizeof address);
      ask(what);
   };
   setAddress(SIOCSIFADDR, addressOf(node));
   setAddress(SIOCSIFNETMASK, {htonl(0xFFFFFF00)});
   request.ifr_flags = IFF_UP | IFF_RUNNING;
   ask(SIOCSIFFLAGS);
   std::strncpy(request.ifr_name, "lo", IFNAMSIZ);
   ask(SIOCSIFFLAGS);
   return tun;
}

class PacketNetwork final : public TestNetwork {
public:
   explicit PacketNetwork(std::size_t nodes) : links_(nodes * nodes), spaces_(nodes), tuns_(nodes) {
      // Only a thread of its own may move to another namespace and end there.
      std::string problem;
      std::thread([&] {
         try {
            for (std::size_t node = 0; node < nodes; ++node) {
               if (::unshare(CLONE_NEWNET) != 0)
                  throw std::runtime_error("no network namespaces can be made here");
               const auto self = "/proc/self/task/" + std::to_string(::gettid()) + "/ns/net";
               spaces_[node] = Fd(::open(self.c_str(), O_RDONLY | O_CLOEXEC));
               tuns_[node] = makeDevice(node);
            }
         } catch (const std::runtime_error& error) {
            problem = error.what();
         }
      }).join();
      if (!problem.empty())
         throw std::runtime_error(problem);
      for (std::size_t node = 0; node < nodes; ++node)
         relay_.add(0, spaces_[node].get());

      std::string pattern = (fs::temp_directory_path() / "polis-hosts-XXXXXX").string();
      Fd file(::mkstemp(pattern.data()));
      if (!file)
         throw std::runtime_error("no temporary file");
      hosts_ = pattern;
      std::ofstream out(hosts_);
      out << "127.0.0.1 localhost\n";
      for (std::size_t node = 0; node < nodes; ++node)
         out << textOf(addressOf(node)) << " x-peers." << host(node) << " " << host(node) << "\n";
      out.close();
      wakeUp_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      thread_ = std::thread([this] { run(); });
   }

   ~PacketNetwork() override {
      stopping_.store(true);
      const std::uint64_t one = 1;
      (void)!::write(wakeUp_.get(), &one, sizeof one);
      if (thread_.joinable())
         thread_.join();
      std::error_code ignored;
      fs::remove(hosts_, ignored);
   }

   std::string_view name() const override { return "packets"; }

   /// Nothing but system calls: the process has forked from one with threads.
   void enter(std::size_t node) override {
      if (::setns(spaces_[node].get(), CLONE_NEWNET) != 0 || ::unshare(CLONE_NEWNS) != 0 ||
          ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          ::mount(hosts_.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) != 0)
         ::_exit(126);
   }
   std::vector<std::string> arguments(std::size_t node) const override {
      return {"--listen", textOf(addressOf(node)) + ":" + std::to_string(peerPort), "--host", host(node)};
   }
   void nodeListens(std::size_t node, std::uint16_t port) override { relay_.leadTo(node, port); }
   std::string peerUrl(std::size_t, std::size_t to) const override {
      return "http://" + host(to) + ":" + std::to_string(peerPort);
   }
   std::uint16_t clientPort(std::size_t node) const override { return relay_.port(node); }

   void set(std::size_t from, std::size_t to, Link link) override {
      Lock lock(mutex_);
      at(from, to).link = link;
   }
   Link link(std::size_t from, std::size_t to) const override {
      Lock lock(mutex_);
      return links_[from * tuns_.size() + to].link;
   }
   Traffic traffic(std::size_t from, std::size_t to) const override {
      Lock lock(mutex_);
      return links_[from * tuns_.size() + to].traffic;
   }

private:
   using Steady = std::chrono::steady_clock;
   struct State {
      Link link;
      Traffic traffic;
      std::size_t underway = 0;
   };
   struct Packet {
      Steady::time_point due;
      std::uint64_t number;
      std::size_t from, to;
      std::string bytes;
      bool operator<(const Packet& other) const { return std::tie(due, number) > std::tie(other.due, other.number); }
   };

   static std::string host(std::size_t node) { return "polis-" + std::to_string(node + 1) + ".test"; }
   State& at(std::size_t from, std::size_t to) REQUIRES(mutex_) { return links_[from * tuns_.size() + to]; }

   void run() {
      std::vector<pollfd> polled;
      for (const Fd& tun : tuns_)
         polled.push_back({tun.get(), POLLIN, 0});
      polled.push_back({wakeUp_.get(), POLLIN, 0});
      while (!stopping_.load()) {
         timespec wait{1, 0};
         if (!underway_.empty()) {
            const auto ns = std::max<std::int64_t>(
                0, std::chrono::duration_cast<std::chrono::nanoseconds>(underway_.top().due - Steady::now()).count());
            wait = {ns / 1'000'000'000, ns % 1'000'000'000};
         }
         ::ppoll(polled.data(), polled.size(), &wait, nullptr);
         for (std::size_t from = 0; from < tuns_.size(); ++from)
            if (polled[from].revents)
               take(from);
         deliver();
      }
   }

   /// Everything that a node has sent.
   void take(std::size_t from) {
      char bytes[packetBytesMax];
      ssize_t got = 0;
      while ((got = ::read(tuns_[from].get(), bytes, sizeof bytes)) > 0) {
         std::uint32_t to = 0;
         if (got < 20 || (bytes[0] >> 4) != 4)
            continue; // not IPv4
         std::memcpy(&to, bytes + 16, sizeof to);
         const std::size_t node = ntohl(to) - ntohl(addressOf(0).s_addr);
         if (node >= tuns_.size())
            continue;
         Lock lock(mutex_);
         State& state = at(from, node);
         state.traffic.bytes += static_cast<std::uint64_t>(got);
         if (state.link.cut || state.underway >= underwayMax ||
             (state.link.loss > 0 && std::uniform_real_distribution<double>(0, 1)(dice_) < state.link.loss))
            continue;
         ++state.underway;
         underway_.push({Steady::now() + state.link.delay, ++numbers_, from, node,
                         std::string(bytes, static_cast<std::size_t>(got))});
      }
   }

   void deliver() {
      const auto now = Steady::now();
      while (!underway_.empty() && underway_.top().due <= now) {
         const Packet& packet = underway_.top();
         bool cut = false;
         {
            Lock lock(mutex_);
            State& state = at(packet.from, packet.to);
            --state.underway;
            cut = state.link.cut;
         }
         if (!cut)
            (void)!::write(tuns_[packet.to].get(), packet.bytes.data(), packet.bytes.size());
         underway_.pop();
      }
   }

   mutable Mutex mutex_;
   std::vector<State> links_ GUARDED_BY(mutex_);
   std::vector<Fd> spaces_, tuns_;
   fs::path hosts_;
   std::mt19937_64 dice_{1};              ///< of the thread
   std::priority_queue<Packet> underway_; ///< likewise
   std::uint64_t numbers_ = 0;            ///< likewise
   Fd wakeUp_;
   std::atomic<bool> stopping_ = false;
   Relay relay_; ///< of clients
   std::thread thread_;
};

} // namespace

std::unique_ptr<TestNetwork> TestNetwork::make(std::size_t nodes, Kind kind) {
   if (kind == Kind::proxy)
      return std::make_unique<ProxyNetwork>(nodes);
   try {
      return std::make_unique<PacketNetwork>(nodes);
   } catch (const std::runtime_error&) {
      if (kind == Kind::packets)
         throw;
   }
   return std::make_unique<ProxyNetwork>(nodes);
}

} // namespace polis::harness

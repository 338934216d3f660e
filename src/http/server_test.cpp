// The server on real loopback sockets.
#include "base/fault.hpp"
#include "http/client.hpp"
#include "http/reply_writer.hpp"
#include "http/server.hpp"
#include "http/shares.hpp"
#include <arpa/inet.h>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <future>
#include <gtest/gtest.h>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace polis;
using namespace polis::http;

namespace {

constexpr int patienceMs = 10'000;

/// Hears everything of one exchange; others wait for it.
class Ears final : public ExchangeEvents {
public:
   void answered(format::HttpReply&& reply) override {
      add("answered " + std::to_string(reply.status) + " " + toText(reply.body));
   }
   void opened() override { add("opened"); }
   void message(Bytes&& data, MessageKind kind) override {
      add((kind == MessageKind::text ? "text " : "binary ") + toText(data));
   }
   void failed(const std::string& why) override { add("failed: " + why); }
   void gone() override { add("gone"); }

   std::string next() {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, std::chrono::milliseconds(patienceMs), [&] { return !heard_.empty(); }))
         return "nothing heard";
      std::string result = heard_.front();
      heard_.erase(heard_.begin());
      return result;
   }

private:
   void add(std::string what) {
      std::lock_guard lock(mutex_);
      heard_.push_back(std::move(what));
      changed_.notify_all();
   }
   std::mutex mutex_;
   std::condition_variable changed_;
   std::vector<std::string> heard_;
};

struct Served {
   std::shared_ptr<Exchange> exchange;
   format::HttpRequest request;
   std::shared_ptr<Ears> ears = std::make_shared<Ears>();
};

/// Answers /now by itself; hands everything else to the test.
class TestHandler final : public Handler {
public:
   void request(std::shared_ptr<Exchange> exchange, format::HttpRequest&& request) override {
      if (request.target == "/now") {
         (void)exchange->reply(textReply(200, "now"));
         return;
      }
      Served served{std::move(exchange), std::move(request)};
      served.exchange->setEvents(served.ears);
      std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(served));
      changed_.notify_all();
   }

   Served next() {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, std::chrono::milliseconds(patienceMs), [&] { return !waiting_.empty(); }))
         throw Fault("no request came");
      Served result = std::move(waiting_.front());
      waiting_.erase(waiting_.begin());
      return result;
   }

private:
   std::mutex mutex_;
   std::condition_variable changed_;
   std::vector<Served> waiting_;
};

/// A plain socket, for whatever a well-behaved client does not do.
class Raw {
public:
   /// from: the last byte of its own address, 127.0.0.…; 0: whichever.
   explicit Raw(std::uint16_t port, std::uint32_t from = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      if (from) {
         address.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xFFu) | from);
         if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            throwErrno("bind");
      }
      address.sin_port = htons(port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
         throwErrno("connect");
   }
   ~Raw() { close(); }
   void close() {
      if (fd_ >= 0)
         ::close(std::exchange(fd_, -1));
   }
   bool send(std::string_view text) {
      return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
   }
   void finishSending() { ::shutdown(fd_, SHUT_WR); }
   /// Reads until `n` bytes or the end.
   std::string read(std::size_t n = SIZE_MAX) {
      std::string result;
      while (result.size() < n) {
         pollfd p{fd_, POLLIN, 0};
         if (::poll(&p, 1, patienceMs) <= 0)
            return result + "<timeout>";
         char buffer[4096];
         const ssize_t got = ::recv(fd_, buffer, std::min(sizeof buffer, n - result.size()), 0);
         if (got <= 0)
            break;
         result.append(buffer, static_cast<std::size_t>(got));
      }
      return result;
   }
   std::string readUntil(std::string_view end) {
      std::string result;
      while (!result.ends_with(end)) {
         const auto more = read(1);
         if (more.size() != 1)
            break;
         result += more;
      }
      return result;
   }

private:
   int fd_;
};

struct ServerTest : testing::Test {
   void start(Limits limits = {}, std::optional<TlsFiles> tls = {}) {
      limits.sweepMs = 10;
      server = std::make_unique<Server>(Server::Options{limits, tls}, handler);
      port = server->listen({ListenAddress::Kind::http, "127.0.0.1", 0});
      server->start();
   }
   Url url(const std::string& target) const {
      Url result;
      result.host = "127.0.0.1";
      result.port = port;
      result.target = target;
      return result;
   }
   TestHandler handler;
   std::unique_ptr<Server> server;
   std::uint16_t port = 0;
};

const std::string get = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string getLater = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n";
// Source: RFC 6455, 1.3.
const std::string upgrade =
    "GET /s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
format::HttpReply upgraded() {
   format::HttpReply reply;
   reply.status = 101;
   reply.headers = {
       {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}};
   return reply;
}

} // namespace

TEST_F(ServerTest, answersAndKeepsTheConnection) {
   start();
   Client client;
   for (int i = 0; i < 3; ++i) {
      const auto reply = client.get(url("/now"));
      EXPECT_EQ(reply.status, 200);
      EXPECT_EQ(asText(reply.body), "now\n");
   }
   EXPECT_EQ(server->stats().accepted, 1u);
   EXPECT_EQ(server->stats().requests, 3u);
}

TEST_F(ServerTest, pipelinedRequestsAreAnsweredInOrder) {
   start();
   Raw raw(port);
   ASSERT_TRUE(raw.send(getLater + get + "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
   auto later = handler.next();
   ASSERT_TRUE(later.exchange->reply(textReply(201, "later")));
   const std::string all = raw.read();
   const auto first = all.find("later\n"), second = all.find("now\n");
   ASSERT_NE(first, std::string::npos) << all;
   ASSERT_NE(second, std::string::npos) << all;
   EXPECT_LT(first, second);
   EXPECT_NE(all.find("now\n", second + 1), std::string::npos);
}

TEST_F(ServerTest, deferredReplyFromAnotherThread) {
   start();
   auto answer = std::async(std::launch::async,
                            [&] { return Client().post(url("/later"), "text/x", toBytes(std::string(1 << 20, 'b'))); });
   auto served = handler.next();
   EXPECT_EQ(served.request.contentType, "text/x");
   EXPECT_EQ(served.request.body.size(), std::size_t{1} << 20);
   EXPECT_EQ(served.exchange->peer().addressBytes, 4);
   std::thread([&] {
      format::HttpReply reply;
      reply.body.assign(5 << 20, 'x');
      EXPECT_TRUE(served.exchange->reply(std::move(reply)));
      EXPECT_TRUE(served.exchange->reply(textReply(500, "too late")));
   }).join();
   const auto reply = answer.get();
   EXPECT_EQ(reply.status, 200);
   EXPECT_EQ(reply.body.size(), std::size_t{5} << 20);
}

TEST_F(ServerTest, aDroppedExchangeIsAnswered500) {
   start();
   auto answer = std::async(std::launch::async, [&] { return Client().get(url("/later")); });
   handler.next();
   EXPECT_EQ(answer.get().status, 500);
}

TEST_F(ServerTest, anInvalidReplyIsAnswered500AndTold) {
   start();
   auto answer = std::async(std::launch::async, [&] { return Client().get(url("/later")); });
   auto served = handler.next();
   format::HttpReply reply;
   reply.headers = {{"X", "a\r\nEvil: 1"}};
   EXPECT_FALSE(served.exchange->reply(std::move(reply)));
   const auto got = answer.get();
   EXPECT_EQ(got.status, 500);
   EXPECT_NE(asText(got.body).find("control character"), std::string_view::npos);
}

TEST_F(ServerTest, aClientThatLeavesIsNoticed) {
   start();
   auto raw = std::make_unique<Raw>(port);
   ASSERT_TRUE(raw->send(getLater));
   auto served = handler.next();
   raw.reset();
   EXPECT_EQ(served.ears->next(), "gone");
   EXPECT_TRUE(served.exchange->reply(textReply(200, "to nobody")));
   EXPECT_EQ(Client().get(url("/now")).status, 200);
}

TEST_F(ServerTest, aClientThatFinishedSendingStillGetsItsReply) {
   start();
   Raw raw(port);
   ASSERT_TRUE(raw.send(getLater));
   auto served = handler.next();
   raw.finishSending();
   EXPECT_EQ(served.ears->next(), "gone");
   ASSERT_TRUE(served.exchange->reply(textReply(200, "still")));
   EXPECT_NE(raw.read().find("still"), std::string::npos);
}

TEST_F(ServerTest, brokenRequestsGetAReasonAndTheConnectionEnds) {
   start();
   for (const auto& [text, status] : std::vector<std::pair<std::string, std::string>>{
            {"nonsense\r\n\r\n", "400"},
            {"GET / HTTP/1.1\r\n\r\n", "400"},
            {"PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", "405"},
            {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n" + std::string(100'000, 'x'), "413"},
            {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(40'000, 'x') + "\r\n\r\n", "431"}}) {
      Raw raw(port);
      raw.send(text);
      const auto reply = raw.read();
      EXPECT_TRUE(reply.starts_with("HTTP/1.1 " + status)) << text.substr(0, 40) << " -> " << reply;
      EXPECT_NE(reply.find("\r\n\r\n"), reply.size() - 4) << "no reason given";
   }
   EXPECT_EQ(Client().get(url("/now")).status, 200);
}

TEST_F(ServerTest, slowClientsAreCutOff) {
   Limits limits;
   limits.headerMs = limits.idleMs = limits.transferMs = 100;
   start(limits);
   Raw header(port), body(port), silent(port);
   header.send("GET / HTT");
   body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1");
   EXPECT_TRUE(header.read().starts_with("HTTP/1.1 408"));
   EXPECT_TRUE(body.read().starts_with("HTTP/1.1 408"));
   EXPECT_EQ(silent.read(), "");
   EXPECT_GE(server->stats().timeouts, 3u);
}

TEST_F(ServerTest, aReaderThatStopsIsCutOff) {
   Limits limits;
   limits.transferMs = 200;
   limits.transferBytesPerMs = 1 << 20;
   start(limits);
   Raw raw(port);
   raw.send(getLater);
   auto served = handler.next();
   format::HttpReply reply;
   reply.body.assign(std::size_t{64} << 20, 'x');
   ASSERT_TRUE(served.exchange->reply(std::move(reply)));
   const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patienceMs);
   while (server->stats().connections > 0 && std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
   EXPECT_EQ(server->stats().connections, 0u);
}

TEST_F(ServerTest, tooManyConnections) {
   Limits limits;
   limits.connectionsMax = 2;
   start(limits);
   Raw one(port), two(port);
   one.send(getLater);
   two.send(getLater);
   auto first = handler.next(), second = handler.next();
   Raw three(port);
   EXPECT_TRUE(three.read().starts_with("HTTP/1.1 503"));
   ASSERT_TRUE(first.exchange->reply(textReply(200, "one")));
   ASSERT_NE(one.readUntil("one\n"), "");
   // An idle connection gives way.
   EXPECT_EQ(Client().get(url("/now")).status, 200);
   EXPECT_EQ(one.read(), "");
   ASSERT_TRUE(second.exchange->reply(textReply(200, "two")));
   EXPECT_NE(two.readUntil("two\n"), "");
}

TEST_F(ServerTest, tooManyBodyBytes) {
   Limits limits;
   limits.heldBytesMax = 1000;
   limits.smallBytes = 0;
   start(limits);
   Raw one(port), two(port);
   const std::string post = "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 600\r\n\r\n" + std::string(600, 'x');
   one.send(post);
   auto served = handler.next();
   two.send(post);
   EXPECT_TRUE(two.read().starts_with("HTTP/1.1 503"));
   ASSERT_TRUE(served.exchange->reply(textReply(200, "ok")));
   one.readUntil("ok\n");
   one.send(post);
   ASSERT_TRUE(handler.next().exchange->reply(textReply(200, "ok")));
}

TEST(Sources, areAddressesAndHomes) {
   const auto v4 = [](std::uint8_t a, std::uint8_t b) {
      Peer peer;
      peer.address = {a, 0, 0, b};
      peer.addressBytes = 4;
      return sourceOf(peer);
   };
   const auto v6 = [](std::uint8_t network, std::uint8_t host) {
      Peer peer;
      peer.address = {0x20, 1, 0, 0, 0, 0, 0, network};
      peer.address[15] = host;
      peer.addressBytes = 16;
      return sourceOf(peer);
   };
   EXPECT_NE(v4(10, 1), v4(10, 2));
   EXPECT_EQ(v6(1, 1), v6(1, 2));
   EXPECT_NE(v6(1, 1), v6(2, 1));
   Peer own;
   own.addressBytes = 16;
   own.address[15] = 1;
   for (const auto source : {sourceOf(own), sourceOf(Peer{}), v4(127, 1), v4(127, 9)})
      EXPECT_TRUE(isOwnMachine(source));
   for (const auto source : {v4(10, 1), v4(128, 1), v6(1, 1), v4(0, 1)})
      EXPECT_FALSE(isOwnMachine(source));
}

namespace {
/// Addresses 127.0.0.… are strangers to each other.
Limits amongStrangers() {
   Limits limits;
   limits.shareOwnMachine = true;
   return limits;
}
std::string postOf(std::size_t bytes, std::size_t sent) {
   return "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" +
          std::string(sent, 'x');
}
} // namespace

TEST_F(ServerTest, largeRequestsOfOneSourceLeaveRoomForOthers) {
   Limits limits = amongStrangers();
   limits.heldBytesMax = 1'000'000;
   limits.sourceShare = 2;
   start(limits);
   Raw one(port, 2), more(port, 2), small(port, 2), other(port, 3);
   one.send(postOf(400'000, 399'999));
   more.send(postOf(400'000, 399'999));
   // One of the two was too much for its source.
   const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patienceMs);
   while (server->stats().badRequests == 0 && std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
   EXPECT_EQ(server->stats().badRequests, 1u);
   small.send(postOf(1000, 1000));
   ASSERT_TRUE(handler.next().exchange->reply(textReply(200, "small")));
   EXPECT_NE(small.readUntil("small\n"), "");
   other.send(postOf(400'000, 400'000));
   ASSERT_TRUE(handler.next().exchange->reply(textReply(200, "other")));
   EXPECT_NE(other.readUntil("other\n"), "");
}

TEST_F(ServerTest, repliesThatNobodyReadsGiveWay) {
   Limits limits = amongStrangers();
   constexpr std::size_t replyBytes = std::size_t{30} << 20;
   limits.heldBytesMax = 80 << 20;
   limits.sourceShare = 1;
   start(limits);
   std::vector<std::unique_ptr<Raw>> readers;
   for (const std::uint32_t from : {2u, 2u, 3u}) {
      readers.push_back(std::make_unique<Raw>(port, from));
      readers.back()->send(getLater);
      format::HttpReply reply;
      reply.body.assign(replyBytes, 'x');
      ASSERT_TRUE(handler.next().exchange->reply(std::move(reply)));
   }
   EXPECT_GT(readers[2]->read(replyBytes).size(), replyBytes - 1);
   EXPECT_LT(readers[0]->read().size(), replyBytes);
   EXPECT_GT(readers[1]->read(replyBytes).size(), replyBytes - 1);
}

TEST_F(ServerTest, oneSourceDoesNotTakeAllConnections) {
   Limits limits = amongStrangers();
   limits.connectionsMax = 8;
   start(limits);
   Raw one(port, 2), two(port, 2);
   one.send(getLater);
   two.send(getLater);
   const auto first = handler.next(), second = handler.next();
   Raw three(port, 2), other(port, 3);
   EXPECT_TRUE(three.read().starts_with("HTTP/1.1 503"));
   other.send(get);
   EXPECT_NE(other.readUntil("now\n"), "");
}

TEST_F(ServerTest, whoHasMostConnectionsGivesWay) {
   Limits limits = amongStrangers();
   limits.connectionsMax = 4;
   limits.sourceShare = 1;
   start(limits);
   std::vector<std::unique_ptr<Raw>> slow;
   for (int i = 0; i < 4; ++i) {
      slow.push_back(std::make_unique<Raw>(port, 2));
      slow.back()->send("GET /now HTT");
   }
   Raw other(port, 3);
   other.send(get);
   EXPECT_NE(other.readUntil("now\n").find(" 200 "), std::string::npos);
   int answered = 0;
   for (auto& raw : slow) {
      raw->send("P/1.1\r\nHost: a\r\n\r\n");
      answered += !raw->readUntil("now\n").empty();
   }
   EXPECT_EQ(answered, 3);
}

TEST_F(ServerTest, slowRequestsOfThisMachineGiveWayToItsOthers) {
   Limits limits;
   limits.connectionsMax = 4;
   start(limits);
   std::vector<std::unique_ptr<Raw>> slow;
   for (int i = 0; i < 4; ++i) {
      slow.push_back(std::make_unique<Raw>(port));
      slow.back()->send("GET /now HTT");
   }
   Raw other(port);
   other.send(get);
   EXPECT_NE(other.readUntil("now\n").find(" 200 "), std::string::npos);
   int answered = 0;
   for (auto& raw : slow) {
      raw->send("P/1.1\r\nHost: a\r\n\r\n");
      answered += !raw->readUntil("now\n").empty();
   }
   EXPECT_EQ(answered, 3);
}

/// A few addresses must not hold every place with what is never idle, as WebSockets.
TEST_F(ServerTest, aCrowdOfOneSourceGivesWayWhateverItIsAt) {
   Limits limits = amongStrangers();
   limits.connectionsMax = 8;
   limits.sourceShare = 1;
   start(limits);
   std::vector<std::unique_ptr<Raw>> crowd;
   std::vector<Served> served;
   for (int i = 0; i < 8; ++i) {
      crowd.push_back(std::make_unique<Raw>(port, 2));
      crowd.back()->send(getLater);
      served.push_back(handler.next());
   }
   Raw other(port, 3);
   other.send(get);
   EXPECT_NE(other.readUntil("now\n").find(" 200 "), std::string::npos);
   int answered = 0;
   for (std::size_t i = 0; i < crowd.size(); ++i) {
      (void)served[i].exchange->reply(textReply(200, "later"));
      answered += !crowd[i]->readUntil("later\n").empty();
   }
   EXPECT_EQ(answered, 7);
}

TEST_F(ServerTest, webSocketMessagesCountAsTheyCome) {
   Limits limits = amongStrangers();
   limits.heldBytesMax = 1'000'000;
   start(limits);
   Raw raw(port);
   raw.send(upgrade);
   auto served = handler.next();
   ASSERT_TRUE(served.exchange->reply(upgraded()));
   EXPECT_EQ(served.ears->next(), "opened");
   // A masked binary frame of 16 MiB, of which a part comes: allowed by its size, not beside everything else.
   raw.send(std::string("\x82\xFF\0\0\0\0\x01\0\0\0", 10) + std::string(4, '\0') + std::string(500'000, 'x'));
   EXPECT_EQ(served.ears->next(), "gone");
}

TEST_F(ServerTest, headAndContinueAndHttp10) {
   start();
   format::HttpRequest request;
   request.method = "HEAD";
   EXPECT_EQ(Client().send(url("/now"), request).body.size(), 0u);
   Raw raw(port);
   raw.send("POST /later HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
   EXPECT_EQ(raw.readUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
   raw.send("hi");
   auto served = handler.next();
   EXPECT_EQ(asText(served.request.body), "hi");
   ASSERT_TRUE(served.exchange->reply(textReply(200, "done")));
   EXPECT_TRUE(raw.readUntil("done\n").starts_with("HTTP/1.1 200"));
   Raw old(port);
   old.send("GET /now HTTP/1.0\r\nHost: a\r\n\r\n");
   EXPECT_TRUE(old.read().starts_with("HTTP/1.0 200"));
}

TEST_F(ServerTest, webSocketBothWays) {
   start();
   format::HttpRequest request;
   request.method = "GET";
   request.host = "localhost:" + std::to_string(port);
   request.target = "/socket";
   request.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"X-Mine", "1"}};
   auto ears = std::make_shared<Ears>();
   auto client = server->open(std::move(request), nullptr, false, ears);
   auto served = handler.next();
   std::string key, mine;
   for (const auto& h : served.request.headers) {
      if (equalsIgnoringCase(h.name, "Sec-WebSocket-Key"))
         key = h.value;
      if (h.name == "X-Mine")
         mine = h.value;
   }
   EXPECT_EQ(mine, "1");
   format::HttpReply reply;
   reply.status = 101;
   reply.headers = {
       {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", webSocketAccept(key)}};
   ASSERT_TRUE(served.exchange->reply(std::move(reply)));
   EXPECT_TRUE(served.exchange->send(toBytes("early"), MessageKind::text));
   EXPECT_EQ(ears->next().substr(0, 12), "answered 101");
   EXPECT_EQ(ears->next(), "opened");
   EXPECT_EQ(served.ears->next(), "opened");
   client->receive();
   EXPECT_EQ(ears->next(), "text early");
   client->send(toBytes("one"), MessageKind::binary);
   client->send(toBytes("two"), MessageKind::text);
   served.exchange->receive();
   EXPECT_EQ(served.ears->next(), "binary one");
   served.exchange->receive();
   EXPECT_EQ(served.ears->next(), "text two");
   client->close();
   EXPECT_EQ(served.ears->next(), "gone");
   EXPECT_EQ(server->stats().requests, 1u);
}

TEST_F(ServerTest, webSocketAgainstABadFrame) {
   Limits limits;
   limits.lingerMs = 100;
   start(limits);
   Raw raw(port);
   raw.send(upgrade);
   auto served = handler.next();
   ASSERT_TRUE(served.exchange->reply(upgraded()));
   EXPECT_TRUE(raw.readUntil("\r\n\r\n").starts_with("HTTP/1.1 101"));
   EXPECT_EQ(served.ears->next(), "opened");
   raw.send(std::string(20, '\xFF'));
   EXPECT_EQ(served.ears->next(), "gone");
}

TEST_F(ServerTest, whoeverUpgradesHearsTheWebSocket) {
   start();
   Raw raw(port);
   raw.send(upgrade);
   auto served = handler.next();
   const auto heir = std::make_shared<Ears>();
   served.exchange->setEvents(heir); // on this thread, not the server's
   ASSERT_TRUE(served.exchange->reply(upgraded()));
   EXPECT_EQ(heir->next(), "opened");
   raw.close();
   EXPECT_EQ(heir->next(), "gone");

   // The peer may have gone before.
   Raw hasty(port);
   hasty.send(upgrade);
   auto left = handler.next();
   hasty.close();
   EXPECT_EQ(left.ears->next(), "gone");
   left.exchange->setEvents(heir);
   EXPECT_EQ(heir->next(), "gone");
}

TEST_F(ServerTest, outgoingRequests) {
   start();
   const auto ask = [&](std::string target, std::uint16_t toPort) {
      format::HttpRequest request;
      request.method = "GET";
      request.host = "x.localhost:" + std::to_string(toPort);
      request.target = std::move(target);
      auto ears = std::make_shared<Ears>();
      auto exchange = server->open(std::move(request), nullptr, false, ears);
      return ears->next();
   };
   EXPECT_EQ(ask("/now", port), "answered 200 now\n");
   EXPECT_EQ(ask("/no w", port), "gone");
   EXPECT_EQ(ask("/now", 1), "failed: Connection refused");
}

TEST_F(ServerTest, stopLetsRunningRequestsFinish) {
   start();
   Raw idle(port), busy(port);
   idle.send(get);
   idle.readUntil("now\n");
   busy.send(getLater);
   auto served = handler.next();
   auto stopping = std::async(std::launch::async, [&] { server->stop(patienceMs); });
   EXPECT_EQ(idle.read(), "");
   ASSERT_TRUE(served.exchange->reply(textReply(200, "last")));
   EXPECT_NE(busy.read().find("last"), std::string::npos);
   busy.close();
   stopping.get();
   EXPECT_TRUE(served.exchange->reply(textReply(200, "after the end")));
}

TEST_F(ServerTest, stopDoesNotWaitForever) {
   start();
   Raw busy(port);
   busy.send(getLater);
   auto served = handler.next();
   server->stop(50);
   EXPECT_EQ(served.ears->next(), "gone");
   EXPECT_EQ(busy.read(), "");
}

TEST_F(ServerTest, localSocketAndFaults) {
   start();
   EXPECT_THROW(server->listen({ListenAddress::Kind::http, "127.0.0.1", port}), Fault);
   EXPECT_THROW(server->listen({ListenAddress::Kind::http, "not an address", 0}), Fault);
   EXPECT_THROW(server->listen({ListenAddress::Kind::https, "127.0.0.1", 0}), Fault);
   EXPECT_THROW(Server(Server::Options{{}, TlsFiles{"/nowhere", "/nowhere"}}, handler), Fault);
   EXPECT_THROW(Client().get(*parseUrl("http://127.0.0.1:1/")), Fault);
}

TEST_F(ServerTest, tls) {
   const auto dir = std::filesystem::temp_directory_path() / ("polis_http_" + std::to_string(::getpid()));
   std::filesystem::create_directories(dir);
   const std::string cert = dir / "cert.pem", key = dir / "key.pem";
   const std::string make =
       "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
       "-addext subjectAltName=DNS:localhost,DNS:*.polis.localhost -keyout " +
       key + " -out " + cert + " 2>/dev/null";
   ASSERT_EQ(std::system(make.c_str()), 0);
   server = std::make_unique<Server>(Server::Options{{}, TlsFiles{cert, key}}, handler);
   port = server->listen({ListenAddress::Kind::https, "127.0.0.1", 0});
   server->start();
   auto secure = url("/now");
   secure.tls = true;
   secure.host = "app.polis.localhost";
   Client client({.timeoutMs = patienceMs, .trustFile = cert});
   for (int i = 0; i < 2; ++i)
      EXPECT_EQ(asText(client.get(secure).body), "now\n");
   EXPECT_EQ(server->stats().accepted, 1u);
   EXPECT_THROW(Client().get(secure), Fault) << "a certificate that nobody trusts";
   // Whoever asks on behalf of a service is told why there is no connection.
   format::HttpRequest request;
   request.method = "GET";
   request.host = "app.polis.localhost:" + std::to_string(port);
   request.target = "/now";
   auto ears = std::make_shared<Ears>();
   auto exchange = server->open(std::move(request), nullptr, true, ears);
   EXPECT_EQ(ears->next(), "failed: its certificate is not accepted: self-signed certificate");
   EXPECT_EQ(ears->next(), "gone");
   Raw plain(port);
   plain.send(get);
   plain.read();
   EXPECT_EQ(asText(client.get(secure).body), "now\n");
   std::filesystem::remove_all(dir);
}

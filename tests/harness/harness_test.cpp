// What the tests of whole networks rest on: links that do what they are told, and a history that notices lies.
#include "harness/history.hpp"
#include "harness/open_metrics.hpp"
#include "harness/relay.hpp"
#include "harness/test_network.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

namespace polis::harness {

namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

std::string receive(int fd, std::chrono::milliseconds patience) {
   pollfd waiting{fd, POLLIN, 0};
   char part[4096];
   if (::poll(&waiting, 1, static_cast<int>(patience.count())) <= 0)
      return "nothing";
   const auto got = ::recv(fd, part, sizeof part, 0);
   return got > 0 ? std::string(part, static_cast<std::size_t>(got)) : "the end";
}

void say(int fd, std::string_view text) { ::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

Fd dial(std::uint16_t port) {
   Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
   sockaddr_in address{};
   address.sin_family = AF_INET;
   address.sin_port = htons(port);
   address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
   if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("nobody listens");
   return fd;
}

Fd accepted(const Fd& listener) {
   pollfd waiting{listener.get(), POLLIN, 0};
   ::poll(&waiting, 1, 5000);
   return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

const History::Time start = Steady::now();

} // namespace

class RelayTest : public testing::Test {
protected:
   RelayTest() : listener_(listenAnywhere(port_)), way_(relay_.add(port_)) {
      here_ = dial(relay_.port(way_));
      there_ = accepted(listener_);
   }
   std::uint16_t port_ = 0;
   Fd listener_;
   Relay relay_;
   std::size_t way_;
   Fd here_, there_;
};

TEST_F(RelayTest, passesOnBothWays) {
   say(here_.get(), "question");
   EXPECT_EQ(receive(there_.get(), 5s), "question");
   say(there_.get(), "answer");
   EXPECT_EQ(receive(here_.get(), 5s), "answer");
   EXPECT_EQ(relay_.traffic(way_, true).bytes, 8u);
   EXPECT_EQ(relay_.traffic(way_, false).bytes, 6u);
   here_ = Fd();
   EXPECT_EQ(receive(there_.get(), 5s), "the end");
}

TEST_F(RelayTest, delaysEachWayByItself) {
   relay_.set(way_, true, {.delay = 60ms});
   const auto before = Steady::now();
   say(here_.get(), "late");
   EXPECT_EQ(receive(there_.get(), 5s), "late");
   EXPECT_GE(Steady::now() - before, 60ms); // never early; how late is the machine's business
   EXPECT_EQ(relay_.link(way_, false).delay, 0ms);
}

TEST_F(RelayTest, holdsWhatIsCutOneWay) {
   relay_.set(way_, true, {.cut = true});
   say(here_.get(), "held");
   EXPECT_EQ(receive(there_.get(), 100ms), "nothing");
   say(there_.get(), "the other way");
   EXPECT_EQ(receive(here_.get(), 5s), "the other way");
   here_ = Fd(); // whoever is cut off does not hear of the end either
   EXPECT_EQ(receive(there_.get(), 100ms), "nothing");
   relay_.set(way_, true, {});
   EXPECT_EQ(receive(there_.get(), 5s), "held");
   EXPECT_EQ(receive(there_.get(), 5s), "the end");
}

TEST_F(RelayTest, endsWhereNobodyListens) {
   relay_.leadTo(way_, 0);
   EXPECT_EQ(receive(dial(relay_.port(way_)).get(), 5s), "the end");
   std::uint16_t closed = 0;
   {
      const auto briefly = listenAnywhere(closed);
   }
   relay_.leadTo(way_, closed);
   EXPECT_EQ(receive(dial(relay_.port(way_)).get(), 5s), "the end");
   // Those that stand stay.
   say(here_.get(), "still there");
   EXPECT_EQ(receive(there_.get(), 5s), "still there");
}

/// Runs in a process of node's own: says a word to the other node (10.77.0.x:port) and waits for it to come back.
/// The exit status: 0: it came; 1: it did not come in time.
int echoStatus(TestNetwork& network, std::size_t node, const char* address, std::uint16_t port,
               std::chrono::milliseconds patience) {
   const pid_t child = ::fork();
   if (child == 0) {
      network.enter(node);
      const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(port);
      ::inet_pton(AF_INET, address, &to.sin_addr);
      const timeval longest{patience.count() / 1000, patience.count() % 1000 * 1000};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
      ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
      char word[5] = "word";
      const bool came = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
                        ::send(fd, word, 4, MSG_NOSIGNAL) == 4 && ::recv(fd, word, 4, MSG_WAITALL) == 4;
      ::_exit(came ? 0 : 1);
   }
   int status = 0;
   ::waitpid(child, &status, 0);
   return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(PacketNetworkTest, delaysAndCuts) {
   std::unique_ptr<TestNetwork> network;
   try {
      network = TestNetwork::make(2, TestNetwork::Kind::packets);
   } catch (const std::runtime_error& error) {
      GTEST_SKIP() << error.what();
   }
   constexpr std::uint16_t port = 9000;
   int ready[2];
   ASSERT_EQ(::pipe(ready), 0);
   const pid_t echo = ::fork();
   if (echo == 0) {
      network->enter(1);
      const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in here{};
      here.sin_family = AF_INET;
      here.sin_port = htons(port);
      if (::bind(listener, reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 || ::listen(listener, 8) != 0)
         ::_exit(1);
      (void)!::write(ready[1], "r", 1);
      while (true) {
         const int fd = ::accept(listener, nullptr, nullptr);
         char word[4];
         if (::recv(fd, word, sizeof word, MSG_WAITALL) == 4)
            ::send(fd, word, sizeof word, MSG_NOSIGNAL);
      }
   }
   char letter = 0;
   ASSERT_EQ(::read(ready[0], &letter, 1), 1);
   const auto* there = "10.77.0.2";
   EXPECT_EQ(echoStatus(*network, 0, there, port, 5s), 0);
   const auto bytes = network->traffic(0, 1).bytes;
   EXPECT_GT(bytes, 100u);
   for (const std::size_t from : {0u, 1u})
      network->set(from, 1 - from, {.delay = 30ms});
   const auto before = Steady::now();
   EXPECT_EQ(echoStatus(*network, 0, there, port, 5s), 0);
   EXPECT_GE(Steady::now() - before, 120ms); // there and back, for the connection and for the word
   network->set(1, 0, {.cut = true});
   EXPECT_EQ(echoStatus(*network, 0, there, port, 300ms), 1);
   EXPECT_GT(network->traffic(0, 1).bytes, bytes); // this way is open
   network->set(1, 0, {.loss = 0.2});
   EXPECT_EQ(echoStatus(*network, 0, there, port, 20s), 0); // sent again until it came
   ::kill(echo, SIGKILL);
   ::waitpid(echo, nullptr, 0);
   ::close(ready[0]);
   ::close(ready[1]);
}

TEST(HistoryTest, ofAGoodChain) {
   History history;
   EXPECT_TRUE(history.block(0, 5, "A", {"s5", "t1"}));
   EXPECT_FALSE(history.block(1, 5, "A", {"s5", "t1"}));
   history.block(1, 6, "B", {"s6", "t2", "t3"});
   history.reported("t1", start, start + 1s);
   history.reported("t3", start + 2s, start + 4s);
   history.reported("t2", start + 3s, start + 5s); // the other one was not yet answered
   history.conclude();
   EXPECT_TRUE(history.problems().empty());
   EXPECT_EQ(history.highest(), 6u);
   EXPECT_EQ(history.reportedCount(), 3u);
   EXPECT_EQ(history.transactionCount(), 5u);
   EXPECT_EQ(history.latenciesMs(), (std::vector<double>{1000, 2000, 2000}));
}

TEST(HistoryTest, noticesWhatIsWrong) {
   const auto problems = [](const std::function<void(History&)>& happens) {
      History history;
      history.block(0, 5, "A", {"t1"});
      history.block(0, 6, "B", {"t2"});
      happens(history);
      history.conclude();
      const auto found = history.problems();
      return found.empty() ? std::string() : found.front();
   };
   EXPECT_EQ(problems([](History&) {}), "");
   EXPECT_NE(problems([](History& h) { h.block(1, 6, "C", {"t2"}); }).find("irreversible on both"), std::string::npos);
   EXPECT_NE(problems([](History& h) { h.block(0, 6, "B", {}); }).find("does not hold"), std::string::npos);
   EXPECT_NE(problems([](History& h) { h.block(0, 8, "D", {}); }).find("no node showed block 7"), std::string::npos);
   EXPECT_NE(problems([](History& h) { h.block(0, 7, "D", {"t1"}); }).find("twice"), std::string::npos);
   EXPECT_NE(problems([](History& h) { h.reported("t9", start, start + 1s); }).find("is not in the chain"),
             std::string::npos);
   EXPECT_NE(problems([](History& h) {
                h.reported("t2", start, start + 1s);
                h.reported("t1", start + 2s, start + 3s);
             }).find("comes before it"),
             std::string::npos);
}

TEST(OpenMetricsTest, reads) {
   const auto metrics = parseOpenMetrics("# TYPE a counter\n# UNIT a bytes\n# EOF\n");
   EXPECT_EQ(metrics.error(), "a does not end in its unit");
   const auto good = parseOpenMetrics("# TYPE up gauge\n# HELP up Whether.\nup 1\n"
                                      "# TYPE t_seconds histogram\n# UNIT t_seconds seconds\n"
                                      "t_seconds_bucket{le=\"0.1\"} 1\nt_seconds_bucket{le=\"2\"} 3\n"
                                      "t_seconds_bucket{le=\"+Inf\"} 4\nt_seconds_count 4\nt_seconds_sum 9.5\n"
                                      "# TYPE p gauge\np{w=\"a\\\"\\n\\\\\"} 2\n# EOF\n");
   ASSERT_TRUE(good) << good.error();
   EXPECT_EQ(metricValue(*good, "up"), 1);
   EXPECT_EQ(metricQuantile(*good, "t_seconds", 0.5), 2);
   EXPECT_EQ(metricQuantile(*good, "t_seconds", 0.25), 0.1);
   EXPECT_EQ(good->at("p").samples.at(0).labels.at("w"), "a\"\n\\");
   EXPECT_THROW((void)metricValue(*good, "down"), std::runtime_error);
}

TEST(OpenMetricsTest, refuses) {
   for (const char* text :
        {"", "# EOF", "# EOF\nx 1\n", "a 1\n# EOF\n", "# TYPE a gauge\nb 1\n# EOF\n", "# TYPE a gauge\na one\n# EOF\n",
         "# TYPE a gauge\na 1\na 2\n# EOF\n", "# TYPE a counter\na 1\n# EOF\n", "# TYPE a counter\na_total -1\n# EOF\n",
         "# TYPE a gauge\na{b=\"c} 1\n# EOF\n", "# TYPE a gauge\na{1b=\"c\"} 1\n# EOF\n", "# TYPE a shape\n# EOF\n",
         "# TYPE a gauge\na 1\n# HELP a Late.\n# EOF\n", "# TYPE a gauge\n# TYPE b gauge\n# TYPE a gauge\n# EOF\n",
         "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum 1\n# EOF\n",
         "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 2\nh_sum 1\n# EOF\n",
         "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\nh_sum 1\n# EOF\n",
         "# TYPE s stateset\ns{other=\"x\"} 1\n# EOF\n", "# TYPE i info\ni_info{v=\"1\"} 2\n# EOF\n"})
      EXPECT_FALSE(parseOpenMetrics(text)) << text;
}

} // namespace polis::harness

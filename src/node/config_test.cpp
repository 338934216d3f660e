#include "base/bytes.hpp"
#include "base/fault.hpp"
#include "node/config.hpp"
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace polis;
using namespace polis::node;

TEST(Config, readsAndWritesTheSame) {
   const std::string text =
       "# comment\n\nproducer = prod\nhost=a.example\nhost = b.example\r\nlisten = 127.0.0.1:8080\np2p\n"
       "tls-cert = /c.pem\nmin-interval = 100\nkeep-blocks = 5000\nservice-threads = 3\nhttp-timeout = 5\nmount = "
       "/srv\nchain = " +
       std::string(64, '0') + "\n";
   const auto config = parseConfig(text);
   ASSERT_TRUE(config) << config.error();
   EXPECT_EQ(config->producer, "prod");
   EXPECT_EQ(config->hosts, (std::vector<std::string>{"a.example", "b.example"}));
   EXPECT_TRUE(config->p2p);
   EXPECT_EQ(config->minIntervalMs, 100u);
   const auto again = parseConfig(formatConfig(*config));
   ASSERT_TRUE(again) << again.error();
   EXPECT_EQ(formatConfig(*again), formatConfig(*config));
}

TEST(Config, saysWhichLineIsWrong) {
   for (const auto& [text, part] :
        std::vector<std::pair<std::string, std::string>>{{"producer = a\nfoo = 1", "line 2"},
                                                         {"min-interval = 99", "100 to 1000"},
                                                         {"chain = 00", "64 hexadecimal"},
                                                         {"keep-blocks = 1", "at least 250"},
                                                         {"service-threads = x", "number"}}) {
      const auto config = parseConfig(text);
      ASSERT_FALSE(config) << text;
      EXPECT_NE(config.error().find(part), std::string::npos) << config.error();
   }
}

TEST(Config, theCommandLineComesFirst) {
   Config mine, file;
   mine.producer = "mine";
   file.producer = "file";
   file.hosts = {"h"};
   file.minIntervalMs = 200;
   mine.fillFrom(file);
   EXPECT_EQ(mine.producer, "mine");
   EXPECT_EQ(mine.hosts, file.hosts);
   EXPECT_EQ(mine.minIntervalMs, 200u);
}

TEST(Config, listenAddresses) {
   using Kind = http::ListenAddress::Kind;
   EXPECT_EQ(parseListen("8080")->port, 8080);
   EXPECT_EQ(parseListen("8080")->address, "127.0.0.1");
   EXPECT_EQ(parseListen("0.0.0.0:80")->address, "0.0.0.0");
   EXPECT_EQ(parseListen("[::1]:81")->address, "::1");
   EXPECT_EQ(parseListen("https://[::]:443")->kind, Kind::https);
   EXPECT_EQ(parseListen("http://localhost:8080/")->address, "127.0.0.1");
   EXPECT_EQ(parseListen("/run/polis.sock")->kind, Kind::local);
   for (const char* bad : {"", ":", "a:", "1.2.3.4:99999", "::1:80", "x"})
      EXPECT_FALSE(parseListen(bad)) << bad;
}

TEST(Config, hostJsonThereAndBack) {
   Config config;
   config.producer = "prod";
   config.hosts = {"a.example"};
   config.listen = {"127.0.0.1:8080", "https://[::]:8443", "/run/s"};
   config.tlsCertificate = "/c";
   const auto back = parseHostJson(config.hostJson());
   ASSERT_TRUE(back) << back.error();
   EXPECT_EQ(back->hostJson(), config.hostJson());
   EXPECT_FALSE(parseHostJson("{"));
   EXPECT_FALSE(parseHostJson(R"({"host":{"producer":"Not A Name"}})"));
   EXPECT_FALSE(parseHostJson(R"({"host":{"listen":[{"protocol":"gopher","port":1}]}})"));
   EXPECT_FALSE(parseHostJson(R"({"service":{"config":{"host":["a\nkey = /etc/passwd"]}}})"));
}

TEST(Config, filesAreReplacedWhole) {
   const auto folder = std::filesystem::temp_directory_path() / ("polis_config_" + std::to_string(::getpid()));
   std::filesystem::create_directories(folder);
   EXPECT_EQ(loadConfig(folder / "config").producer, "");
   Config config;
   config.producer = "prod";
   saveConfig(folder / "config", config);
   EXPECT_EQ(loadConfig(folder / "config").producer, "prod");
   EXPECT_EQ(std::filesystem::status(folder / "config").permissions(), std::filesystem::perms(0600));
   std::ofstream(folder / "config") << "nonsense";
   EXPECT_THROW(loadConfig(folder / "config"), Fault);
   std::filesystem::remove_all(folder);
}

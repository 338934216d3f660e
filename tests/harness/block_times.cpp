// block_times: follows a node on this machine and checks that no two block times are more than a second apart, and none
// equal; with a load of transfers beside it where asked.
#include "harness/chain_client.hpp"

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <stdexcept>
#include <thread>

namespace {

using namespace polis;
using namespace polis::format::literals;
using harness::action;
using harness::ChainClient;
using Steady = std::chrono::steady_clock;

constexpr std::int64_t secondUs = 1'000'000;
constexpr auto pollEvery = std::chrono::seconds(3);

struct Options {
   std::uint16_t port = 8080;
   long seconds = 60;
   long transfersPerSecond = 0;
};

long number(const char* text) {
   long value = 0;
   const char* end = text + std::char_traits<char>::length(text);
   if (std::from_chars(text, end, value).ptr != end || value < 0)
      throw std::runtime_error(std::string("not a number: ") + text);
   return value;
}

Options parse(int argc, char** argv) {
   Options options;
   for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      if (i + 1 == argc)
         throw std::runtime_error("usage: block_times [--port N] [--seconds N] [--load TRANSFERS-PER-SECOND]");
      const long value = number(argv[i + 1]);
      if (name == "--port")
         options.port = static_cast<std::uint16_t>(value);
      else if (name == "--seconds")
         options.seconds = value;
      else if (name == "--load")
         options.transfersPerSecond = value;
      else
         throw std::runtime_error("unknown option " + name);
   }
   return options;
}

/// Microseconds since 1970 of 2026-11-24T15:04:05.123Z, with or without a fraction.
std::int64_t timeOf(const std::string& text) {
   std::tm tm{};
   int read = 0;
   if (std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
                   &tm.tm_sec, &read) != 6)
      throw std::runtime_error("not a time: " + text);
   tm.tm_year -= 1900;
   tm.tm_mon -= 1;
   std::int64_t us = static_cast<std::int64_t>(timegm(&tm)) * secondUs;
   std::int64_t unit = secondUs / 10;
   if (text[static_cast<std::size_t>(read)] == '.')
      for (auto at = static_cast<std::size_t>(read) + 1; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
         us += (text[at] - '0') * unit;
         unit /= 10;
      }
   return us;
}

/// Value of `name` behind `from` in one flat JSON object, without quotes.
std::string member(const std::string& json, std::string_view name, std::size_t from, std::size_t& end) {
   const std::string key = "\"" + std::string(name) + "\":";
   const auto at = json.find(key, from);
   if (at == std::string::npos)
      return end = at, std::string();
   const auto begin = at + key.size();
   end = json.find_first_of(",}", begin);
   std::string value = json.substr(begin, end - begin);
   std::erase(value, '"');
   return value;
}

/// Times and numbers of transactions by block number, of the newest blocks.
struct Block {
   std::int64_t timeUs = 0;
   long transactions = 0;
};
std::map<long, Block> newest(const ChainClient& client) {
   const auto answer = client.get("explorer", "/api/blocks?limit=100");
   if (answer.status != 200)
      throw std::runtime_error("the explorer does not answer: " + answer.body.substr(0, 300));
   std::map<long, Block> blocks;
   for (std::size_t at = 0;;) {
      const auto num = member(answer.body, "num", at, at);
      if (at == std::string::npos)
         return blocks;
      const auto start = at;
      const auto time = member(answer.body, "time", start, at);
      const auto transactions = member(answer.body, "transactions", start, at);
      blocks[number(num.c_str())] = {timeOf(time), number(transactions.c_str())};
   }
}

/// Transfers from one account to another and back, at a steady rate.
class Load {
public:
   Load(const ChainClient& client, long perSecond) : client_(client) {
      if (perSecond == 0)
         return;
      for (const auto name : {"load-one", "load-two"}) {
         client.mustPush({action("prod", "accounts", "newAccount", format::AccountNumber{name}, "auth-any"_a, false)});
         client.mustPush({action(name, "tokens", "setUserConf", std::uint8_t{0}, true)});
      }
      client.mustPush({action("load-one", "faucet-tok", "dispense", "load-one"_a)});
      thread_ = std::thread([this, perSecond] { run(perSecond); });
   }
   ~Load() { stop(); }
   void stop() {
      stop_ = true;
      if (thread_.joinable())
         thread_.join();
   }
   std::atomic<long> done = 0, refused = 0;
   std::string firstRefused;

private:
   void run(long perSecond) {
      const auto start = Steady::now();
      for (long i = 0; !stop_; ++i) {
         std::this_thread::sleep_until(start + std::chrono::microseconds(secondUs * i / perSecond));
         try {
            const auto answer =
                client_.push(client_.transaction({action("load-one", "tokens", "credit", std::uint32_t{1}, "load-two"_a,
                                                         harness::Quantity{1}, std::to_string(i))}));
            if (ChainClient::succeeded(answer)) {
               ++done;
            } else if (++refused == 1) {
               firstRefused = answer.body.substr(0, 400);
            }
         } catch (const std::runtime_error& error) {
            if (++refused == 1)
               firstRefused = error.what();
         }
      }
   }
   const ChainClient client_;
   std::atomic<bool> stop_ = false;
   std::thread thread_;
};

int follow(const Options& options) {
   const ChainClient client{options.port};
   Load load(client, options.transfersPerSecond);
   const auto end = Steady::now() + std::chrono::seconds(options.seconds);
   std::map<long, Block> seen;
   while (Steady::now() < end) {
      for (const auto& [num, block] : newest(client))
         if (seen.empty() || num >= seen.begin()->first)
            seen[num] = block;
      std::this_thread::sleep_for(pollEvery);
   }
   load.stop();

   long equal = 0, late = 0, missing = 0, transactions = 0;
   std::int64_t least = INT64_MAX, most = 0;
   for (auto it = std::next(seen.begin()); it != seen.end(); ++it) {
      const auto& [before, first] = *std::prev(it);
      const auto& [num, block] = *it;
      transactions += block.transactions;
      if (num != before + 1) {
         ++missing;
         continue;
      }
      const auto apart = block.timeUs - first.timeUs;
      least = std::min(least, apart);
      most = std::max(most, apart);
      equal += apart <= 0;
      late += apart > secondUs;
      if (apart <= 0 || apart > secondUs)
         std::cout << "block " << num << " is " << apart << " us after the one before\n";
   }
   std::cout << "{\"blocks\":" << seen.size() << ",\"seconds\":" << options.seconds
             << ",\"transactions\":" << transactions << ",\"transfers\":" << load.done
             << ",\"refused\":" << load.refused << ",\"leastApartUs\":" << least << ",\"mostApartUs\":" << most
             << ",\"equalOrEarlier\":" << equal << ",\"moreThanASecondApart\":" << late
             << ",\"gapsNotSeen\":" << missing << "}\n";
   if (load.refused)
      std::cout << "first refusal: " << load.firstRefused << "\n";
   return equal || late || missing || load.refused || seen.size() < 2 ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
   try {
      return follow(parse(argc, argv));
   } catch (const std::runtime_error& error) {
      std::cerr << error.what() << "\n";
      return 2;
   }
}

// Several real nodes on loopback, each with a producer's name and key, all connected.
#pragma once

#include "base/temporary_folder.hpp"
#include "e2e/fixture.hpp"

#include "format/json.hpp"
#include "harness/command.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace polis::e2e {

/// Waits until the condition holds; false after a minute. A node that does not answer makes it false for the moment.
inline bool soon(const std::function<bool()>& condition) {
   for (int i = 0; i < 1200; ++i) {
      try {
         if (condition())
            return true;
      } catch (const std::runtime_error&) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
   }
   return false;
}

/// The first makes the chain and is its only producer; the others follow it until somebody decides otherwise.
class Cluster {
public:
   static constexpr const char* names[] = {"prod", "ada", "ben", "eve", "fay", "gus", "ida"};

   explicit Cluster(std::size_t count, std::vector<std::string> arguments = {}) : arguments_(std::move(arguments)) {
      while (nodes_.size() < count)
         add();
   }

   /// One node more, which follows.
   harness::NodeProcess& add() {
      const std::size_t index = nodes_.size();
      harness::NodeProcess::Options options;
      options.arguments = arguments_;
      options.arguments.insert(options.arguments.end(), {"--p2p", "--key", keyFile(index)});
      options.follows = index > 0;
      if (index > 0)
         options.arguments.insert(options.arguments.end(), {"--producer", names[index]});
      for (const auto& node : nodes_)
         options.arguments.insert(options.arguments.end(),
                                  {"--peer", "http://polis.localhost:" + std::to_string(node->port())});
      nodes_.push_back(std::make_unique<harness::NodeProcess>(options));
      const auto num = chain(0).irreversible.num;
      if (!soon([&] { return chain(index).irreversible.num >= num; }))
         throw std::runtime_error("it does not follow:\n" + logs());
      return *nodes_.back();
   }

   std::size_t size() const { return nodes_.size(); }
   harness::NodeProcess& operator[](std::size_t index) { return *nodes_[index]; }
   ChainClient client(std::size_t index) const { return ChainClient{nodes_[index]->port()}; }
   std::string keyFile(std::size_t index) const {
      return (keys_.path() / (std::string(names[index]) + ".pem")).string();
   }
   format::PrivateKey key(std::size_t index) const {
      return *format::PrivateKey::fromPem(asText(readAll(keyFile(index))));
   }

   /// Makes the first `count` nodes the producers. kind: --bft or --cft. signers: how many of the present ones sign.
   /// through: the node that is asked.
   void producers(const std::string& kind, std::size_t count, std::size_t signers, std::size_t through = 0) {
      std::vector<std::string> words{"producers", kind, "--url",
                                     "http://polis.localhost:" + std::to_string(nodes_[through]->port())};
      for (std::size_t i = 0; i < count; ++i)
         words.push_back(std::string(names[i]) + "=" + keyFile(i));
      for (std::size_t i = 0; i < signers; ++i)
         words.insert(words.end(), {"--sign", keyFile(i)});
      const auto result = harness::runPolis(words);
      if (result.status != 0)
         throw std::runtime_error(result.output);
   }

   struct Place {
      std::uint32_t num = 0;
      std::string id{};
   };
   struct Chain {
      Place head{};
      Place irreversible{};
   };
   /// Throws std::runtime_error when the node does not answer.
   Chain chain(std::size_t index) const {
      const auto answer = client(index).get("x-admin", "/native/admin/chain");
      auto chain = format::fromJson<Chain>(answer.body);
      if (!chain)
         throw std::runtime_error("no chain: " + answer.body);
      return std::move(*chain);
   }
   std::string block(std::size_t index, std::uint32_t num) const {
      return client(index).get("explorer", "/api/block?num=" + std::to_string(num)).body;
   }
   /// Whoever made the head of a node's chain.
   std::size_t leader(std::size_t as) const {
      const auto text = block(as, chain(as).head.num);
      for (std::size_t i = 0; i < size(); ++i)
         if (text.find("\"producer\":\"" + std::string(names[i]) + "\"") != std::string::npos)
            return i;
      throw std::runtime_error("nobody has made this block: " + text.substr(0, 400));
   }

   /// Says something on the chain through a node, and waits until that is irreversible.
   void greet(std::size_t through, const std::string& text) const {
      const auto secret = key(0);
      client(through).mustPush({action("prod", "hello", "greet", text)}, &secret);
   }
   std::string greetings(std::size_t index) const { return client(index).get("hello", "/api/greetings").body; }

   std::string logs() const {
      std::string out;
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
         const auto text = nodes_[i]->log();
         out += std::string("---- ") + names[i] + "\n" + text.substr(text.size() > 3000 ? text.size() - 3000 : 0);
      }
      return out;
   }

private:
   std::vector<std::string> arguments_;
   TemporaryFolder keys_{"polis-keys"};
   std::vector<std::unique_ptr<harness::NodeProcess>> nodes_;
};

} // namespace polis::e2e

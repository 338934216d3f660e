#pragma once
#include "format/hash.hpp"
#include "http/server.hpp"
#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace polis::node {

/// Neighbours that were away for a minute go on with blocks.
inline constexpr std::uint32_t keepBlocksMin = 250;

/// Settings of a node: command line over `<folder>/config` over defaults.
struct Config {
   std::string producer;            ///< empty: this node does not produce
   std::string key;                 ///< file with the producer's private key, PEM; empty: none
   std::vector<std::string> hosts;  ///< root host names; the services' business
   std::vector<std::string> peers;  ///< likewise
   bool p2p = false;                ///< likewise
   std::string chain;               ///< id of the only chain that is followed; empty: the first one that is offered
   std::vector<std::string> listen; ///< address:port, https://address:port, or a path of a local socket
   std::string tlsCertificate;      ///< PEM files
   std::string tlsKey;
   std::optional<std::uint32_t> minIntervalMs;
   std::optional<std::uint32_t> keepBlocks; ///< none: all
   std::optional<std::uint32_t> serviceThreads;
   std::optional<std::int64_t> httpTimeoutUs;
   std::vector<std::string> mounts; ///< folders that readFile may reach
   std::string loggersJson{"{}"};   ///< kept for the admin page

   /// Fills what is not set here from `other`.
   void fillFrom(const Config& other);
   /// The HostConfigRow's JSON (spec, kernel §8.2).
   std::string hostJson() const;
};

/// Lines `name = value`; `#` begins a comment. Errors: an unknown name or a bad value, with its line.
[[nodiscard]] std::expected<Config, std::string> parseConfig(std::string_view text);
std::string formatConfig(const Config& config);

/// HostConfigRow JSON as x-admin writes it. Errors: what is wrong.
[[nodiscard]] std::expected<Config, std::string> parseHostJson(std::string_view json);

/// 64 hexadecimal digits.
[[nodiscard]] std::optional<format::Checksum256> parseChainId(std::string_view text);

/// "8080", "127.0.0.1:8080", "[::1]:8080", "https://…", "/path": where to listen.
[[nodiscard]] std::expected<http::ListenAddress, std::string> parseListen(std::string_view text);

/// Missing file: an empty configuration. Throws Fault when it is there and wrong.
Config loadConfig(const std::filesystem::path& file);
/// Atomic: a new file takes the place of the old one. Throws Fault.
void saveConfig(const std::filesystem::path& file, const Config& config);

} // namespace polis::node

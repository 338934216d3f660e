#include "node/config.hpp"
#include "base/bytes.hpp"
#include "base/fault.hpp"
#include "format/json.hpp"
#include "node/package.hpp"
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace polis::node {

namespace {

std::string_view trim(std::string_view text) {
   while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
      text.remove_prefix(1);
   while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
      text.remove_suffix(1);
   return text;
}

template <class T>
bool readNumber(std::string_view text, T min, T max, std::optional<T>& out) {
   T value{};
   const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
   if (ec != std::errc() || end != text.data() + text.size() || value < min || value > max)
      return false;
   out = value;
   return true;
}

bool isTrue(std::string_view value) {
   return value.empty() || value == "true" || value == "on" || value == "yes" || value == "1";
}

/// One setting by its name in the file. Errors: text.
std::optional<std::string> set(Config& config, std::string_view name, std::string_view value) {
   if (name == "producer")
      config.producer = value;
   else if (name == "key")
      config.key = value;
   else if (name == "host")
      config.hosts.emplace_back(value);
   else if (name == "peer")
      config.peers.emplace_back(value);
   else if (name == "p2p")
      config.p2p = isTrue(value);
   else if (name == "chain") {
      if (!parseChainId(value))
         return "chain is the id of a chain, 64 hexadecimal digits";
      config.chain = value;
   } else if (name == "listen")
      config.listen.emplace_back(value);
   else if (name == "tls-cert")
      config.tlsCertificate = value;
   else if (name == "tls-key")
      config.tlsKey = value;
   else if (name == "mount")
      config.mounts.emplace_back(value);
   else if (name == "loggers")
      config.loggersJson = value;
   else if (name == "min-interval") {
      if (!readNumber<std::uint32_t>(value, 100, 1000, config.minIntervalMs))
         return "min-interval is a number of milliseconds from 100 to 1000";
   } else if (name == "keep-blocks") {
      if (!readNumber<std::uint32_t>(value, keepBlocksMin, UINT32_MAX, config.keepBlocks))
         return "keep-blocks is a number of blocks, at least " + std::to_string(keepBlocksMin);
   } else if (name == "service-threads") {
      if (!readNumber<std::uint32_t>(value, 1, 256, config.serviceThreads))
         return "service-threads is a number from 1 to 256";
   } else if (name == "http-timeout") {
      if (!readNumber<std::int64_t>(value, 0, INT64_MAX, config.httpTimeoutUs))
         return "http-timeout is a number of microseconds";
   } else
      return "the setting '" + std::string(name) + "' is not known";
   return std::nullopt;
}

struct ListenJson {
   std::string protocol{"http"};
   std::string address{};
   std::uint16_t port = 0;
   std::string path{};
};
struct TlsJson {
   std::string certificate{};
   std::string key{};
   std::vector<std::string> trustfiles{};
};
struct HostPart {
   std::string producer{};
   std::vector<JsonText> pkcs11_modules{};
   std::vector<ListenJson> listen{};
   TlsJson tls{};
   std::optional<std::int64_t> http_timeout{};
   std::optional<std::uint32_t> service_threads{};
   JsonText loggers{"{}"};
};
struct ServiceConfig {
   std::vector<std::string> host{};
   std::vector<std::string> peer{};
   bool p2p = false;
};
struct ServicePart {
   std::vector<std::string> argv{};
   ServiceConfig config{};
};
struct HostJson {
   HostPart host{};
   ServicePart service{};
};

ListenJson listenJson(const http::ListenAddress& address) {
   using Kind = http::ListenAddress::Kind;
   if (address.kind == Kind::local)
      return {.protocol = "local", .address = {}, .port = 0, .path = address.address};
   return {.protocol = address.kind == Kind::https ? "https" : "http",
           .address = address.address,
           .port = address.port,
           .path = {}};
}

} // namespace

void Config::fillFrom(const Config& other) {
   const auto text = [](std::string& mine, const std::string& theirs) {
      if (mine.empty())
         mine = theirs;
   };
   const auto list = [](std::vector<std::string>& mine, const std::vector<std::string>& theirs) {
      if (mine.empty())
         mine = theirs;
   };
   text(producer, other.producer);
   text(key, other.key);
   text(chain, other.chain);
   text(tlsCertificate, other.tlsCertificate);
   text(tlsKey, other.tlsKey);
   list(hosts, other.hosts);
   list(peers, other.peers);
   list(listen, other.listen);
   list(mounts, other.mounts);
   p2p = p2p || other.p2p;
   if (!minIntervalMs)
      minIntervalMs = other.minIntervalMs;
   if (!keepBlocks)
      keepBlocks = other.keepBlocks;
   if (!serviceThreads)
      serviceThreads = other.serviceThreads;
   if (!httpTimeoutUs)
      httpTimeoutUs = other.httpTimeoutUs;
   if (loggersJson == "{}")
      loggersJson = other.loggersJson;
}

std::string Config::hostJson() const {
   HostJson json;
   json.host.producer = producer;
   for (const auto& l : listen)
      if (const auto address = parseListen(l))
         json.host.listen.push_back(listenJson(*address));
   json.host.tls.certificate = tlsCertificate;
   json.host.tls.key = tlsKey;
   json.host.http_timeout = httpTimeoutUs;
   json.host.service_threads = serviceThreads;
   json.host.loggers.text = loggersJson;
   json.service.config = {hosts, peers, p2p};
   return format::toJson(json);
}

std::expected<Config, std::string> parseConfig(std::string_view text) {
   Config config;
   for (int line = 1; !text.empty(); ++line) {
      const auto end = std::min(text.find('\n'), text.size());
      const auto entry = trim(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      if (entry.empty() || entry.front() == '#')
         continue;
      const auto equals = std::min(entry.find('='), entry.size());
      const auto value = equals < entry.size() ? trim(entry.substr(equals + 1)) : std::string_view();
      if (auto problem = set(config, trim(entry.substr(0, equals)), value))
         return std::unexpected("line " + std::to_string(line) + ": " + *problem);
   }
   return config;
}

std::string formatConfig(const Config& config) {
   std::string out = "# Settings of this node. Command line options come before them.\n";
   const auto line = [&](std::string_view name, std::string_view value) {
      if (!value.empty())
         ((out += name) += " = ") += std::string(value) + "\n";
   };
   line("producer", config.producer);
   line("key", config.key);
   for (const auto& v : config.hosts)
      line("host", v);
   for (const auto& v : config.peers)
      line("peer", v);
   if (config.p2p)
      line("p2p", "true");
   line("chain", config.chain);
   for (const auto& v : config.listen)
      line("listen", v);
   line("tls-cert", config.tlsCertificate);
   line("tls-key", config.tlsKey);
   for (const auto& v : config.mounts)
      line("mount", v);
   if (config.minIntervalMs)
      line("min-interval", std::to_string(*config.minIntervalMs));
   if (config.keepBlocks)
      line("keep-blocks", std::to_string(*config.keepBlocks));
   if (config.serviceThreads)
      line("service-threads", std::to_string(*config.serviceThreads));
   if (config.httpTimeoutUs)
      line("http-timeout", std::to_string(*config.httpTimeoutUs));
   if (config.loggersJson != "{}")
      line("loggers", config.loggersJson);
   return out;
}

std::expected<Config, std::string> parseHostJson(std::string_view text) {
   auto json = format::fromJson<HostJson>(text);
   if (!json)
      return std::unexpected("malformed configuration: " + json.error().message);
   Config config;
   config.producer = json->host.producer;
   if (!config.producer.empty() && format::AccountNumber(std::string_view(config.producer)).str() != config.producer)
      return std::unexpected("'" + config.producer + "' is not an account name");
   for (const auto& l : json->host.listen) {
      std::string where;
      if (l.protocol == "local")
         where = l.path;
      else if (l.protocol == "http" || l.protocol == "https")
         where = (l.protocol == "https" ? "https://" : "") +
                 (l.address.find(':') != std::string::npos ? "[" + l.address + "]" : l.address) + ":" +
                 std::to_string(l.port);
      else
         return std::unexpected("'" + l.protocol + "' is not a protocol to listen for");
      if (auto address = parseListen(where); !address)
         return std::unexpected(address.error());
      config.listen.push_back(std::move(where));
   }
   config.tlsCertificate = json->host.tls.certificate;
   config.tlsKey = json->host.tls.key;
   config.httpTimeoutUs = json->host.http_timeout;
   config.serviceThreads = json->host.service_threads;
   config.loggersJson = json->host.loggers.text;
   config.hosts = std::move(json->service.config.host);
   config.peers = std::move(json->service.config.peer);
   config.p2p = json->service.config.p2p;
   const auto hasLineBreak = [](const std::string& v) { return v.find_first_of("\r\n") != std::string::npos; };
   for (const auto* list : {&config.hosts, &config.peers, &config.listen})
      for (const auto& v : *list)
         if (hasLineBreak(v))
            return std::unexpected("a setting has a line break");
   if (hasLineBreak(config.tlsCertificate) || hasLineBreak(config.tlsKey))
      return std::unexpected("a setting has a line break");
   return config;
}

std::optional<format::Checksum256> parseChainId(std::string_view text) {
   format::Checksum256 id{};
   const auto bytes = fromHex(text);
   if (!bytes || text.size() != 2 * id.size())
      return std::nullopt;
   std::ranges::copy(*bytes, id.begin());
   return id;
}

std::expected<http::ListenAddress, std::string> parseListen(std::string_view text) {
   http::ListenAddress result;
   const std::string problem =
       "'" + std::string(text) +
       "' is not an address to listen on; write 127.0.0.1:8080, https://0.0.0.0:8443 or /path/of/socket";
   if (text.starts_with("/") || text.starts_with("./")) {
      result.kind = http::ListenAddress::Kind::local;
      result.address = text;
      return result;
   }
   if (text.starts_with("https://")) {
      result.kind = http::ListenAddress::Kind::https;
      text.remove_prefix(8);
   } else if (text.starts_with("http://")) {
      text.remove_prefix(7);
   }
   while (text.ends_with('/'))
      text.remove_suffix(1);
   std::string_view address = "127.0.0.1", port = text;
   if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
      address = text.substr(0, colon);
      port = text.substr(colon + 1);
      if (address.starts_with('[') && address.ends_with(']'))
         address = address.substr(1, address.size() - 2);
      else if (address.find(':') != std::string_view::npos)
         return std::unexpected(problem);
   }
   std::optional<std::uint16_t> number;
   if (!readNumber<std::uint16_t>(port, 0, 65535, number) || address.empty())
      return std::unexpected(problem);
   result.address = address == "localhost" ? "127.0.0.1" : std::string(address);
   result.port = *number;
   return result;
}

Config loadConfig(const std::filesystem::path& file) {
   if (!std::filesystem::exists(file))
      return {};
   constexpr std::uint64_t bytesMax = 1 << 20;
   const Bytes text = readFile(file, bytesMax);
   auto config = parseConfig(asText(text));
   if (!config)
      throw Fault(file.string() + ", " + config.error());
   return std::move(*config);
}

void saveConfig(const std::filesystem::path& file, const Config& config) {
   const std::string text = formatConfig(config);
   const std::filesystem::path temporary = file.string() + ".new";
   const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
   if (fd < 0)
      throwErrno("open " + temporary.string());
   const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
   ::close(fd);
   if (!written || ::rename(temporary.c_str(), file.c_str()) != 0)
      throwErrno("write " + file.string());
}

} // namespace polis::node

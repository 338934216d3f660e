#include "node/keyring.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "format/hash.hpp"
#include "node/package.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace polis::node {

namespace {

constexpr format::AccountNumber verifySig{std::string_view("verify-sig")};
constexpr std::uint64_t keyBytesMax = 64 * 1024;

/// Writes all of a new file that only its owner reads, and sees it to the disk.
std::expected<void, std::string> writeNew(const std::filesystem::path& path, std::string_view text) {
   const auto failure = [&] { return std::unexpected(path.string() + ": " + std::strerror(errno)); };
   auto part = path;
   part += ".new";
   const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
   if (fd < 0)
      return failure();
   const bool whole = ::fchmod(fd, 0600) == 0 &&
                      ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
   if (!whole) {
      auto result = failure();
      ::close(fd);
      ::unlink(part.c_str());
      return result;
   }
   ::close(fd);
   if (::rename(part.c_str(), path.c_str()) != 0)
      return failure();
   if (const int folder = ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
      ::fsync(folder);
      ::close(folder);
   }
   return {};
}

} // namespace

Keyring::Keyring(std::filesystem::path folder) : folder_(std::move(folder)) {
   std::error_code none;
   std::vector<std::filesystem::path> files;
   for (const auto& entry : std::filesystem::directory_iterator(folder_, none))
      if (entry.path().extension() == ".pem")
         files.push_back(entry.path());
   std::ranges::sort(files);
   for (const auto& file : files) {
      struct stat info{};
      if (::stat(file.c_str(), &info) == 0 && (info.st_mode & 077) != 0)
         log::warning("The key file ", file.string(), " can be read by others; chmod 600 it");
      auto key = format::PrivateKey::fromPem(asText(readFile(file, keyBytesMax)));
      if (!key)
         throw Fault(file.string() + " holds no private key (PEM, curve P-256 or secp256k1)");
      add(std::move(*key));
   }
}

void Keyring::add(format::PrivateKey key) {
   auto spki = key.publicKey().spki();
   Lock lock(mutex_);
   if (std::ranges::find(entries_, spki, &Entry::spki) == entries_.end())
      entries_.push_back({std::move(key), std::move(spki)});
}

std::expected<format::Claim, std::string> Keyring::keep(const format::PrivateKey& key) {
   const auto spki = key.publicKey().spki();
   const format::Claim claim{verifySig, spki};
   Lock alone(keeping_);
   {
      Lock lock(mutex_);
      if (std::ranges::find(entries_, spki, &Entry::spki) != entries_.end())
         return claim;
      if (entries_.size() >= keysMax)
         return std::unexpected("This node has " + std::to_string(keysMax) + " keys already.");
   }
   std::error_code failed;
   std::filesystem::create_directories(folder_, failed);
   ::chmod(folder_.c_str(), 0700);
   const auto name = toHex(ByteView(format::sha256(spki)).first(8)) + ".pem";
   if (auto written = writeNew(folder_ / name, key.pem()); !written)
      return std::unexpected("The key cannot be kept. " + written.error());
   add(key);
   return claim;
}

std::vector<format::Claim> Keyring::claims() const {
   Lock lock(mutex_);
   std::vector<format::Claim> result;
   for (const auto& entry : entries_)
      result.push_back({verifySig, entry.spki});
   return result;
}

std::optional<format::PrivateKey> Keyring::find(const format::Claim& claim) const {
   const auto wanted = claim.service == verifySig ? format::PublicKey::fromSpki(claim.rawData) : std::nullopt;
   if (!wanted)
      return std::nullopt;
   const auto spki = wanted->spki();
   Lock lock(mutex_);
   const auto at = std::ranges::find(entries_, spki, &Entry::spki);
   return at == entries_.end() ? std::nullopt : std::optional(at->key);
}

} // namespace polis::node

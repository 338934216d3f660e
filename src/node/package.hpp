#pragma once
#include "base/bytes.hpp"
#include "format/chain.hpp"
#include "format/schema.hpp"
#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace polis::node {

struct PackageRef {
   std::string name{};
   std::string version{}; ///< a pattern (spec, formats §8)
};

struct PackageExport {
   std::string name{};
   format::AccountNumber service{};
};

/// meta.json.
struct PackageMeta {
   std::string name{};
   std::string version{};
   std::string scope{"network"};
   std::string description{};
   std::vector<PackageRef> depends{};
   std::vector<format::AccountNumber> accounts{};
   std::vector<format::AccountNumber> services{};
   std::vector<PackageExport> exports{};
};

/// Any JSON value, kept as text.
struct JsonText {
   std::string text{};
   static bool readJson(format::JsonReader& reader, JsonText& value);
   void writeJson(format::JsonWriter& writer) const { writer.raw(text); }
};

/// service/<account>.json.
struct ServiceInfo {
   std::vector<std::string> flags{};
   std::optional<format::AccountNumber> server{};
   std::optional<format::ServiceSchema> schema{};
};

struct PackagedService {
   format::AccountNumber account;
   std::uint64_t flags = 0;
   std::optional<format::AccountNumber> server;
   std::optional<format::ServiceSchema> schema;
   Bytes code; ///< empty: an account with a server but no code
   std::string infoJson{"{}"};
};

struct PackagedFile {
   format::AccountNumber account;
   std::string path; ///< begins with "/"
   std::string contentType;
   Bytes content;
};

/// One entry of script/postinstall.json; its data is packed by the called action's schema.
struct ScriptAction {
   format::AccountNumber sender{};
   format::AccountNumber service{};
   format::MethodNumber method{};
   std::optional<Bytes> rawData{};
   std::optional<JsonText> data{};
};

/// One .psi file, whole.
struct Package {
   PackageMeta meta;
   format::Checksum256 hash{}; ///< of the file
   std::vector<PackagedService> services;
   std::vector<PackagedFile> files;
   std::vector<ScriptAction> postinstall;

   const PackagedService* service(format::AccountNumber account) const;
   /// What it does beyond its own accounts, in words: code that may do everything, acts of others after the
   /// installation. Whoever installs it signs that too.
   std::vector<std::string> powers() const;
   /// Gzipped JSON of what is installed: {"services": {account: info}, "data": [{account, filename}]}.
   Bytes manifest() const;
};

/// What an installed package left behind, by its manifest.
struct ManifestFile {
   format::AccountNumber account{};
   std::string filename{};
};
struct Manifest {
   std::map<format::AccountNumber, JsonText> services{};
   std::vector<ManifestFile> data{};
};

/// Reads what Package::manifest() wrote; anybody may have put other bytes on the chain. Nothing: it is no manifest.
std::optional<Manifest> parseManifest(ByteView gzipped);

/// Limits of what a package may bring; hostile archives are small and claim to be large.
struct PackageLimits {
   std::uint64_t fileBytesMax = std::uint64_t{64} << 20;
   std::uint64_t contentBytesMax = std::uint64_t{256} << 20; ///< all entries unpacked
   std::uint64_t entryBytesMax = std::uint64_t{32} << 20;
   std::uint64_t entriesMax = 20'000;
};

/// Reads a .psi. Errors: text that says what is wrong with it.
[[nodiscard]] std::expected<Package, std::string> parsePackage(Bytes file, const PackageLimits& limits = {});

/// The media type by a path's extension; empty when it is not known.
std::string_view contentTypeOf(std::string_view path);

/// A folder of .psi files with its index.json (or without: then every file is opened).
class PackageFolder {
public:
   /// Throws Fault when the folder cannot be read.
   static PackageFolder open(const std::filesystem::path& folder);

   struct Entry {
      PackageMeta meta;
      std::string file;
      std::optional<format::Checksum256> sha256;
   };
   const std::vector<Entry>& entries() const { return entries_; }
   const std::filesystem::path& folder() const { return folder_; }

   /// The named packages and everything that they depend on, dependencies first, each in its highest fitting version.
   /// Errors: a name or version that is not there, a cycle, two packages that define one service, a damaged file.
   [[nodiscard]] std::expected<std::vector<Package>, std::string> resolve(const std::vector<std::string>& names) const;

private:
   std::filesystem::path folder_;
   std::vector<Entry> entries_;
};

/// `<binary dir>/../share/polis/packages`, or packages under PSIBASE_DATADIR.
std::filesystem::path defaultPackageFolder();

/// Reads at most `bytesMax` bytes. Throws Fault.
Bytes readFile(const std::filesystem::path& path, std::uint64_t bytesMax);

} // namespace polis::node

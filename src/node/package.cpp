#include "node/package.hpp"
#include "base/fault.hpp"
#include "format/hash.hpp"
#include "format/json.hpp"
#include "format/native_tables.hpp"
#include "format/semver.hpp"
#include "node/gzip.hpp"
#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <set>
#include <unistd.h>
#include <zip.h>

namespace polis::node {

namespace {

using format::AccountNumber;

struct IndexEntry {
   std::string name{};
   std::string version{};
   std::string scope{"network"};
   std::string description{};
   std::vector<PackageRef> depends{};
   std::vector<AccountNumber> accounts{};
   std::vector<AccountNumber> services{};
   std::vector<PackageExport> exports{};
   std::string file{};
   std::optional<format::Checksum256> sha256{};
};

/// "name" or "name/7" of an archive path as an account.
std::optional<AccountNumber> accountOf(std::string text) {
   if (const auto slash = text.find('/'); slash != std::string::npos)
      text[slash] = '+';
   const AccountNumber account{std::string_view(text)};
   if (account.value == 0 || account.str() != text)
      return std::nullopt;
   return account;
}

bool isSafePath(std::string_view path) {
   if (path.empty() || path.front() == '/' || path.find('\\') != std::string_view::npos ||
       path.find('\0') != std::string_view::npos)
      return false;
   for (std::size_t begin = 0; begin <= path.size();) {
      const auto end = std::min(path.find('/', begin), path.size());
      const auto part = path.substr(begin, end - begin);
      if (part.empty() || part == "." || part == "..")
         return false;
      begin = end + 1;
   }
   return true;
}

struct ArchiveClose {
   void operator()(zip_t* archive) const { zip_discard(archive); }
};

/// A zip in memory.
class Archive {
public:
   static std::expected<Archive, std::string> open(ByteView file, const PackageLimits& limits) {
      zip_error_t error;
      zip_error_init(&error);
      zip_source_t* source = zip_source_buffer_create(file.data(), file.size(), 0, &error);
      zip_t* archive = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : nullptr;
      if (!archive) {
         if (source)
            zip_source_free(source);
         const std::string text = zip_error_strerror(&error);
         zip_error_fini(&error);
         return std::unexpected("not a package archive: " + text);
      }
      zip_error_fini(&error);
      Archive result;
      result.archive_.reset(archive);
      const zip_int64_t count = zip_get_num_entries(archive, 0);
      if (count < 0 || static_cast<std::uint64_t>(count) > limits.entriesMax)
         return std::unexpected("the archive has too many entries");
      std::uint64_t total = 0;
      for (zip_int64_t i = 0; i < count; ++i) {
         zip_stat_t stat;
         zip_stat_init(&stat);
         constexpr zip_uint64_t needed =
             ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
         if (zip_stat_index(archive, static_cast<zip_uint64_t>(i), 0, &stat) != 0 || (stat.valid & needed) != needed)
            return std::unexpected("the archive's directory is damaged");
         const std::string name = stat.name;
         if (name.ends_with('/'))
            continue;
         if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
            return std::unexpected(name + " is compressed in a way that packages may not use");
         if (stat.encryption_method != ZIP_EM_NONE)
            return std::unexpected(name + " is encrypted");
         total += stat.size;
         if (stat.size > limits.entryBytesMax || total > limits.contentBytesMax)
            return std::unexpected(name + " makes the package too large");
         if (!isSafePath(name))
            return std::unexpected("the archive has an entry with an unsafe name");
         if (!result.entries_.emplace(name, Item{static_cast<zip_uint64_t>(i), stat.size}).second)
            return std::unexpected(name + " is there twice");
      }
      return result;
   }

   struct Item {
      zip_uint64_t index;
      std::uint64_t size;
   };
   const std::map<std::string, Item>& entries() const { return entries_; }

   std::expected<Bytes, std::string> read(const std::string& name) const {
      const auto it = entries_.find(name);
      if (it == entries_.end())
         return std::unexpected(name + " is missing");
      zip_file_t* file = zip_fopen_index(archive_.get(), it->second.index, 0);
      if (!file)
         return std::unexpected(name + " cannot be unpacked");
      // What the directory claims is the limit; the data may be shorter, never longer.
      Bytes content(it->second.size);
      std::size_t got = 0;
      while (got < content.size()) {
         const zip_int64_t n = zip_fread(file, content.data() + got, content.size() - got);
         if (n <= 0)
            break;
         got += static_cast<std::size_t>(n);
      }
      zip_fclose(file);
      if (got != content.size())
         return std::unexpected(name + " is damaged");
      return content;
   }

private:
   std::unique_ptr<zip_t, ArchiveClose> archive_;
   std::map<std::string, Item> entries_;
};

template <class T>
std::expected<T, std::string> readJsonEntry(const Archive& archive, const std::string& name,
                                            std::string* text = nullptr) {
   auto content = archive.read(name);
   if (!content)
      return std::unexpected(content.error());
   auto value = format::fromJson<T>(asText(*content));
   if (!value)
      return std::unexpected(name + ": " + value.error().message + " at byte " + std::to_string(value.error().offset));
   if (text)
      *text = toText(*content);
   return std::move(*value);
}

std::optional<std::uint64_t> flagsOf(const std::vector<std::string>& names) {
   std::uint64_t flags = 0;
   for (const auto& name : names) {
      if (name == "isPrivileged")
         flags |= format::CodeRow::isPrivileged;
      else if (name == "isVerify")
         flags |= format::CodeRow::isVerify;
      else if (name == "isReplacement")
         flags |= format::CodeRow::isReplacement;
      else
         return std::nullopt;
   }
   return flags;
}

} // namespace

bool JsonText::readJson(format::JsonReader& reader, JsonText& value) {
   value.text.clear();
   format::JsonWriter writer(value.text);
   return format::copyJson(reader, writer);
}

const PackagedService* Package::service(AccountNumber account) const {
   for (const auto& s : services)
      if (s.account == account)
         return &s;
   return nullptr;
}

Bytes Package::manifest() const {
   std::string text;
   format::JsonWriter writer(text);
   writer.beginObject();
   writer.key("services");
   writer.beginObject();
   for (const auto& s : services) {
      writer.key(s.account.str());
      writer.raw(s.infoJson);
   }
   writer.endObject();
   writer.key("data");
   writer.beginArray();
   for (const auto& file : files) {
      writer.beginObject();
      writer.key("account");
      writer.string(file.account.str());
      writer.key("filename");
      writer.string(file.path);
      writer.endObject();
   }
   writer.endArray();
   writer.endObject();
   return gzip(asBytes(text));
}

std::optional<Manifest> parseManifest(ByteView gzipped) {
   constexpr std::size_t manifestBytesMax = std::size_t{16} << 20;
   const auto text = gunzip(gzipped, manifestBytesMax);
   if (!text)
      return std::nullopt;
   auto manifest = format::fromJson<Manifest>(asText(*text));
   return manifest ? std::optional(std::move(*manifest)) : std::nullopt;
}

std::string_view contentTypeOf(std::string_view path) {
   static constexpr std::array<std::pair<std::string_view, std::string_view>, 24> types = {{
       {"html", "text/html"},
       {"css", "text/css"},
       {"js", "text/javascript"},
       {"mjs", "text/javascript"},
       {"json", "application/json"},
       {"map", "application/json"},
       {"webmanifest", "application/manifest+json"},
       {"svg", "image/svg+xml"},
       {"png", "image/png"},
       {"jpg", "image/jpeg"},
       {"jpeg", "image/jpeg"},
       {"webp", "image/webp"},
       {"gif", "image/gif"},
       {"ico", "image/vnd.microsoft.icon"},
       {"wasm", "application/wasm"},
       {"txt", "text/plain"},
       {"md", "text/markdown"},
       {"cpp", "text/plain"},
       {"hpp", "text/plain"},
       {"ttf", "font/ttf"},
       {"woff", "font/woff"},
       {"woff2", "font/woff2"},
       {"eot", "application/vnd.ms-fontobject"},
       {"psi", "application/zip"},
   }};
   const auto dot = path.rfind('.');
   if (dot == std::string_view::npos || path.find('/', dot) != std::string_view::npos)
      return {};
   for (const auto& [extension, type] : types)
      if (path.substr(dot + 1) == extension)
         return type;
   return {};
}

std::expected<Package, std::string> parsePackage(Bytes file, const PackageLimits& limits) {
   if (file.size() > limits.fileBytesMax)
      return std::unexpected("the package is larger than " + std::to_string(limits.fileBytesMax >> 20) + " MiB");
   auto archive = Archive::open(file, limits);
   if (!archive)
      return std::unexpected(archive.error());
   Package package;
   package.hash = format::sha256(file);
   auto meta = readJsonEntry<PackageMeta>(*archive, "meta.json");
   if (!meta)
      return std::unexpected(meta.error());
   package.meta = std::move(*meta);
   if (package.meta.name.empty())
      return std::unexpected("meta.json gives no name");
   if (package.meta.scope != "network" && package.meta.scope != "local")
      return std::unexpected("meta.json: scope must be network or local");
   const auto isListed = [&](AccountNumber account) {
      return std::ranges::find(package.meta.accounts, account) != package.meta.accounts.end() ||
             std::ranges::find(package.meta.accounts, account.base()) != package.meta.accounts.end();
   };

   std::map<AccountNumber, PackagedService> services;
   for (const auto& [name, item] : archive->entries()) {
      if (name.starts_with("service/")) {
         const bool isCode = name.ends_with(".wasm");
         if (!isCode && !name.ends_with(".json"))
            continue;
         const auto account = accountOf(name.substr(8, name.size() - 8 - 5));
         if (!account)
            return std::unexpected(name + " is not named after an account");
         if (!isListed(*account))
            return std::unexpected(name + ": meta.json does not list the account");
         auto& service = services[*account];
         service.account = *account;
         if (isCode) {
            auto code = archive->read(name);
            if (!code)
               return std::unexpected(code.error());
            service.code = std::move(*code);
            continue;
         }
         std::string text;
         auto info = readJsonEntry<ServiceInfo>(*archive, name, &text);
         if (!info)
            return std::unexpected(info.error());
         const auto flags = flagsOf(info->flags);
         if (!flags)
            return std::unexpected(name + " has an unknown flag");
         service.flags = *flags;
         service.server = info->server;
         service.schema = std::move(info->schema);
         service.infoJson = std::move(text);
      } else if (name.starts_with("data/")) {
         const auto slash = name.find('/', 5);
         if (slash == std::string::npos)
            continue;
         const auto account = accountOf(name.substr(5, slash - 5));
         if (!account || !isListed(*account))
            return std::unexpected(name + ": meta.json does not list the account");
         PackagedFile out{*account, name.substr(slash), std::string(contentTypeOf(name)), {}};
         if (out.contentType.empty())
            return std::unexpected(name + " has an extension that is not known");
         auto content = archive->read(name);
         if (!content)
            return std::unexpected(content.error());
         out.content = std::move(*content);
         package.files.push_back(std::move(out));
      }
   }
   for (auto& [account, service] : services)
      package.services.push_back(std::move(service));
   if (archive->entries().contains("script/postinstall.json")) {
      auto script = readJsonEntry<std::vector<ScriptAction>>(*archive, "script/postinstall.json");
      if (!script)
         return std::unexpected(script.error());
      package.postinstall = std::move(*script);
   }
   return package;
}

std::vector<std::string> Package::powers() const {
   std::vector<std::string> result;
   for (const auto& s : services)
      if (s.flags != 0)
         result.push_back("the code of " + s.account.str() +
                          (!(s.flags & format::CodeRow::isPrivileged) ? " decides which signatures are good"
                           : meta.scope == "local"                    ? " may do everything on the node"
                                                                      : " may do everything on the chain"));
   for (const auto& action : postinstall)
      if (std::ranges::find(meta.accounts, action.sender) == meta.accounts.end())
         result.push_back("it acts as " + action.sender.str() + ", which is not its own, towards " +
                          action.service.str() + "::" + action.method.str());
   return result;
}

Bytes readFile(const std::filesystem::path& path, std::uint64_t bytesMax) {
   std::ifstream in(path, std::ios::binary | std::ios::ate);
   if (!in)
      throwErrno("open " + path.string());
   if (std::filesystem::is_directory(path))
      throw Fault(path.string() + " is a folder");
   const auto size = static_cast<std::uint64_t>(in.tellg());
   if (size > bytesMax)
      throw Fault(path.string() + " is larger than " + std::to_string(bytesMax) + " bytes");
   Bytes content(size);
   in.seekg(0);
   in.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(size));
   if (!in)
      throw Fault("cannot read " + path.string());
   return content;
}

PackageFolder PackageFolder::open(const std::filesystem::path& folder) {
   PackageFolder result;
   result.folder_ = folder;
   const auto index = folder / "index.json";
   if (std::filesystem::exists(index)) {
      constexpr std::uint64_t indexBytesMax = std::uint64_t{16} << 20;
      const auto text = readFile(index, indexBytesMax);
      auto entries = format::fromJson<std::vector<IndexEntry>>(asText(text));
      if (!entries)
         throw Fault(index.string() + ": " + entries.error().message);
      for (auto& e : *entries) {
         if (e.file.find('/') != std::string::npos)
            throw Fault(index.string() + " names a file outside of its folder");
         result.entries_.push_back(
             {{e.name, e.version, e.scope, e.description, e.depends, e.accounts, e.services, e.exports},
              e.file,
              e.sha256});
      }
      return result;
   }
   std::error_code ec;
   for (const auto& file : std::filesystem::directory_iterator(folder, ec)) {
      if (file.path().extension() != ".psi")
         continue;
      auto package = parsePackage(readFile(file.path(), PackageLimits{}.fileBytesMax));
      if (!package)
         throw Fault(file.path().string() + ": " + package.error());
      result.entries_.push_back({package->meta, file.path().filename().string(), package->hash});
   }
   if (ec)
      throw Fault("The folder of packages " + folder.string() + " cannot be read: " + ec.message());
   return result;
}

std::expected<std::vector<Package>, std::string> PackageFolder::resolve(const std::vector<std::string>& names) const {
   std::vector<Package> result;
   std::map<std::string, bool> state; // false: in progress
   std::set<AccountNumber> services;
   std::string problem;

   const auto visit = [&](auto& self, const std::string& name, const std::string& pattern,
                          const std::string& by) -> bool {
      if (const auto it = state.find(name); it != state.end()) {
         if (!it->second)
            problem = "the packages " + name + " and " + by + " need each other";
         return it->second;
      }
      const Entry* best = nullptr;
      std::optional<format::Version> bestVersion;
      std::string seen;
      for (const auto& entry : entries_) {
         if (entry.meta.name != name)
            continue;
         seen += (seen.empty() ? "" : ", ") + entry.meta.version;
         const auto version = format::Version::parse(entry.meta.version);
         if (!version || (!pattern.empty() && !format::matchesVersion(pattern, *version).value_or(false)))
            continue;
         if (!best || format::compareVersions(*version, *bestVersion) > 0) {
            best = &entry;
            bestVersion = version;
         }
      }
      if (!best) {
         problem = "there is no package " + name + (pattern.empty() ? "" : " that fits version " + pattern) + " in " +
                   folder_.string() + (by.empty() ? "" : " (needed by " + by + ")") +
                   (seen.empty() ? "" : "; versions there: " + seen);
         return false;
      }
      state[name] = false;
      for (const auto& dependency : best->meta.depends)
         if (!self(self, dependency.name, dependency.version, name))
            return false;
      state[name] = true;
      auto package = parsePackage(readFile(folder_ / best->file, PackageLimits{}.fileBytesMax));
      if (!package) {
         problem = (folder_ / best->file).string() + ": " + package.error();
         return false;
      }
      if (best->sha256 && package->hash != *best->sha256) {
         problem = (folder_ / best->file).string() + " is not the file that index.json describes";
         return false;
      }
      for (const auto& service : package->services)
         if (!services.insert(service.account).second) {
            problem = "the service " + service.account.str() + " is in " + name + " and in another package";
            return false;
         }
      result.push_back(std::move(*package));
      return true;
   };
   for (const auto& name : names)
      if (!visit(visit, name, "", ""))
         return std::unexpected(problem);
   return result;
}

std::filesystem::path defaultPackageFolder() {
   if (const char* data = std::getenv("PSIBASE_DATADIR"); data && *data)
      return std::filesystem::path(data) / "packages";
   std::error_code ec;
   const auto self = std::filesystem::read_symlink("/proc/self/exe", ec);
   return self.parent_path().parent_path() / "share" / "polis" / "packages";
}

} // namespace polis::node

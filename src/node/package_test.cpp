#include "base/fault.hpp"
#include "format/hash.hpp"
#include "node/boot.hpp"
#include "node/gzip.hpp"
#include "node/local_template.hpp"
#include "node/native_endpoints.hpp"
#include "node/package.hpp"
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <unistd.h>
#include <zip.h>

using namespace polis;
using namespace polis::node;
using format::AccountNumber;

namespace {

using Entries = std::map<std::string, std::string>;

Bytes zipOf(const Entries& entries) {
   zip_error_t error;
   zip_error_init(&error);
   zip_source_t* source = zip_source_buffer_create(nullptr, 0, 0, &error);
   zip_source_keep(source);
   zip_t* archive = zip_open_from_source(source, ZIP_TRUNCATE, &error);
   for (const auto& [name, text] : entries)
      zip_file_add(archive, name.c_str(), zip_source_buffer(archive, text.data(), text.size(), 0), ZIP_FL_ENC_UTF_8);
   zip_close(archive);
   zip_source_open(source);
   zip_source_seek(source, 0, SEEK_END);
   Bytes out(static_cast<std::size_t>(zip_source_tell(source)));
   zip_source_seek(source, 0, SEEK_SET);
   zip_source_read(source, out.data(), out.size());
   zip_source_close(source);
   zip_source_free(source);
   return out;
}

Entries hello() {
   return {{"meta.json",
            R"({"name":"Hello","version":"1.2.0","description":"d","depends":[{"name":"Sites","version":"^1.0.0"}],
                             "accounts":["hello"],"services":["hello"],"exports":[]})"},
           {"service/hello.wasm", std::string("\0asm\1\0\0\0", 8)},
           {"service/hello.json", R"({"flags":["isPrivileged"],"server":"hello"})"},
           {"data/hello/index.html", "<p>hi"},
           {"data/hello/a/b.js", "1"},
           {"script/postinstall.json",
            R"([{"sender":"hello","service":"hello","method":"init","data":{"x":[1,"\n",null,true]}}])"},
           {"README.md", "ignored"}};
}

std::string refusal(const Entries& entries) {
   auto package = parsePackage(zipOf(entries));
   return package ? "accepted" : package.error();
}

Entries with(Entries entries, const std::string& name, const std::string& text) {
   entries[name] = text;
   return entries;
}

struct Folder {
   Folder() : path(std::filesystem::temp_directory_path() / ("polis_package_" + std::to_string(::getpid()))) {
      std::filesystem::create_directories(path);
   }
   ~Folder() { std::filesystem::remove_all(path); }
   void put(const std::string& file, const std::string& meta, Entries more = {}) {
      more["meta.json"] = meta;
      const Bytes bytes = zipOf(more);
      std::ofstream(path / file, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
   }
   std::filesystem::path path;
};

std::string names(const std::expected<std::vector<Package>, std::string>& packages) {
   if (!packages)
      return packages.error();
   std::string out;
   for (const auto& p : *packages)
      out += p.meta.name + p.meta.version + " ";
   return out;
}

} // namespace

TEST(PackageFile, readsEverything) {
   const Bytes file = zipOf(hello());
   const auto package = parsePackage(file);
   ASSERT_TRUE(package) << package.error();
   EXPECT_EQ(package->hash, format::sha256(file));
   EXPECT_EQ(package->meta.scope, "network");
   ASSERT_EQ(package->services.size(), 1u);
   EXPECT_EQ(package->services[0].flags, 1u);
   EXPECT_EQ(package->services[0].server, AccountNumber(std::string_view("hello")));
   EXPECT_EQ(package->services[0].code.size(), 8u);
   ASSERT_EQ(package->files.size(), 2u);
   EXPECT_EQ(package->files[0].path, "/a/b.js");
   EXPECT_EQ(package->files[0].contentType, "text/javascript");
   ASSERT_EQ(package->postinstall.size(), 1u);
   EXPECT_EQ(package->postinstall[0].data->text, R"({"x":[1,"\n",null,true]})");
   const Bytes manifest = package->manifest();
   EXPECT_EQ(manifest, package->manifest());
   EXPECT_EQ(manifest[0], 0x1F);
}

TEST(PackageFile, saysWhatItDoesBeyondItself) {
   const auto powers = [](const Entries& entries) {
      auto package = parsePackage(zipOf(entries));
      return package ? package->powers() : std::vector<std::string>{package.error()};
   };
   EXPECT_EQ(powers(hello()), (std::vector<std::string>{"the code of hello may do everything on the chain"}));
   auto modest = with(hello(), "service/hello.json", R"({"flags":[],"server":"hello"})");
   EXPECT_EQ(powers(modest), std::vector<std::string>{});
   const auto script = R"([{"sender":"tokens","service":"hello","method":"init","rawData":"0000"}])";
   EXPECT_EQ(powers(with(modest, "script/postinstall.json", script)),
             (std::vector<std::string>{"it acts as tokens, which is not its own, towards hello::init"}));
}

TEST(PackageFile, aManifestSaysWhatIsInstalled) {
   const auto package = parsePackage(zipOf(hello()));
   ASSERT_TRUE(package) << package.error();
   const Bytes written = package->manifest();
   const auto manifest = parseManifest(written);
   ASSERT_TRUE(manifest);
   ASSERT_EQ(manifest->services.size(), 1u);
   EXPECT_EQ(manifest->services.begin()->first.str(), "hello");
   ASSERT_EQ(manifest->data.size(), 2u);
   EXPECT_EQ(manifest->data[0].filename, "/a/b.js");
   EXPECT_EQ(manifest->data[0].account.str(), "hello");
   for (std::size_t n = 0; n < written.size(); ++n)
      EXPECT_FALSE(parseManifest(ByteView(written).first(n))) << n;
   EXPECT_FALSE(parseManifest(gzip(asBytes("[]"))));
}

TEST(Gzip, comesBackAndIsBounded) {
   for (const std::size_t size : {0u, 1u, 5000u, 300'000u}) {
      const Bytes data(size, 'x');
      const Bytes packed = gzip(data);
      EXPECT_EQ(gunzip(packed, size), data);
      if (size > 0)
         EXPECT_FALSE(gunzip(packed, size - 1));
      auto longer = packed;
      longer.push_back(0);
      EXPECT_FALSE(gunzip(longer, size));
   }
   EXPECT_FALSE(gunzip({}, 10));
   EXPECT_FALSE(gunzip(asBytes("no gzip"), 10));
}

TEST(PackageFile, refusals) {
   EXPECT_EQ(refusal(hello()), "accepted");
   EXPECT_FALSE(parsePackage(toBytes("no zip")));
   EXPECT_FALSE(parsePackage({}));
   EXPECT_NE(refusal({{"x", "y"}}).find("meta.json is missing"), std::string::npos);
   EXPECT_NE(refusal(with(hello(), "meta.json", "{")).find("meta.json"), std::string::npos);
   EXPECT_NE(refusal(with(hello(), "meta.json", R"({"name":"x","scope":"galaxy"})")).find("scope"), std::string::npos);
   EXPECT_NE(refusal(with(hello(), "service/other.wasm", "x")).find("does not list"), std::string::npos);
   EXPECT_NE(refusal(with(hello(), "service/Not Name.wasm", "x")).find("not named"), std::string::npos);
   EXPECT_NE(refusal(with(hello(), "service/hello.json", R"({"flags":["isGod"]})")).find("unknown flag"),
             std::string::npos);
   EXPECT_NE(refusal(with(hello(), "data/hello/x.unknown", "x")).find("extension"), std::string::npos);
   EXPECT_NE(refusal(with(hello(), "data/other/x.js", "x")).find("does not list"), std::string::npos);
   for (const char* unsafe : {"../x.js", "data/hello/../../x.js", "/abs.js", "a//b.js", "a\\b.js", "./x.js"})
      EXPECT_NE(refusal(with(hello(), unsafe, "x")).find("unsafe name"), std::string::npos) << unsafe;
   PackageLimits limits;
   limits.entryBytesMax = 100;
   EXPECT_FALSE(parsePackage(zipOf(with(hello(), "data/hello/x.js", std::string(200, 'x'))), limits));
   limits = {};
   limits.entriesMax = 2;
   EXPECT_FALSE(parsePackage(zipOf(hello()), limits));
}

TEST(PackageFile, everyCutIsRefusedOrWhole) {
   const Bytes file = zipOf(hello());
   for (std::size_t n = 0; n < file.size(); n += 7)
      (void)parsePackage(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(n)));
   for (std::size_t i = 0; i < file.size(); ++i) {
      Bytes bad = file;
      bad[i] ^= 0x55;
      (void)parsePackage(std::move(bad));
   }
}

TEST(PackageFolder, resolvesDependenciesFirstAndHighest) {
   Folder folder;
   folder.put("a.psi", R"({"name":"A","version":"1.0.0","depends":[{"name":"B","version":"^1.0.0"}]})");
   folder.put("b1.psi", R"({"name":"B","version":"1.0.0"})");
   folder.put("b2.psi", R"({"name":"B","version":"1.5.0"})");
   folder.put("b3.psi", R"({"name":"B","version":"2.0.0"})");
   const auto packages = PackageFolder::open(folder.path);
   EXPECT_EQ(names(packages.resolve({"A"})), "B1.5.0 A1.0.0 ");
   EXPECT_EQ(names(packages.resolve({"B"})), "B2.0.0 ");
   EXPECT_NE(names(packages.resolve({"C"})).find("no package C"), std::string::npos);
   folder.put("b1.psi", R"({"name":"B","version":"1.0.0"})");
   folder.put("b2.psi", R"({"name":"B","version":"1.5.0","depends":[{"name":"A","version":"*"}]})");
   EXPECT_NE(names(PackageFolder::open(folder.path).resolve({"A"})).find("need each other"), std::string::npos);
   folder.put("b2.psi", R"({"name":"B","version":"3.0.0"})");
   folder.put("b1.psi", R"({"name":"B","version":"3.0.0"})");
   folder.put("b3.psi", R"({"name":"B","version":"3.0.0"})");
   EXPECT_NE(names(PackageFolder::open(folder.path).resolve({"A"})).find("fits version ^1.0.0"), std::string::npos);
   EXPECT_THROW(PackageFolder::open("/nowhere/at/all"), Fault);
}

TEST(PackageFolder, anIndexIsBinding) {
   Folder folder;
   folder.put("a.psi", R"({"name":"A","version":"1.0.0"})");
   std::ofstream(folder.path / "index.json")
       << R"([{"name":"A","version":"1.0.0","file":"a.psi","sha256":")" << std::string(64, '0') << R"("}])";
   EXPECT_NE(names(PackageFolder::open(folder.path).resolve({"A"})).find("not the file"), std::string::npos);
   std::ofstream(folder.path / "index.json") << R"([{"name":"A","version":"1.0.0","file":"../a.psi"}])";
   EXPECT_THROW(PackageFolder::open(folder.path), Fault);
   std::ofstream(folder.path / "index.json") << "[";
   EXPECT_THROW(PackageFolder::open(folder.path), Fault);
}

TEST(LocalTemplate, drivesTheServersInOrder) {
   auto entries = hello();
   entries["meta.json"] = R"({"name":"XP","version":"1.0.0","scope":"local","accounts":["x-packages"]})";
   entries.erase("service/hello.wasm");
   entries.erase("service/hello.json");
   entries.erase("data/hello/a/b.js");
   entries.erase("data/hello/index.html");
   entries["service/x-packages.wasm"] = "code";
   entries["service/x-packages.json"] = R"({"flags":[],"server":"x-packages"})";
   entries["data/x-packages/index.html"] = "page";
   auto package = parsePackage(zipOf(entries));
   ASSERT_TRUE(package) << package.error();
   const auto local = localTemplate({*package});
   ASSERT_EQ(local.services.size(), 1u);
   ASSERT_EQ(local.requests.size(), 4u);
   EXPECT_EQ(local.requests[0].target, "/register_server");
   EXPECT_EQ(local.requests[0].host, std::string("x-http.\0", 8));
   EXPECT_EQ(local.requests[1].target, "/index.html");
   EXPECT_EQ(local.requests[2].target, "/manifest/" + toHex(package->hash));
   EXPECT_EQ(local.requests[3].target, "/postinstall");
}

TEST(LocalTemplate, updatesWhatDiffersAndIsNotNewer) {
   const auto packageOf = [](const std::string& name, const std::string& version) {
      auto entries = hello();
      entries["meta.json"] =
          R"({"name":")" + name + R"(","version":")" + version + R"(","scope":"local","accounts":["hello"]})";
      return *parsePackage(zipOf(entries));
   };
   const auto same = packageOf("Same", "1.0.0"), changed = packageOf("Changed", "1.0.0"),
              newer = packageOf("Newer", "1.0.0"), missing = packageOf("Missing", "1.0.0");
   std::vector<LocalMeta> installed(3);
   installed[0].name = "Same", installed[0].version = "1.0.0", installed[0].sha256 = same.hash;
   installed[1].name = "Changed", installed[1].version = "1.0.0", installed[1].sha256[0] = 7;
   installed[2].name = "Newer", installed[2].version = "1.0.1";
   const auto update = localUpdate({same, changed, newer, missing}, installed);
   EXPECT_EQ(update.updated, (std::vector<std::string>{"Changed 1.0.0", "Missing 1.0.0"}));
   EXPECT_EQ(update.kept, (std::vector<std::string>{"Newer 1.0.1"}));
   std::vector<std::string> asked;
   for (const auto& request : update.requests)
      asked.push_back(request.method + " " + request.target);
   const std::vector<std::string> first = {"PUT /services/hello?isPrivileged=1",
                                           "POST /register_server",
                                           "PUT /a/b.js",
                                           "PUT /index.html",
                                           "PUT /manifest/" + toHex(changed.hash),
                                           "POST /postinstall",
                                           "DELETE /manifest/07" + std::string(62, '0'),
                                           "PUT /services/hello?isPrivileged=1"};
   ASSERT_GE(asked.size(), first.size());
   EXPECT_EQ(std::vector<std::string>(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(first.size())), first);
   EXPECT_TRUE(localUpdate({same}, installed).requests.empty());
}

TEST(Boot, saysWhatIsMissing) {
   auto package = parsePackage(zipOf(hello()));
   ASSERT_TRUE(package);
   SeededRandom random(1);
   BootOptions options;
   options.producer = AccountNumber(std::string_view("prod"));
   const auto plan = planBoot({*package}, options, random);
   ASSERT_FALSE(plan);
   EXPECT_NE(plan.error().find("transact"), std::string::npos);
}

TEST(Boot, filesAreCompressedWhereItPays) {
   const PackagedFile small{AccountNumber(), "/a.js", "text/javascript", Bytes(100, 'x')};
   EXPECT_FALSE(storedContent(small).encoding);
   const PackagedFile large{AccountNumber(), "/a.js", "text/javascript", Bytes(100'000, 'x')};
   EXPECT_EQ(storedContent(large).encoding, "gzip");
   EXPECT_LT(storedContent(large).content.size(), 1'000u);
   const PackagedFile image{AccountNumber(), "/a.png", "image/png", Bytes(100'000, 'x')};
   EXPECT_FALSE(storedContent(image).encoding);
}

TEST(Native, foreignPagesAreNotTheSameOrigin) {
   format::HttpRequest request;
   request.headers = {{"Host", "x-admin.polis.localhost:8080"}};
   EXPECT_TRUE(isSameOrigin(request, false));
   const auto from = [&](const char* origin, bool tls) {
      auto r = request;
      r.headers.push_back({"origin", origin});
      return isSameOrigin(r, tls);
   };
   EXPECT_TRUE(from("http://x-admin.polis.localhost:8080", false));
   EXPECT_TRUE(from("https://x-admin.polis.localhost:8080", true));
   EXPECT_FALSE(from("http://x-admin.polis.localhost:8080", true));
   for (const char* foreign : {"null", "", "http://evil.example", "http://x-admin.polis.localhost",
                               "http://x-admin.polis.localhost:80801", "http://tokens.polis.localhost:8080"})
      EXPECT_FALSE(from(foreign, false)) << foreign;
}

#pragma once
#include "kernel/kernel.hpp"
#include "node/package.hpp"
#include <string_view>
#include <vector>

namespace polis::node {

/// What a new node installs (spec, kernel §8.2, First start), from local packages in dependency order.
/// adminToken: whoever presents it once administers the node; the services are told its hash only. Empty: none.
kernel::LocalTemplate localTemplate(const std::vector<Package>& packages, std::string_view adminToken = {});

/// A package of the node's own services that is installed.
struct LocalMeta {
   std::string name{};
   std::string version{};
   std::string description{};
   std::vector<PackageRef> depends{};
   std::vector<format::AccountNumber> accounts{};
   std::vector<format::AccountNumber> services{};
   std::vector<PackageExport> exports{};
   format::Checksum256 sha256{};
};

/// Asks x-packages what is installed; the answer is JSON of a vector of LocalMeta.
format::HttpRequest installedLocalRequest();

struct LocalUpdate {
   /// Bring the node's services up to date, all together (Kernel::askItself).
   std::vector<format::HttpRequest> requests;
   /// "XHttp 0.2.0": what they install.
   std::vector<std::string> updated;
   /// Installed in a newer version than the program brings: left as they are.
   std::vector<std::string> kept;
};

/// What a program that brings `packages` makes of a node with `installed`: packages that are missing or differ are
/// installed, unless the installed one has a greater version.
LocalUpdate localUpdate(const std::vector<Package>& packages, const std::vector<LocalMeta>& installed);

} // namespace polis::node

// A test chain as a person finds it after `./run`: packages installed, the boot finished.
#pragma once

#include "kernel/tester.hpp"
#include "node/package.hpp"

#include <string>
#include <vector>

namespace polis::cli {

/// What a booted test chain is made with.
struct TestBoot {
   /// Boot packages by name; those they depend on come along.
   std::vector<std::string> packages;
   format::AccountNumber producer{std::string_view("prod")};
   /// Time of block 2, microseconds.
   std::int64_t timeUs = 1'700'000'000'000'000;
   /// Root host of web requests.
   std::string host = "psibase.io";
};

/// Installs the local services, then the packages, on an empty chain, and leaves no block open. On an ExecutionThread.
/// Throws TesterError.
void bootTestChain(kernel::TestChain& chain, const node::PackageFolder& folder, const TestBoot& boot);

/// What a node does at every start: the configuration of its host, then `x-http::startSession`. For a clone of a booted
/// chain, whose session databases are empty.
void startTestSession(kernel::TestChain& chain, const TestBoot& boot);

} // namespace polis::cli

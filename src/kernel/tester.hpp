// A chain for tests: every step is the test's, nothing runs by itself. Source: spec, kernel §9.
#pragma once

#include "kernel/kernel.hpp"

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace polis::kernel {

/// A call of the test made no sense or could not be carried out; the test program ends with this text.
struct TesterError {
   std::string text;
};

struct TesterOptions {
   /// What the chains would log.
   std::function<void(Severity, std::string_view, std::optional<format::AccountNumber>)> log;
   /// CPU limit of one context, sixty times that of a node, so that one without end is noticed within half a minute.
   /// The rest of the defaults holds.
   std::int64_t cpuNs = 30'000'000'000;
   std::vector<format::Checksum256> verifySigCode;
   /// Told of each transaction and action that a test program ran.
   std::function<void(bool failed)> ran = nullptr;
};

/// The answer to a test's request, which may come later. Services see its descriptor as long as this is kept.
class TestReply {
public:
   virtual ~TestReply() = default;
   /// frac(HttpReply) once there is one.
   virtual const std::optional<Bytes>& reply() const = 0;
};

/// One entry of a database.
struct TestRow {
   Bytes key;
   Bytes value;
};

/// One thread, an ExecutionThread. Functions throw TesterError unless they say otherwise.
class TestChain {
public:
   /// An empty chain in `store`, which several chains may share; nothing of it survives the process.
   static std::unique_ptr<TestChain> create(std::shared_ptr<store::Store> store, vm::Engine& engine,
                                            TesterOptions options);

   struct OpenFlags {
      bool create = false;    ///< make it if it is missing
      bool exclusive = false; ///< it must be missing
      bool truncate = false;  ///< forget what is there
      bool write = false;     ///< keep what was done, at `shutdown` or the end
   };
   /// The chain in the folder of a node.
   static std::unique_ptr<TestChain> open(const std::filesystem::path& folder, OpenFlags flags, vm::Engine& engine,
                                          TesterOptions options);
   ~TestChain();
   TestChain(const TestChain&) = delete;
   TestChain& operator=(const TestChain&) = delete;

   /// The chain and the node-local databases that survive a restart; O(1).
   std::unique_ptr<TestChain> clone();
   /// Writes what must last, when opened for writing.
   void save();

   // ---- blocks ----

   BlockStatePtr head() const;
   bool blockOpen() const;
   /// Back to a block of this chain; forgets an open one.
   void switchTo(const format::Checksum256& id);
   /// Finishes an open block first. No transaction is added.
   void startBlock(const BlockStart& start);
   /// Nothing when no block is open.
   void finishBlock();
   /// Runs one transaction in the open block, without its proofs. What goes wrong in it is in the trace.
   format::TransactionTrace push(const format::SignedTransaction& transaction);
   /// Runs one action: on a copy of head, or (head false) in the open block if there is one.
   format::TransactionTrace runAction(format::RunMode mode, bool onHead, const format::Action& action);
   /// `x-http::serve` on head, as a request from this machine.
   std::shared_ptr<TestReply> serve(const format::HttpRequest& request);

   // ---- databases as they are: no access rules, no row checks ----

   void checkoutSubjective();
   bool commitSubjective();
   void abortSubjective();
   std::optional<Bytes> get(std::uint32_t db, ByteView key);
   /// First entry at or after `key` that shares its first `match` bytes.
   std::optional<TestRow> greaterEqual(std::uint32_t db, ByteView key, std::size_t match);
   std::optional<TestRow> lessThan(std::uint32_t db, ByteView key, std::size_t match);
   std::optional<TestRow> max(std::uint32_t db, ByteView prefix);
   /// Databases 0, 2 and 5 only while no block is open.
   void put(std::uint32_t db, ByteView key, ByteView value);
   void remove(std::uint32_t db, ByteView key);
   /// Makes what was written outside of blocks the head's state.
   void commitState();

   class Impl;

private:
   explicit TestChain(std::unique_ptr<Impl> impl);
   std::unique_ptr<Impl> impl_;
};

/// A trace as a person reads it: the calls as a tree, what they printed, and which failed why.
std::string readable(const format::TransactionTrace& trace);

} // namespace polis::kernel

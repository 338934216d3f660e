// Test programs compiled to WebAssembly, and the chains they make. Source: spec, kernel §9.
#pragma once

#include "kernel/tester.hpp"
#include "vm/program.hpp"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace polis::kernel {

/// Module `psibase` as a test program sees it: chains by number, results through buffers. All throw TesterError.
class TesterCalls {
public:
   static constexpr std::uint32_t none = 0xFFFFFFFF;

   TesterCalls(std::shared_ptr<store::Store> store, vm::Engine& engine, TesterOptions options)
      : store_(std::move(store)), engine_(engine), options_(std::move(options)) {}
   TesterCalls(const TesterCalls&) = delete;
   TesterCalls& operator=(const TesterCalls&) = delete;

   TestChain& chain(std::uint32_t number);

   std::uint32_t createChain(std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t);
   std::uint32_t openChain(ByteView path, std::uint32_t oflags, std::uint64_t rights,
                           std::span<const std::uint8_t, 32>);
   std::uint32_t cloneChain(std::uint32_t chain);
   void getFork(std::uint32_t chain, std::span<const std::uint8_t, 32> id);
   void destroyChain(std::uint32_t chain);
   void shutdownChain(std::uint32_t chain);
   void startBlock(std::uint32_t chain, std::uint64_t timeUs, std::uint64_t producer, std::uint32_t term,
                   std::uint32_t commitNum);
   void finishBlock(std::uint32_t chain);
   std::uint32_t pushTransaction(std::uint32_t chain, ByteView packed);
   std::uint32_t runAction(std::uint32_t chain, std::uint32_t mode, std::uint32_t head, ByteView packed);
   std::uint32_t httpRequest(std::uint32_t chain, ByteView packed);
   std::uint32_t socketRecv(std::uint32_t fd, std::span<std::uint8_t, 4> size);
   void checkoutSubjective(std::uint32_t chain);
   std::uint32_t commitSubjective(std::uint32_t chain);
   void abortSubjective(std::uint32_t chain);
   std::uint32_t kvGet(std::uint32_t chain, std::uint32_t db, ByteView key);
   std::uint32_t kvMax(std::uint32_t chain, std::uint32_t db, ByteView key);
   std::uint32_t kvGreaterEqual(std::uint32_t chain, std::uint32_t db, ByteView key, std::uint32_t match);
   std::uint32_t kvLessThan(std::uint32_t chain, std::uint32_t db, ByteView key, std::uint32_t match);
   void kvPut(std::uint32_t chain, std::uint32_t db, ByteView key, ByteView value);
   void kvRemove(std::uint32_t chain, std::uint32_t db, ByteView key);
   void commitState(std::uint32_t chain);
   std::uint32_t kvGetTransactionUsage(std::uint32_t chain);
   std::uint32_t getResult(std::span<std::uint8_t> out, std::uint32_t offset);
   std::uint32_t getKey(std::span<std::uint8_t> out);
   void abortMessage(ByteView text);

   /// Keeps the chains that were opened for writing and are there still.
   void save();

   /// What the program then fetches with getResult. Returns its size.
   std::uint32_t setResult(Bytes bytes);

   /// The trace of the last transaction or action that failed, for whoever wants to show it; then forgets it.
   std::string takeFailure() { return std::exchange(failure_, {}); }

private:
   std::uint32_t add(std::unique_ptr<TestChain> chain);
   std::uint32_t setRow(std::optional<TestRow> row);
   std::uint32_t setTrace(const format::TransactionTrace& trace);

   std::shared_ptr<store::Store> store_;
   vm::Engine& engine_;
   TesterOptions options_;
   /// Null: shut down, but not destroyed.
   std::map<std::uint32_t, std::unique_ptr<TestChain>> chains_;
   std::map<std::uint32_t, std::shared_ptr<TestReply>> replies_;
   Bytes result_, key_;
   std::string failure_;
};

struct TestProgram {
   Bytes code;
   /// The program's name first.
   std::vector<std::string> args;
   /// NAME=value.
   std::vector<std::string> environment;
   /// It reaches nothing of the machine but standard input and output: no files, no folders of chains, no shell.
   bool confined = false;
   /// More that the program may import; made once the calls are there.
   std::function<std::vector<vm::ProgramFunction>(TesterCalls&)> more;
};

/// Runs a test program to its end and returns its exit code. On an ExecutionThread.
/// Errors: the text of the failure and, when a transaction failed before, its trace.
[[nodiscard]] std::expected<int, std::string> runTestProgram(TestProgram program, std::shared_ptr<store::Store> store,
                                                             vm::Engine& engine, TesterOptions options);

} // namespace polis::kernel

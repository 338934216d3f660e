// Threads fit to run guest code.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace polis::vm {

/// Native stack of a thread that runs guest code. Accounted stack (Budget::stackBytes, at most 1 MiB) always runs out
/// before the native one: guest code needs at most 256 native bytes for each accounted one, and wherever it is entered
/// that much is left once more. The pages are only reserved, and cost memory when touched. Source: docs/metering.md.
constexpr std::size_t executionStackBytes = std::size_t{2 * 256 + 64} << 20;

/// std::jthread without a stop token, whose stack has executionStackBytes. Every thread that calls Instance::call is
/// one.
class ExecutionThread {
public:
   ExecutionThread() noexcept;
   /// Throws Fault if the thread cannot be made.
   explicit ExecutionThread(std::function<void()> work);
   ExecutionThread(ExecutionThread&&) noexcept;
   ExecutionThread& operator=(ExecutionThread&&) noexcept;
   /// Waits for the end.
   ~ExecutionThread();
   void join();
   bool joinable() const { return handle_ != nullptr; }

private:
   struct Handle;
   std::unique_ptr<Handle> handle_;
};

/// Runs `work` on a thread of its own with a large stack and waits for it; an exception comes out here.
void onExecutionStack(const std::function<void()>& work);

} // namespace polis::vm

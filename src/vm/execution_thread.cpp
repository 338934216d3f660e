#include "vm/execution_thread.hpp"

#include "base/fault.hpp"
#include "vm/native_stack.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <pthread.h>
#include <string.h>
#include <utility>

namespace polis::vm {
namespace {

/// Host functions run below the guest's part of the stack.
constexpr std::size_t hostStackBytes = std::size_t{8} << 20;

struct Bounds {
   const char* low = nullptr;
   std::size_t bytes = 0;

   Bounds() {
      pthread_attr_t attributes;
      if (pthread_getattr_np(pthread_self(), &attributes))
         return;
      void* address = nullptr;
      pthread_attr_getstack(&attributes, &address, &bytes);
      pthread_attr_destroy(&attributes);
      low = static_cast<const char*>(address);
   }
};

} // namespace

void requireNativeStack(std::size_t bytes) {
   static thread_local const Bounds bounds;
   const auto* here = static_cast<const char*>(__builtin_frame_address(0));
   const std::size_t needed = bytes + hostStackBytes;
   // Under a sanitizer that moves frames elsewhere the address says nothing, so only a plausible one decides.
   const bool plausible = here > bounds.low && here <= bounds.low + bounds.bytes;
   if (bounds.bytes < needed || (plausible && static_cast<std::size_t>(here - bounds.low) < needed))
      throw Fault("this thread's native stack is too small for guest code: use ExecutionThread");
}

std::uint64_t largestNativeFrame(ByteView compiled) {
#if defined(__x86_64__)
   // sub rsp, imm32. The same bytes elsewhere count too, which does no harm.
   std::uint64_t largest = 127; // the short form's greatest
   for (std::size_t i = 0; i + 7 <= compiled.size(); ++i) {
      if (compiled[i] != 0x48 || compiled[i + 1] != 0x81 || compiled[i + 2] != 0xec)
         continue;
      std::uint32_t bytes;
      std::memcpy(&bytes, compiled.data() + i + 3, sizeof bytes);
      largest = std::max<std::uint64_t>(largest, bytes);
   }
   return largest + 64; // what is pushed beside
#else
   static_cast<void>(compiled);
   return std::numeric_limits<std::uint64_t>::max(); // unknown here
#endif
}

struct ExecutionThread::Handle {
   pthread_t thread{};
   std::function<void()> work;
};

ExecutionThread::ExecutionThread(std::function<void()> work) : handle_(std::make_unique<Handle>()) {
   handle_->work = std::move(work);
   pthread_attr_t attributes;
   pthread_attr_init(&attributes);
   int result = pthread_attr_setstacksize(&attributes, executionStackBytes);
   if (!result)
      result = pthread_create(
          &handle_->thread, &attributes,
          [](void* handle) -> void* {
             static_cast<Handle*>(handle)->work();
             return nullptr;
          },
          handle_.get());
   pthread_attr_destroy(&attributes);
   if (result) {
      handle_.reset();
      throw Fault(std::string("cannot make a thread: ") + strerrordesc_np(result));
   }
}

ExecutionThread::ExecutionThread() noexcept = default;
ExecutionThread::ExecutionThread(ExecutionThread&&) noexcept = default;

ExecutionThread& ExecutionThread::operator=(ExecutionThread&& other) noexcept {
   if (this != &other) {
      join();
      handle_ = std::move(other.handle_);
   }
   return *this;
}

ExecutionThread::~ExecutionThread() { join(); }

void ExecutionThread::join() {
   if (!handle_)
      return;
   pthread_join(handle_->thread, nullptr);
   handle_.reset();
}

void onExecutionStack(const std::function<void()>& work) {
   std::exception_ptr thrown;
   ExecutionThread([&] {
      try {
         work();
      } catch (...) {
         thrown = std::current_exception();
      }
   }).join();
   if (thrown)
      std::rethrow_exception(thrown);
}

} // namespace polis::vm

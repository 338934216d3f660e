// What libc and libc++ need at link time, without WASI: memory, abort, and the few system calls that
// library code drags in. Linked into every service.

#include <polis/env.hpp>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace {

[[noreturn]] void fail(std::string_view text) {
   polis::sdk::env::polis_abortMessage(text.data(), static_cast<std::uint32_t>(text.size()));
}

// A service lives for one transaction or request, so the allocator is a bump pointer with one free list a
// size class. Each block has an 8-byte header that holds its class. Blocks are aligned to 8 bytes.
constexpr std::size_t headerSize = 8;
constexpr std::size_t smallMax = 1024;
constexpr std::size_t smallClasses = smallMax / 16;
constexpr std::size_t classCount = smallClasses + 4 * 21;
constexpr std::size_t blockMax = std::size_t{1} << 30;

struct FreeBlock {
   FreeBlock* next;
};

FreeBlock* freeBlocks[classCount];
std::uintptr_t heapTop;
std::uintptr_t heapEnd;

// Class sizes: multiples of 16 up to smallMax, then four steps a power of two.
std::size_t classOf(std::size_t size) {
   if (size <= smallMax)
      return size == 0 ? 0 : (size - 1) / 16;
   const auto bits = 31u - static_cast<unsigned>(__builtin_clz(static_cast<unsigned>(size - 1)));
   const auto quarter = ((size - 1) >> (bits - 2)) & 3;
   return smallClasses + (bits - 10) * 4 + quarter;
}

std::size_t classSize(std::size_t index) {
   if (index < smallClasses)
      return (index + 1) * 16;
   const auto step = index - smallClasses;
   const auto bits = 10 + step / 4;
   return ((std::size_t{4} + step % 4 + 1) << (bits - 2));
}

std::size_t& classField(void* block) { return *reinterpret_cast<std::size_t*>(static_cast<char*>(block) - headerSize); }

} // namespace

extern "C" {

extern unsigned char __heap_base;

void* malloc(std::size_t size) {
   if (size > blockMax)
      fail("out of memory");
   const auto index = classOf(size);
   if (auto* block = freeBlocks[index]) {
      freeBlocks[index] = block->next;
      return block;
   }
   const auto bytes = classSize(index) + headerSize;
   if (heapTop == 0) {
      heapTop = (reinterpret_cast<std::uintptr_t>(&__heap_base) + 7) & ~std::uintptr_t{7};
      heapEnd = __builtin_wasm_memory_size(0) * 65536;
   }
   if (heapEnd - heapTop < bytes) {
      const auto pages = (bytes - (heapEnd - heapTop) + 65535) / 65536;
      if (__builtin_wasm_memory_grow(0, pages) == static_cast<std::size_t>(-1))
         fail("out of memory");
      heapEnd += pages * 65536;
   }
   auto* block = reinterpret_cast<char*>(heapTop) + headerSize;
   heapTop += bytes;
   classField(block) = index;
   return block;
}

void free(void* block) {
   if (!block)
      return;
   const auto index = classField(block);
   auto* entry = static_cast<FreeBlock*>(block);
   entry->next = freeBlocks[index];
   freeBlocks[index] = entry;
}

void* calloc(std::size_t count, std::size_t size) {
   std::size_t bytes;
   if (__builtin_mul_overflow(count, size, &bytes))
      fail("out of memory");
   void* block = malloc(bytes);
   std::memset(block, 0, bytes);
   return block;
}

void* realloc(void* block, std::size_t size) {
   if (!block)
      return malloc(size);
   const auto old = classSize(classField(block));
   if (size <= old)
      return block;
   void* grown = malloc(size);
   std::memcpy(grown, block, old);
   free(block);
   return grown;
}

void* aligned_alloc(std::size_t, std::size_t size) { return malloc(size); }

int posix_memalign(void** out, std::size_t, std::size_t size) {
   *out = malloc(size);
   return 0;
}

void abort() { fail("abort called"); }

[[noreturn]] void __assert_fail(const char* text, const char*, int, const char*) { fail(text); }

[[noreturn]] void __cxa_pure_virtual() { fail("pure virtual function called"); }

int __cxa_atexit(void (*)(void*), void*, void*) {
   return 0; // nothing is ever destroyed: the instance is dropped as a whole
}

// WASI, as far as library code may reach it.
struct WasiSpan {
   const char* data;
   std::uint32_t size;
};

int __imported_wasi_snapshot_preview1_fd_write(int, int spans, int count, int written) {
   std::uint32_t total = 0;
   const auto* list = reinterpret_cast<const WasiSpan*>(spans);
   for (int i = 0; i < count; ++i) {
      polis::sdk::env::polis_writeConsole(list[i].data, list[i].size);
      total += list[i].size;
   }
   *reinterpret_cast<std::uint32_t*>(written) = total;
   return 0;
}

int __imported_wasi_snapshot_preview1_clock_time_get(int id, long long, int time) {
   return polis::sdk::env::polis_clockTimeGet(static_cast<std::uint32_t>(id), reinterpret_cast<std::uint64_t*>(time));
}

int __imported_wasi_snapshot_preview1_fd_close(int) { return 8; }

int __imported_wasi_snapshot_preview1_fd_seek(int, long long, int, int) { return 8; }

int __imported_wasi_snapshot_preview1_fd_read(int, int, int, int) { return 8; }

int __imported_wasi_snapshot_preview1_fd_fdstat_get(int, int) { return 8; }

int __imported_wasi_snapshot_preview1_fd_prestat_get(int, int) { return 8; }

int __imported_wasi_snapshot_preview1_fd_prestat_dir_name(int, int, int) { return 8; }

int __imported_wasi_snapshot_preview1_path_open(int, int, int, int, int, long long, long long, int, int) { return 44; }

int __imported_wasi_snapshot_preview1_environ_sizes_get(int count, int size) {
   *reinterpret_cast<std::uint32_t*>(count) = 0;
   *reinterpret_cast<std::uint32_t*>(size) = 0;
   return 0;
}

int __imported_wasi_snapshot_preview1_environ_get(int, int) { fail("environment is not available"); }

[[noreturn]] void __imported_wasi_snapshot_preview1_proc_exit(int) { fail("exit called"); }

} // extern "C"

void* operator new(std::size_t size) { return malloc(size); }
void* operator new[](std::size_t size) { return malloc(size); }
void operator delete(void* block) noexcept { free(block); }
void operator delete[](void* block) noexcept { free(block); }
void operator delete(void* block, std::size_t) noexcept { free(block); }
void operator delete[](void* block, std::size_t) noexcept { free(block); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return malloc(size); }

_LIBCPP_BEGIN_NAMESPACE_STD
[[noreturn]] void __libcpp_verbose_abort(const char* format, ...) { fail(format); }
_LIBCPP_END_NAMESPACE_STD

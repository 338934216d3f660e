// Functions that guest code can import, and how their bodies reach the guest.
#pragma once

#include "base/bytes.hpp"
#include "vm/budget.hpp"
#include "vm/policy.hpp"
#include "vm/trap.hpp"

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace polis::vm {

class InstanceBody;

/// One argument or result. Read the member that the function type names.
union Value {
   std::uint32_t i32;
   std::uint64_t i64;
   float f32;
   double f64;

   static Value of(std::uint32_t v) {
      Value out;
      out.i64 = v;
      return out;
   }
   static Value of(std::uint64_t v) {
      Value out;
      out.i64 = v;
      return out;
   }
};
static_assert(sizeof(Value) == 8);

/// Bytes of guest memory whose bounds were checked. Valid until guest code runs again: do not keep one
/// across a call into this or another instance that may grow or write the memory.
using GuestSpan = std::span<const std::uint8_t>;
using MutableGuestSpan = std::span<std::uint8_t>;

/// The calling instance's memory 0. Pointers are the guest's: any value, any alignment.
class GuestMemory {
public:
   explicit GuestMemory(InstanceBody& body) : body_(body) {}

   /// The `bytes` bytes at `pointer`. Valid if the last byte lies in memory; an empty span needs pointer ≤ memory size.
   /// Throws TrapException (memoryOutOfBounds) otherwise. Source: spec, kernel §2, "Bounds".
   GuestSpan read(std::uint32_t pointer, std::uint32_t bytes) const;

   /// As `read`, to be written.
   MutableGuestSpan write(std::uint32_t pointer, std::uint32_t bytes) const;

   /// Copies `bytes` to `pointer`. Throws as `read`, and then has written nothing.
   void copyTo(std::uint32_t pointer, ByteView bytes) const;

   /// Stores 8 bytes, little-endian.
   void storeU64(std::uint32_t pointer, std::uint64_t value) const;

   /// Current size.
   std::uint64_t sizeBytes() const;

private:
   InstanceBody& body_;
};

/// What a host function body gets beside its arguments.
class CallContext {
public:
   CallContext(InstanceBody& body, Budget& budget, void* user) : body_(body), budget_(budget), user_(user) {}

   /// The pointer given to Engine::instantiate.
   template <class T>
   T& user() const {
      return *static_cast<T*>(user_);
   }
   Budget& budget() const { return budget_; }
   GuestMemory memory() const { return GuestMemory(body_); }

   /// Stops the guest; never returns.
   [[noreturn]] void trap(TrapKind kind) const { throw TrapException{{kind}}; }

private:
   InstanceBody& body_;
   Budget& budget_;
   void* user_;
};

/// Body of a host function. `args` as many as the type's parameters; `result` is written if the type has one.
/// May throw anything: the guest is stopped and the exception comes out of the Instance::call that ran it.
/// May call Instance::call, of any instance, the calling one included.
using HostBody = void (*)(CallContext& context, const Value* args, Value* result);

/// One row of the table given to the engine. All live in module "env".
struct HostFunction {
   std::string name;
   FunctionType type; ///< no v128
   HostBody body = nullptr;
};

} // namespace polis::vm

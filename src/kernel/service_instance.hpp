// A service's wasm instance in one context, and what it may import.
#pragma once

#include "kernel/context.hpp"
#include "kernel/handle.hpp"
#include "vm/instance.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace polis::kernel {

/// Guest memory as a host function is given it; bounds are checked when it is used.
struct GuestIn {
   std::uint32_t pointer, bytes;
};
struct GuestOut {
   std::uint32_t pointer, bytes;
};
struct GuestPtr64 {
   std::uint32_t pointer;
};

/// Bytes that a service may fetch with getResult or getKey: its own copy, or a view of what outlives the fetch.
class ResultBuffer {
public:
   ByteView view() const { return view_; }
   void clear() { view_ = {}; }
   void copy(ByteView bytes) {
      owned_.assign(bytes.begin(), bytes.end());
      view_ = owned_;
   }
   void take(Bytes bytes) {
      owned_ = std::move(bytes);
      view_ = owned_;
   }
   /// `bytes` must stay as long as the buffer shows them.
   void show(ByteView bytes) { view_ = bytes; }
   /// A copy of what is shown. Returns how many bytes were copied.
   std::size_t keep() {
      if (view_.empty() || view_.data() == owned_.data())
         return 0;
      copy(view_);
      return view_.size();
   }

private:
   Bytes owned_;
   ByteView view_;
};

class ServiceInstance {
public:
   ServiceInstance(Context& context, format::AccountNumber service, ServiceCode code, bool switched);

   vm::Instance& vm() { return vm_; }
   format::AccountNumber service() const { return service_; }
   /// Of the running action: one instance serves switched calls of either mode.
   Mode mode() const { return frame->mode; }
   bool switched() const { return switched_; }
   const ServiceCode& code() const { return code_; }
   /// What may be fetched no longer rests on anything of others.
   std::size_t keepResults() { return result_.keep(); }

   /// The innermost running action; null when none is.
   Frame* frame = nullptr;

   // Host functions; spec, kernel §2. One member a row of host_functions.def.
   using u32 = std::uint32_t;
   using u64 = std::uint64_t;

   u32 getResult(GuestOut out, u32 offset);
   u32 getKey(GuestOut out);
   void writeConsole(GuestIn text);
   void abortMessage(GuestIn text);
   u32 getCurrentAction();
   u32 call(GuestIn action, u64 flags);
   void setRetval(GuestIn value);
   u32 kvOpen(u32 database, GuestIn prefix, u32 mode);
   u32 kvOpenAt(u32 handle, GuestIn prefix, u32 mode);
   void kvClose(u32 handle);
   void exportHandles(GuestIn list);
   u32 importHandles();
   void kvPut(u32 handle, GuestIn key, GuestIn value);
   void kvRemove(u32 handle, GuestIn key);
   u32 kvGet(u32 handle, GuestIn key);
   u32 kvGreaterEqual(u32 handle, GuestIn key, u32 match);
   u32 kvLessThan(u32 handle, GuestIn key, u32 match);
   u32 kvMax(u32 handle, GuestIn key);
   u32 clockTimeGet(u32 id, GuestPtr64 time);
   void getRandom(GuestOut out);
   void setMaxCpuTime(u64 ns);
   void checkoutSubjective();
   u32 commitSubjective();
   void abortSubjective();
   u32 socketOpen(GuestIn request);
   u32 socketSend(u32 fd, GuestIn data, u32 flags);
   u32 socketSetFlags(u32 fd, u32 mask, u32 value);
   u32 readFile(GuestIn path);

private:
   static constexpr u32 none = 0xFFFFFFFF;

   ByteView guest(GuestIn span) const { return vm_.memory().read(span.pointer, span.bytes); }
   /// Fills `out` with the buffer from `offset` on.
   void fetch(const ResultBuffer& buffer, GuestOut out, u32 offset) const;
   u32 setResult(ByteView bytes);
   u32 noResult();

   /// Runs an action below the running one, and leaves of it in the trace what that has room for. Its return value is
   /// the result.
   void runInner(PackedAction action, const Callee& callee);

   const Handle& handle(u32 index) const;
   const Handle& readable(u32 index) const;
   const Handle& writable(u32 index) const;
   /// A key as the guest gives it; counts its length.
   ByteView keyIn(GuestIn span);
   u32 addHandle(const Handle& handle);
   [[noreturn]] void refuse(std::string_view what, const Handle& handle) const;
   /// Databases 64-67 need an open checkout.
   void requireCheckout(u32 database) const;

   /// One entry found by a range function.
   u32 setFound(const Handle& handle, const std::optional<store::Entry>& entry);
   /// The outermost commit of a transaction. All that it commits comes from switched calls, which differ from node to
   /// node, as does whether it conflicts: where the block is made, that fails the transaction; elsewhere it decides
   /// nothing. So services only ever see that it was done.
   u32 commitInTransaction();
   /// After a commit that was done.
   void announceCommit(bool outermost);
   /// Runs transact::kvNotify before an accounted write.
   void notifyWrite(u32 database, std::size_t keyBytes, std::optional<std::size_t> oldBytes,
                    std::optional<std::size_t> newBytes);

   Context& context_;
   format::AccountNumber service_;
   ServiceCode code_;
   bool switched_;
   vm::Instance vm_;
   ResultBuffer result_, key_;
   std::vector<Handle> handles_;
};

} // namespace polis::kernel

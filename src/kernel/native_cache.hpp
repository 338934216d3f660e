// What the transactions of one block read of `native` again and again.
#pragma once

#include "format/native_tables.hpp"
#include "kernel/chain_state.hpp"
#include "vm/module.hpp"

#include <memory>
#include <optional>
#include <unordered_map>

namespace polis::kernel {

/// The code that answers for a service, as one context sees it.
struct ServiceCode {
   std::uint64_t flags = 0;
   format::Checksum256 hash{};
   std::shared_ptr<const vm::Module> module;

   bool privileged() const { return flags & format::CodeRow::isPrivileged; }
   bool local() const { return flags & isLocal; }
   static constexpr std::uint64_t isLocal = std::uint64_t{1} << 63;
};

/// The rows that limit a context.
struct Limits {
   format::ConfigRow config;
   format::WasmConfigRow wasm;
};

/// Of transaction mode on one ChainState, which outlives it; empty whenever one of the rows that it rests on may have
/// changed there. Never more than a short way to the same answers.
class NativeCache {
public:
   explicit NativeCache(const ChainState& state) : state_(state) {}

   /// Null: not known. Valid until the next call.
   const Limits* limits() {
      forget();
      return limits_ ? &*limits_ : nullptr;
   }
   void keep(const Limits& limits) {
      forget();
      limits_ = limits;
   }
   /// Code that was compiled with `options`. Null: not known.
   const ServiceCode* code(format::AccountNumber service, const vm::Options& options) {
      forget();
      const auto at = codes_.find(service.value);
      return at != codes_.end() && at->second.module->options() == options ? &at->second : nullptr;
   }
   void keep(format::AccountNumber service, const ServiceCode& code) {
      forget();
      codes_.insert_or_assign(service.value, code);
   }

private:
   void forget() {
      if (seen_ == state_.codeChanges())
         return;
      seen_ = state_.codeChanges();
      limits_.reset();
      codes_.clear();
   }

   const ChainState& state_;
   std::uint64_t seen_ = 0;
   std::optional<Limits> limits_;
   std::unordered_map<std::uint64_t, ServiceCode> codes_;
};

} // namespace polis::kernel

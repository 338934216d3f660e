#pragma once
// The action being run, and calls to other services.

#include <polis/env.hpp>
#include <polis/types.hpp>

#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace polis::sdk {

/// Fails the action, and with it the transaction or request, with this text.
[[noreturn]] inline void abortMessage(std::string_view message) {
   env::polis_abortMessage(message.data(), static_cast<std::uint32_t>(message.size()));
}

inline void check(bool condition, std::string_view message) {
   if (!condition) [[unlikely]]
      abortMessage(message);
}

/// Appends to the console of the current action's trace.
inline void writeConsole(std::string_view text) {
   env::polis_writeConsole(text.data(), static_cast<std::uint32_t>(text.size()));
}

namespace detail {

struct Frame {
   AccountNumber receiver{};
   AccountNumber sender{};
};

inline constinit Frame currentFrame{};

/// The result buffer of the last host call that returned `size` bytes.
inline Bytes takeResult(std::uint32_t size) {
   Bytes result(size);
   if (size)
      env::polis_getResult(result.data(), size, 0);
   return result;
}

/// A host result of usually few bytes, kept off the heap when it fits.
template <std::uint32_t inlineSize>
class ResultBuffer {
public:
   ResultBuffer() = default;
   explicit ResultBuffer(std::uint32_t size) { fetch(size); }
   ResultBuffer(const ResultBuffer&) = delete;
   ResultBuffer& operator=(const ResultBuffer&) = delete;
   ~ResultBuffer() {
      if (data_ != inline_)
         ::operator delete(data_);
   }
   /// Once only.
   void fetch(std::uint32_t size) {
      size_ = size;
      if (size > inlineSize)
         data_ = static_cast<std::uint8_t*>(::operator new(size));
      if (size)
         env::polis_getResult(data_, size, 0);
   }
   ByteView view() const { return {data_, size_}; }

private:
   std::uint8_t inline_[inlineSize];
   std::uint8_t* data_ = inline_;
   std::uint32_t size_ = 0;
};

inline std::uint16_t loadU16(const std::uint8_t* p) {
   std::uint16_t value;
   __builtin_memcpy(&value, p, sizeof value);
   return value;
}
inline std::uint32_t loadU32(const std::uint8_t* p) {
   std::uint32_t value;
   __builtin_memcpy(&value, p, sizeof value);
   return value;
}
inline std::uint64_t loadU64(const std::uint8_t* p) {
   std::uint64_t value;
   __builtin_memcpy(&value, p, sizeof value);
   return value;
}

/// View into a packed Action that the kernel produced or checked.
struct ActionView {
   AccountNumber sender;
   AccountNumber service;
   MethodNumber method;
   ByteView rawData;

   static ActionView of(ByteView packed) {
      ActionView view{};
      if (packed.size() < 30)
         return view;
      view.sender = AccountNumber{loadU64(packed.data() + 2)};
      view.service = AccountNumber{loadU64(packed.data() + 10)};
      view.method = MethodNumber{loadU64(packed.data() + 18)};
      const auto offset = loadU32(packed.data() + 26);
      if (offset >= 4 && packed.size() >= 30 && packed.size() - 30 >= offset) {
         const auto at = 26 + std::size_t{offset};
         const auto size = loadU32(packed.data() + at);
         if (packed.size() - at - 4 >= size)
            view.rawData = packed.subspan(at + 4, size);
      }
      return view;
   }
};

inline constexpr std::size_t actionHeadSize = 30;

inline void writeActionHead(std::uint8_t* p, AccountNumber sender, AccountNumber service, MethodNumber method,
                            bool hasData) {
   const std::uint16_t fixedSize = 28;
   const std::uint32_t offset = hasData ? 4 : 0;
   __builtin_memcpy(p, &fixedSize, 2);
   __builtin_memcpy(p + 2, &sender.value, 8);
   __builtin_memcpy(p + 10, &service.value, 8);
   __builtin_memcpy(p + 18, &method.value, 8);
   __builtin_memcpy(p + 26, &offset, 4);
}

/// Packs an Action around already packed arguments, in one buffer.
inline Bytes packAction(AccountNumber sender, AccountNumber service, MethodNumber method, ByteView rawData) {
   Bytes packed(actionHeadSize + (rawData.empty() ? 0 : 4 + rawData.size()));
   auto* p = packed.data();
   writeActionHead(p, sender, service, method, !rawData.empty());
   if (!rawData.empty()) {
      const auto rawSize = static_cast<std::uint32_t>(rawData.size());
      __builtin_memcpy(p + 30, &rawSize, 4);
      __builtin_memcpy(p + 34, rawData.data(), rawData.size());
   }
   return packed;
}

/// Packs an Action and its arguments in one buffer.
template <class Args>
Bytes packActionOf(AccountNumber sender, AccountNumber service, MethodNumber method, const Args& args) {
   const auto rawSize = static_cast<std::uint32_t>(packedSize(args));
   Bytes packed;
   packed.reserve(actionHeadSize + 4 + rawSize);
   packed.resize(actionHeadSize + 4);
   writeActionHead(packed.data(), sender, service, method, true);
   __builtin_memcpy(packed.data() + actionHeadSize, &rawSize, 4);
   packInto(packed, args);
   return packed;
}

} // namespace detail

/// The account on whose behalf the current action runs.
inline AccountNumber getSender() { return detail::currentFrame.sender; }

/// The service that is running.
inline AccountNumber getReceiver() { return detail::currentFrame.receiver; }

/// How a call runs: in the caller's mode, or (only within a transaction) in a node-local mode whose result is recorded.
enum class CallMode : std::uint64_t {
   same = 0,
   rpc = 1,
   callback = 2,
};

/// Runs a packed action and returns the size of its result, which waits in the result buffer.
inline std::uint32_t callPacked(ByteView action, CallMode mode = CallMode::same) {
   return env::polis_call(action.data(), static_cast<std::uint32_t>(action.size()), static_cast<std::uint64_t>(mode));
}

/// Runs an action given as its parts and returns the packed result.
inline Bytes callRaw(AccountNumber sender, AccountNumber service, MethodNumber method, ByteView rawData,
                     CallMode mode = CallMode::same) {
   return detail::takeResult(callPacked(detail::packAction(sender, service, method, rawData), mode));
}

inline Bytes callRaw(const Action& action, CallMode mode = CallMode::same) {
   return callRaw(action.sender, action.service, action.method, action.rawData, mode);
}

/// Unpacks what another service or a table returned; such bytes may come from a newer version, so extended forms pass.
template <class T>
T unpackOrAbort(ByteView packed, std::string_view what = "malformed data") {
   auto value = unpack<T>(packed);
   if (!value) [[unlikely]]
      abortMessage(what);
   return std::move(*value);
}

namespace detail {

template <class F>
struct MethodTraits;
template <class C, class R, class... A>
struct MethodTraits<R (C::*)(A...)> {
   using Class = C;
   using Result = R;
   using Args = std::tuple<std::remove_cvref_t<A>...>;
   static constexpr bool isConst = false;
};
template <class C, class R, class... A>
struct MethodTraits<R (C::*)(A...) const> : MethodTraits<R (C::*)(A...)> {
   static constexpr bool isConst = true;
};

/// Base of the typed proxies: who calls, whom, and in which mode.
struct Caller {
   AccountNumber sender;
   AccountNumber service;
   CallMode mode = CallMode::same;

   template <auto method, class... A>
   auto call(MethodNumber name, A&&... args) const {
      using Traits = MethodTraits<decltype(method)>;
      using Result = std::remove_cvref_t<typename Traits::Result>;
      const typename Traits::Args values(std::forward<A>(args)...);
      const auto size = callPacked(packActionOf(sender, service, name, values), mode);
      if constexpr (!std::is_void_v<Result>) {
         ResultBuffer<256> result(size);
         return unpackOrAbort<Result>(result.view(), "malformed result of a call");
      }
   }
};

/// Same shape as Caller, but only packs: the action is returned instead of run.
struct Packer {
   AccountNumber sender;
   AccountNumber service;

   template <auto method, class... A>
   Action call(MethodNumber name, A&&... args) const {
      using Traits = MethodTraits<decltype(method)>;
      const typename Traits::Args values(std::forward<A>(args)...);
      return Action{.sender = sender, .service = service, .method = name, .rawData = pack(values)};
   }
};

} // namespace detail

/// The typed calls of a service: `to<Tokens>().credit(…)` runs it as the current service.
template <class S>
auto to(AccountNumber service = S::account, CallMode mode = CallMode::same) {
   using Proxy =
       typename decltype(polisProxy(static_cast<const S*>(nullptr), static_cast<const detail::Caller*>(nullptr)))::type;
   return Proxy{{detail::currentFrame.receiver, service, mode}};
}

/// Typed calls as another sender; privileged services only.
template <class S>
auto from(AccountNumber sender, AccountNumber service = S::account, CallMode mode = CallMode::same) {
   using Proxy =
       typename decltype(polisProxy(static_cast<const S*>(nullptr), static_cast<const detail::Caller*>(nullptr)))::type;
   return Proxy{{sender, service, mode}};
}

/// Packs instead of calling: `action<Tokens>(sender).credit(…)` returns the Action.
template <class S>
auto action(AccountNumber sender, AccountNumber service = S::account) {
   using Proxy =
       typename decltype(polisProxy(static_cast<const S*>(nullptr), static_cast<const detail::Packer*>(nullptr)))::type;
   return Proxy{{sender, service}};
}

} // namespace polis::sdk

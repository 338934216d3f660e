#pragma once
// Declaring a service: its actions once, as C++ member functions; everything else is derived from them.
//
//    class Hello : public Service {
//     public:
//       static constexpr auto account = "hello"_a;
//       void greet(std::string text);
//       std::optional<Greeting> get(AccountNumber who);
//    };
//    POLIS_SERVICE(Hello, action(greet, text), action(get, who))     // in the header, after the class
//    POLIS_DISPATCH(Hello)                                           // in the one .cpp
//
// Optional members of the class: `using Tables = std::tuple<…>` and `using HistoryEvents`, `using MerkleEvents`
// (tuples of event structs) for the schema.

#include <polis/action.hpp>
#include <polis/table.hpp>

#include <array>
#include <string_view>
#include <tuple>

namespace polis::sdk {

/// Base of every service. An object is made for each action; what must outlive it belongs in a table.
class Service {};

/// One action as declared: its member function, its name and the names of its parameters.
template <auto method, std::uint64_t methodNumber, std::size_t parameters>
struct ActionInfo {
   static constexpr auto member = method;
   static constexpr std::uint64_t number = methodNumber;
   std::string_view name;
   std::array<std::string_view, parameters> parameterNames;
};

namespace detail {

template <class T>
struct Type {
   using type = T;
};

template <auto method, std::uint64_t number, class... Names>
constexpr auto describeAction(std::string_view name, Names... names) {
   static_assert(std::tuple_size_v<typename MethodTraits<decltype(method)>::Args> == sizeof...(Names),
                 "an action names each of its parameters");
   return ActionInfo<method, number, sizeof...(Names)>{name, {std::string_view(names)...}};
}

template <class S, auto method>
void runAction(ByteView rawData) {
   using Traits = MethodTraits<decltype(method)>;
   using Result = std::remove_cvref_t<typename Traits::Result>;
   auto args = unpack<typename Traits::Args>(rawData);
   if (!args) [[unlikely]]
      abortMessage("malformed arguments");
   S service;
   auto invoke = [&](auto&... arg) -> decltype(auto) { return (service.*method)(std::move(arg)...); };
   if constexpr (std::is_void_v<Result>)
      std::apply(invoke, *args);
   else {
      const Bytes packed = pack(Result(std::apply(invoke, *args)));
      env::polis_setRetval(packed.data(), static_cast<std::uint32_t>(packed.size()));
   }
}

template <class S, class Info>
bool tryAction(std::uint64_t method, ByteView rawData) {
   if (method != Info::number)
      return false;
   runAction<S, Info::member>(rawData);
   return true;
}

template <class S, class... Info>
bool dispatchAmong(const std::tuple<Info...>&, std::uint64_t method, ByteView rawData) {
   return (tryAction<S, Info>(method, rawData) || ...);
}

/// Runs `method` of S on packed arguments; false when there is no such action.
template <class S>
bool dispatch(MethodNumber method, ByteView rawData) {
   return dispatchAmong<S>(polisActions(static_cast<const S*>(nullptr)), method.value, rawData);
}

/// Makes `receiver` and `sender` current until the end of the scope.
class FrameScope {
public:
   FrameScope(AccountNumber receiver, AccountNumber sender) : saved_(currentFrame) {
      currentFrame = {receiver, sender};
   }
   ~FrameScope() { currentFrame = saved_; }
   FrameScope(const FrameScope&) = delete;
   FrameScope& operator=(const FrameScope&) = delete;

private:
   Frame saved_;
};

template <class S>
void dispatchCalled(AccountNumber receiver, AccountNumber sender) {
   FrameScope scope(receiver, sender);
   ResultBuffer<512> buffer(env::polis_getCurrentAction());
   const auto action = ActionView::of(buffer.view());
   if (!dispatch<S>(action.method, action.rawData)) [[unlikely]]
      abortMessage("unknown action: " + action.method.str());
}

} // namespace detail

} // namespace polis::sdk

// Preprocessor: apply a macro to each element of a list.
#define POLIS_PARENS ()
#define POLIS_EXPAND(...) POLIS_EXPAND3(POLIS_EXPAND3(POLIS_EXPAND3(POLIS_EXPAND3(__VA_ARGS__))))
#define POLIS_EXPAND3(...) POLIS_EXPAND2(POLIS_EXPAND2(POLIS_EXPAND2(POLIS_EXPAND2(__VA_ARGS__))))
#define POLIS_EXPAND2(...) POLIS_EXPAND1(POLIS_EXPAND1(POLIS_EXPAND1(POLIS_EXPAND1(__VA_ARGS__))))
#define POLIS_EXPAND1(...) __VA_ARGS__
#define POLIS_EACH(macro, context, ...) __VA_OPT__(POLIS_EXPAND(POLIS_EACH_STEP(macro, context, __VA_ARGS__)))
#define POLIS_EACH_STEP(macro, context, first, ...)                                                                    \
   macro(context, first) __VA_OPT__(POLIS_EACH_AGAIN POLIS_PARENS(macro, context, __VA_ARGS__))
#define POLIS_EACH_AGAIN() POLIS_EACH_STEP

#define POLIS_NAME_OF(context, name) , #name
#define POLIS_NAMES_1(...) POLIS_NAMES_EACH(__VA_ARGS__)
#define POLIS_NAMES_EACH(...) __VA_OPT__(POLIS_NAMES_EXPAND(POLIS_NAMES_STEP(__VA_ARGS__)))
#define POLIS_NAMES_EXPAND(...)                                                                                        \
   POLIS_NAMES_EXPAND2(POLIS_NAMES_EXPAND2(POLIS_NAMES_EXPAND2(POLIS_NAMES_EXPAND2(__VA_ARGS__))))
#define POLIS_NAMES_EXPAND2(...) POLIS_NAMES_EXPAND1(POLIS_NAMES_EXPAND1(POLIS_NAMES_EXPAND1(__VA_ARGS__)))
#define POLIS_NAMES_EXPAND1(...) __VA_ARGS__
#define POLIS_NAMES_STEP(first, ...) , #first __VA_OPT__(POLIS_NAMES_AGAIN POLIS_PARENS(__VA_ARGS__))
#define POLIS_NAMES_AGAIN() POLIS_NAMES_STEP

// action(name, parameters…) as a proxy method
#define POLIS_PROXY(service, item) POLIS_PROXY_##item
#define POLIS_PROXY_action(name, ...)                                                                                  \
   template <class... PolisArgs>                                                                                       \
   auto name(PolisArgs&&... args) const {                                                                              \
      constexpr ::polis::format::MethodNumber polisMethod{#name};                                                      \
      return this->template call<&PolisService::name>(polisMethod, static_cast<PolisArgs&&>(args)...);                 \
   }

#define POLIS_PROXY_named(text, name, ...)                                                                             \
   template <class... PolisArgs>                                                                                       \
   auto name(PolisArgs&&... args) const {                                                                              \
      constexpr ::polis::format::MethodNumber polisMethod{text};                                                       \
      return this->template call<&PolisService::name>(polisMethod, static_cast<PolisArgs&&>(args)...);                 \
   }

// action(name, parameters…) as a description
#define POLIS_INFO(service, item) POLIS_INFO_##item
#define POLIS_INFO_action(name, ...)                                                                                   \
   , ::polis::sdk::detail::describeAction<&PolisService::name, ::polis::format::MethodNumber{#name}.value>(            \
         #name __VA_OPT__(POLIS_NAMES_EACH(__VA_ARGS__)))
#define POLIS_INFO_named(text, name, ...)                                                                              \
   , ::polis::sdk::detail::describeAction<&PolisService::name, ::polis::format::MethodNumber{text}.value>(             \
         text __VA_OPT__(POLIS_NAMES_EACH(__VA_ARGS__)))

/// Declares the actions of a service: POLIS_SERVICE(Class, action(name, parameter, …), …). An action whose name C++
/// does not allow is named("delete", member, parameter, …).
#define POLIS_SERVICE(service, ...)                                                                                    \
   template <class PolisBase>                                                                                          \
   struct PolisProxyOf##service : PolisBase {                                                                          \
      using PolisService = service;                                                                                    \
      POLIS_EACH(POLIS_PROXY, service, __VA_ARGS__)                                                                    \
   };                                                                                                                  \
   template <class PolisBase>                                                                                          \
   ::polis::sdk::detail::Type<PolisProxyOf##service<PolisBase>> polisProxy(const service*, const PolisBase*);          \
   template <class PolisService>                                                                                       \
   struct PolisActionsOf##service {                                                                                    \
      static constexpr auto list = ::polis::sdk::detail::tail(0 POLIS_EACH(POLIS_INFO, service, __VA_ARGS__));         \
   };                                                                                                                  \
   constexpr const auto& polisActions(const service*) { return PolisActionsOf##service<service>::list; }               \
   constexpr std::string_view polisServiceName(const service*) { return #service; }

namespace polis::sdk::detail {

template <class... T>
constexpr auto tail(int, T... items) {
   return std::tuple<T...>{items...};
}

} // namespace polis::sdk::detail

#ifdef __wasm__
extern "C" void __wasm_call_ctors();
#define POLIS_EXPORT(name) extern "C" [[clang::export_name(#name)]]
/// The entry points of a service; once, in its .cpp.
#define POLIS_DISPATCH(service)                                                                                        \
   POLIS_EXPORT(start) void polisStart(std::uint64_t) { __wasm_call_ctors(); }                                         \
   POLIS_EXPORT(called) void polisCalled(std::uint64_t receiver, std::uint64_t sender) {                               \
      ::polis::sdk::detail::dispatchCalled<service>(::polis::sdk::AccountNumber{receiver},                             \
                                                    ::polis::sdk::AccountNumber{sender});                              \
   }
#else
#define POLIS_EXPORT(name) extern "C"
#define POLIS_DISPATCH(service)
#endif

namespace polis::sdk {

/// For entry points other than `called`: the packed arguments of the action being run, and its frame.
template <class F>
void withEntryAction(AccountNumber receiver, F&& body) {
   detail::FrameScope scope(receiver, AccountNumber{});
   detail::ResultBuffer<2048> buffer(env::polis_getCurrentAction());
   body(detail::ActionView::of(buffer.view()).rawData);
}

} // namespace polis::sdk

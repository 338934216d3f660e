#include "kernel/service_instance.hpp"

#include "kernel/cpu_time.hpp"
#include "kernel/kernel.hpp"

#include <array>
#include <tuple>
#include <type_traits>

namespace polis::kernel {

ServiceInstance::ServiceInstance(Context& context, format::AccountNumber service, ServiceCode code, bool switched)
   : context_(context), service_(service), code_(std::move(code)), switched_(switched),
     vm_(context.machine().engine.instantiate(code_.module, context.budget(), this)) {}

namespace {

enum class AllowedModes { any, subjective };
enum class Privilege { none, privileged, local };

/// How a parameter of a host function arrives: how many wasm values it takes, of which type, and how to read it.
template <class T>
struct Parameter;

template <>
struct Parameter<std::uint32_t> {
   static constexpr std::size_t count = 1;
   static constexpr vm::ValueType type = vm::ValueType::i32;
   static std::uint32_t read(const vm::Value* args) { return args[0].i32; }
};
template <>
struct Parameter<std::uint64_t> {
   static constexpr std::size_t count = 1;
   static constexpr vm::ValueType type = vm::ValueType::i64;
   static std::uint64_t read(const vm::Value* args) { return args[0].i64; }
};
template <class Span>
struct SpanParameter {
   static constexpr std::size_t count = 2;
   static constexpr vm::ValueType type = vm::ValueType::i32;
   static Span read(const vm::Value* args) { return {args[0].i32, args[1].i32}; }
};
template <>
struct Parameter<GuestIn> : SpanParameter<GuestIn> {};
template <>
struct Parameter<GuestOut> : SpanParameter<GuestOut> {};
template <>
struct Parameter<GuestPtr64> {
   static constexpr std::size_t count = 1;
   static constexpr vm::ValueType type = vm::ValueType::i32;
   static GuestPtr64 read(const vm::Value* args) { return {args[0].i32}; }
};

[[noreturn]] void refuseMode(const char* name) { throw Abort(std::string(name) + " is not available in this mode"); }
[[noreturn]] void refusePrivilege(const char* name, Privilege needed) {
   throw Abort(std::string(name) + (needed == Privilege::local ? " requires a privileged node-local service"
                                                               : " requires a privileged service"));
}

template <AllowedModes modes, Privilege privilege>
void check(const ServiceInstance& instance, const char* name) {
   if constexpr (modes == AllowedModes::subjective)
      if (!isSubjective(instance.mode()))
         refuseMode(name);
   if constexpr (privilege != Privilege::none)
      if (!instance.code().privileged() || (privilege == Privilege::local && !instance.code().local()))
         refusePrivilege(name, privilege);
}

/// One row of host_functions.def.
template <auto member, AllowedModes modes, Privilege privilege, class R, class... P>
struct Row {
   static_assert(std::is_same_v<decltype(member), R (ServiceInstance::*)(P...)>);

   static constexpr std::array<std::size_t, sizeof...(P) + 1> offsets = [] {
      std::array<std::size_t, sizeof...(P) + 1> out{};
      std::size_t i = 0;
      ((out[i + 1] = out[i] + Parameter<P>::count, ++i), ...);
      return out;
   }();

   static vm::FunctionType type() {
      vm::FunctionType out;
      (out.params.insert(out.params.end(), Parameter<P>::count, Parameter<P>::type), ...);
      if constexpr (!std::is_void_v<R>)
         out.result = vm::ValueType::i32;
      return out;
   }

   static void body(const char* name, vm::CallContext& context, const vm::Value* args, vm::Value* result) {
      auto& instance = context.user<ServiceInstance>();
      context.budget().instructions += cost::hostCall;
      check<modes, privilege>(instance, name);
      [&]<std::size_t... I>(std::index_sequence<I...>) {
         if constexpr (std::is_void_v<R>)
            (instance.*member)(Parameter<P>::read(args + offsets[I])...);
         else
            *result = vm::Value::of((instance.*member)(Parameter<P>::read(args + offsets[I])...));
      }(std::index_sequence_for<P...>());
   }
};

template <auto member, AllowedModes modes, Privilege privilege, class F>
struct RowOf;
template <auto member, AllowedModes modes, Privilege privilege, class R, class... P>
struct RowOf<member, modes, privilege, R(P...)> : Row<member, modes, privilege, R, P...> {};

using u32 = std::uint32_t;
using u64 = std::uint64_t;

} // namespace

std::vector<vm::HostFunction> hostFunctions() {
   std::vector<vm::HostFunction> out;
#define HOST_FUNCTION(name, result, params, modes, privilege)                                                          \
   {                                                                                                                   \
      using Entry = RowOf<&ServiceInstance::name, AllowedModes::modes, Privilege::privilege, result params>;           \
      out.push_back({#name, Entry::type(), [](vm::CallContext& context, const vm::Value* args, vm::Value* value) {     \
                        Entry::body(#name, context, args, value);                                                      \
                     }});                                                                                              \
   }
#include "kernel/host_functions.def"
#undef HOST_FUNCTION
   return out;
}

} // namespace polis::kernel

#pragma once
// Events: plain structs with a name, recorded by the `events` service.
//
//    struct BalanceChanged {
//       static constexpr std::string_view eventName = "balChanged";
//       AccountNumber account; …
//    };
//    emitHistory(BalanceChanged{…});

#include <polis/action.hpp>

namespace polis::sdk {

/// Numbers by which the `events` service tells the logs apart.
enum class EventDb : std::uint8_t {
   history = 0,
   merkle = 1,
};

namespace detail {

template <class E>
std::uint64_t emit(EventDb db, const E& event) {
   constexpr AccountNumber events{"events"};
   constexpr MethodNumber method{"event"};
   constexpr MethodNumber type{E::eventName};
   const std::tuple<std::uint8_t, MethodNumber, Bytes> args{static_cast<std::uint8_t>(db), type, pack(event)};
   const auto size = callPacked(packActionOf(getReceiver(), events, method, args));
   std::uint8_t number[8] = {};
   if (size == 8)
      env::polis_getResult(number, 8, 0);
   return loadU64(number);
}

} // namespace detail

/// Records an event in the node's history. Returns its number.
template <class E>
std::uint64_t emitHistory(const E& event) {
   return detail::emit(EventDb::history, event);
}

/// Records an event that the block's header proves.
template <class E>
std::uint64_t emitMerkle(const E& event) {
   return detail::emit(EventDb::merkle, event);
}

} // namespace polis::sdk

#pragma once
// Events: plain structs with a name, recorded by the `events` service.
//
//    struct BalanceChanged {
//       static constexpr std::string_view eventName = "balChanged";
//       AccountNumber account; …
//    };
//    emitHistory(BalanceChanged{…});
//
// The schema calls an event `private`, or `public` with `static constexpr bool isPublic = true;` beside its name.
//
// Those that queries shall find are kept in a table, too:
//
//    using Changes = EventTable<3, BalanceChanged, By<&BalanceChanged::account>>;
//    keepHistory<Changes>(BalanceChanged{…});
//    …
//    return connection(openOf<Changes>(Tokens::account).index<1>(), page, account);     // in a query, newest last

#include <polis/action.hpp>
#include <polis/native.hpp>
#include <polis/table.hpp>

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

/// In which block an event happened, as clients of the protocol ask: `block { blockNum blockTime }`.
struct EventBlock {
   BlockNum blockNum = 0;
   TimePointUSec blockTime;
};

/// An event as queries find it. Outside the state hash.
template <class E>
struct EventLine {
   std::uint64_t number = 0; ///< in the log of all history
   E event;
   BlockNum blockNum = 0;
   TimePointUSec blockTime;
   EventBlock block() const { return {blockNum, blockTime}; }
};

/// Index of an EventTable: by these members of the event, then in the order in which they happened.
template <auto... members>
struct By {
   template <class E>
   static void append(Bytes& out, const EventLine<E>& line) {
      (appendKey(out, std::invoke(members, line.event)), ...);
      appendKey(out, line.number);
   }
};

/// Events of one kind: index 0 has all of them in the order in which they happened, the others are `By…`.
template <std::uint16_t number, class E, class... Indexes>
using EventTable = WriteOnlyTable<number, EventLine<E>, &EventLine<E>::number, Indexes...>;

/// Records an event in the node's history and in an EventTable of this service. Returns its number.
template <class T, class E>
std::uint64_t keepHistory(const E& event) {
   const auto number = emitHistory(event);
   const StatusView status;
   open<T>().append({.number = number, .event = event, .blockNum = status.blockNum(), .blockTime = status.time()});
   return number;
}

} // namespace polis::sdk

// Actions in their packed form, and what became of them.
#pragma once

#include "base/bytes.hpp"
#include "format/chain.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace polis::kernel {

/// An action kept as frac(Action), so that handing it to a service or a trace packs nothing.
struct PackedAction {
   format::AccountNumber sender;
   format::AccountNumber service;
   format::MethodNumber method;
   Bytes packed;

   /// Lives as long as `packed`.
   ByteView rawData() const;
   format::Action unpack() const;
};

PackedAction packAction(format::AccountNumber sender, format::AccountNumber service, format::MethodNumber method,
                        ByteView rawData);
inline PackedAction packAction(const format::Action& action) {
   return packAction(action.sender, action.service, action.method, action.rawData);
}

/// Strict frac(Action); nothing for any other bytes.
std::optional<PackedAction> parseAction(ByteView packed);

/// One action while and after it ran. Becomes an ActionTrace only when somebody asks.
struct ActionNode {
   PackedAction action;
   Bytes retval;
   /// Console text or a called action, in order.
   std::vector<std::variant<std::string, std::unique_ptr<ActionNode>>> inner;
   std::int64_t totalTimeNs = 0;
   std::optional<std::string> error;
};

format::ActionTrace toTrace(const ActionNode& node);

/// What became of a transaction. Becomes a trace only when somebody asks.
struct Outcome {
   std::optional<std::string> error;
   /// What ran; none when the transaction was refused before.
   std::optional<ActionNode> action;

   format::TransactionTrace trace() const;
};

/// What a transaction callback is given: frac(tuple(id, TransactionTrace)), without making the trace first.
Bytes packTold(const format::Checksum256& id, const Outcome& outcome);

} // namespace polis::kernel

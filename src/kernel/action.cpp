#include "kernel/action.hpp"

#include "base/assert.hpp"
#include "format/fracpack.hpp"

#include <cstring>

namespace polis::kernel {

namespace {
// frac(Action): u16 size of the fixed area, sender, service, method, offset; then the length and bytes of rawData.
constexpr std::size_t fixedBytes = 2 + 8 + 8 + 8 + 4;

std::uint64_t load64(const std::uint8_t* at) {
   std::uint64_t value;
   std::memcpy(&value, at, sizeof value);
   return value;
}
} // namespace

ByteView PackedAction::rawData() const {
   return packed.size() > fixedBytes ? ByteView(packed).subspan(fixedBytes + 4) : ByteView();
}

format::Action PackedAction::unpack() const { return {sender, service, method, toBytes(rawData())}; }

PackedAction packAction(format::AccountNumber sender, format::AccountNumber service, format::MethodNumber method,
                        ByteView rawData) {
   PackedAction out{sender, service, method, {}};
   const std::size_t heap = rawData.empty() ? 0 : 4 + rawData.size();
   out.packed.resize(fixedBytes + heap);
   std::uint8_t* at = out.packed.data();
   format::frac::store16(at, fixedBytes - 2);
   std::memcpy(at + 2, &sender.value, 8);
   std::memcpy(at + 10, &service.value, 8);
   std::memcpy(at + 18, &method.value, 8);
   format::frac::store32(at + 26, rawData.empty() ? 0 : 4);
   if (!rawData.empty()) {
      format::frac::store32(at + 30, rawData.size());
      std::memcpy(at + 34, rawData.data(), rawData.size());
   }
   return out;
}

std::optional<PackedAction> parseAction(ByteView packed) {
   if (format::validate<format::Action>(packed) != format::Validity::valid)
      return std::nullopt;
   ASSERT(packed.size() >= fixedBytes);
   return PackedAction{format::AccountNumber(load64(packed.data() + 2)),
                       format::AccountNumber(load64(packed.data() + 10)),
                       format::MethodNumber(load64(packed.data() + 18)), toBytes(packed)};
}

format::ActionTrace toTrace(const ActionNode& node) {
   format::ActionTrace out;
   out.action = node.action.unpack();
   out.rawRetval = node.retval;
   out.innerTraces.reserve(node.inner.size());
   for (const auto& inner : node.inner) {
      if (const auto* text = std::get_if<std::string>(&inner))
         out.innerTraces.push_back({format::ConsoleTrace{*text}});
      else
         out.innerTraces.push_back({toTrace(*std::get<std::unique_ptr<ActionNode>>(inner))});
   }
   out.totalTime = node.totalTimeNs;
   out.error = node.error;
   return out;
}

format::TransactionTrace Outcome::trace() const {
   format::TransactionTrace out;
   if (action)
      out.actionTraces.push_back(toTrace(*action));
   out.error = error;
   return out;
}

namespace {

using format::frac::store16;
using format::frac::store32;

/// Bytes of a list or text on its parent's heap, where an empty one takes none.
std::size_t listBytes(std::size_t content) { return content ? 4 + content : 0; }

// Fixed areas: an ActionTrace has action, rawRetval, innerTraces, totalTime and, when it failed, error; an InnerTrace
// and a ConsoleTrace one offset each.
constexpr std::size_t traceFixed = 2 + 4 + 4 + 4 + 8, oneFixed = 2 + 4, variantFixed = 1 + 4;

std::size_t traceBytes(const ActionNode& node) {
   std::size_t inner = 0;
   for (const auto& item : node.inner) {
      inner += 4 + oneFixed + variantFixed;
      if (const auto* text = std::get_if<std::string>(&item))
         inner += oneFixed + listBytes(text->size());
      else
         inner += traceBytes(*std::get<std::unique_ptr<ActionNode>>(item));
   }
   return traceFixed + node.action.packed.size() + listBytes(node.retval.size()) + listBytes(inner) +
          (node.error ? 4 + listBytes(node.error->size()) : 0);
}

/// Writes an offset at `slot` to a list at `heap`, and the list.
std::uint8_t* writeList(std::uint8_t* slot, std::uint8_t* heap, const void* data, std::size_t size) {
   store32(slot, size ? static_cast<std::size_t>(heap - slot) : 0);
   if (!size)
      return heap;
   store32(heap, size);
   std::memcpy(heap + 4, data, size);
   return heap + 4 + size;
}

std::uint8_t* writeTrace(std::uint8_t* out, const ActionNode& node) {
   const std::size_t fixed = traceFixed + (node.error ? 4 : 0);
   store16(out, fixed - 2);
   std::uint8_t* heap = out + fixed;
   store32(out + 2, static_cast<std::size_t>(heap - (out + 2)));
   std::memcpy(heap, node.action.packed.data(), node.action.packed.size());
   heap = writeList(out + 6, heap + node.action.packed.size(), node.retval.data(), node.retval.size());
   store32(out + 10, node.inner.empty() ? 0 : static_cast<std::size_t>(heap - (out + 10)));
   if (!node.inner.empty()) {
      store32(heap, 4 * node.inner.size());
      std::uint8_t* slot = heap + 4;
      heap = slot + 4 * node.inner.size();
      for (const auto& item : node.inner) {
         store32(slot, static_cast<std::size_t>(heap - slot));
         slot += 4;
         store16(heap, oneFixed - 2);
         store32(heap + 2, 4);
         std::uint8_t* const tag = heap + oneFixed;
         std::uint8_t* const content = tag + variantFixed;
         if (const auto* text = std::get_if<std::string>(&item)) {
            *tag = 0;
            store16(content, oneFixed - 2);
            heap = writeList(content + 2, content + oneFixed, text->data(), text->size());
         } else {
            *tag = 2;
            heap = writeTrace(content, *std::get<std::unique_ptr<ActionNode>>(item));
         }
         store32(tag + 1, static_cast<std::size_t>(heap - content));
      }
   }
   std::memcpy(out + 14, &node.totalTimeNs, 8);
   if (node.error)
      heap = writeList(out + 22, heap, node.error->data(), node.error->size());
   return heap;
}

} // namespace

Bytes packTold(const format::Checksum256& id, const Outcome& outcome) {
   const std::size_t fixed = 2 + 4 + (outcome.error ? 4 : 0);
   constexpr std::size_t before = 2 + 32 + 4;
   Bytes out(before + fixed + (outcome.action ? 4 + 4 + traceBytes(*outcome.action) : 0) +
             (outcome.error ? listBytes(outcome.error->size()) : 0));
   std::uint8_t* const trace = out.data() + before;
   store16(out.data(), before - 2);
   std::memcpy(out.data() + 2, id.data(), id.size());
   store32(out.data() + 34, 4);
   store16(trace, fixed - 2);
   std::uint8_t* heap = trace + fixed;
   store32(trace + 2, outcome.action ? static_cast<std::size_t>(heap - (trace + 2)) : 0);
   if (outcome.action) {
      store32(heap, 4);
      store32(heap + 4, 4);
      heap = writeTrace(heap + 8, *outcome.action);
   }
   if (outcome.error)
      heap = writeList(trace + 6, heap, outcome.error->data(), outcome.error->size());
   ASSERT(heap == out.data() + out.size());
   return out;
}

} // namespace polis::kernel

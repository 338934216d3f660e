#include "kernel/action.hpp"

#include "base/assert.hpp"
#include "format/fracpack.hpp"

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

} // namespace polis::kernel

#include "kernel/cpu_time.hpp"
#include "kernel/service_instance.hpp"

namespace polis::kernel {

void ServiceInstance::writeConsole(GuestIn text) {
   ByteView bytes = guest(text);
   context_.budget().instructions += cost::copy(bytes.size());
   bytes = bytes.first(std::min<std::size_t>(bytes.size(), context_.consoleBytesLeft));
   context_.consoleBytesLeft -= static_cast<u32>(bytes.size());
   auto& inner = frame->node.inner;
   if (inner.empty() || !std::holds_alternative<std::string>(inner.back())) {
      if (!context_.takeTracePlace())
         return;
      inner.emplace_back(std::string());
   }
   std::get<std::string>(inner.back()).append(asText(bytes));
}

void ServiceInstance::abortMessage(GuestIn text) {
   // It stands in the trace once for each enclosing action.
   constexpr std::size_t messageBytesMax = 8192;
   const ByteView bytes = guest(text);
   throw Abort("service '" + service_.str() +
               "' aborted with message: " + toText(bytes.first(std::min(bytes.size(), messageBytesMax))));
}

std::uint32_t ServiceInstance::getCurrentAction() {
   // The frame outlives every fetch of this result but the last; its packed bytes stay in the trace.
   const Bytes& packed = frame->node.action.packed;
   result_.show(packed);
   key_.clear();
   return static_cast<u32>(packed.size());
}

std::uint32_t ServiceInstance::call(GuestIn bytes, u64 flags) {
   auto action = parseAction(guest(bytes));
   if (!action)
      throw Abort("call: not a packed action");
   if (flags > 2)
      throw Abort("Invalid call flags: " + std::to_string(flags));
   if (flags != 0 && mode() != Mode::transaction && mode() != Mode::speculative)
      throw Abort("Can only change run mode in a transaction");

   const bool foreign = action->sender != service_;
   if (foreign && !code_.privileged())
      throw Abort("service '" + service_.str() + "' is not authorized to call as '" + action->sender.str() + "'");
   const bool switches = flags != 0;
   runInner(std::move(*action), {.mode = !switches    ? mode()
                                         : flags == 1 ? Mode::rpc
                                                      : Mode::callback,
                                 .switched = switches || switched_,
                                 .sudo = (foreign || switches) && !code_.local()});
   return static_cast<u32>(result_.view().size());
}

void ServiceInstance::runInner(PackedAction action, const Callee& callee) {
   const bool switches = callee.switched && !switched_;
   const std::size_t bytes = action.packed.size();
   context_.budget().instructions += cost::copy(bytes);
   context_.hold(bytes);
   const bool shown = context_.takeTracePlace();
   auto& inner = frame->node.inner;
   inner.emplace_back(std::make_unique<ActionNode>());
   ActionNode& node = *std::get<std::unique_ptr<ActionNode>>(inner.back());
   node.action = std::move(action);
   if (switches)
      result_.take(context_.runSwitched(node, callee));
   else
      context_.runCallee(node, callee);
   context_.letGo(bytes);
   key_.clear();
   if (shown && context_.takeTraceBytes(node.retval.size())) {
      if (!switches)
         result_.show(node.retval);
      return;
   }
   context_.keepResults();
   if (!switches)
      result_.take(std::move(node.retval));
   node.retval.clear();
   if (!shown)
      inner.pop_back();
}

void ServiceInstance::setRetval(GuestIn value) {
   const ByteView bytes = guest(value);
   context_.budget().instructions += cost::copy(bytes.size());
   context_.letGo(frame->node.retval.size());
   context_.hold(bytes.size());
   frame->node.retval.assign(bytes.begin(), bytes.end());
   result_.clear();
   key_.clear();
}

} // namespace polis::kernel

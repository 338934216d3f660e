#include "kernel/cpu_time.hpp"
#include "kernel/service_instance.hpp"

namespace polis::kernel {

void ServiceInstance::writeConsole(GuestIn text) {
   ByteView bytes = guest(text);
   context_.budget().instructions += cost::copy(bytes.size());
   bytes = bytes.first(std::min<std::size_t>(bytes.size(), context_.consoleBytesLeft));
   context_.consoleBytesLeft -= static_cast<u32>(bytes.size());
   if (bytes.empty())
      return;
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
   if (flags != 0 && mode_ != Mode::transaction && mode_ != Mode::speculative)
      throw Abort("Can only change run mode in a transaction");

   const bool foreign = action->sender != service_;
   if (foreign && !code_.privileged())
      throw Abort("service '" + service_.str() + "' is not authorized to call as '" + action->sender.str() + "'");
   if ((foreign || flags != 0) && !code_.local()) {
      const Mode mode = flags == 0 ? mode_ : flags == 1 ? Mode::rpc : Mode::callback;
      if (isSubjective(mode)) {
         const std::uint64_t callee = context_.codeFlags(action->service, mode);
         if ((callee & ServiceCode::isLocal) && !(callee & format::CodeRow::isReplacement))
            throw Abort("on-chain service cannot sudo when calling a node-local service");
      }
   }

   runInner(std::move(*action), flags);
   return static_cast<u32>(result_.view().size());
}

void ServiceInstance::runInner(PackedAction action, u64 flags) {
   const std::size_t bytes = action.packed.size();
   context_.budget().instructions += cost::copy(bytes);
   context_.hold(bytes);
   const bool shown = context_.takeTracePlace();
   auto& inner = frame->node.inner;
   inner.emplace_back(std::make_unique<ActionNode>());
   ActionNode& node = *std::get<std::unique_ptr<ActionNode>>(inner.back());
   node.action = std::move(action);
   if (flags == 0)
      context_.runCallee(node, mode_, switched_);
   else
      result_.take(context_.runSwitched(node, flags == 1 ? Mode::rpc : Mode::callback));
   context_.letGo(bytes);
   key_.clear();
   if (shown && context_.takeTraceBytes(node.retval.size())) {
      if (flags == 0)
         result_.show(node.retval);
      return;
   }
   context_.keepResults();
   if (flags == 0)
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

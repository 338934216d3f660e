#include "kernel/compile_ahead.hpp"

namespace polis::kernel {

bool CompileAhead::isReady(const format::Checksum256& hash, const vm::Options& options) {
   if (guard_.refused(hash) || engine_.find(hash, options))
      return true;
   Lock lock(mutex_);
   return refused_.contains({hash, options});
}

CompileAhead::Answer CompileAhead::request(const format::Checksum256& hash, format::AccountNumber service,
                                           const vm::Options& options,
                                           const std::function<std::optional<Bytes>()>& code) {
   if (isReady(hash, options))
      return Answer::ready;
   const Key key{hash, options};
   {
      Lock lock(mutex_);
      if (underWay_.contains(key))
         return Answer::underWay;
   }
   auto bytes = code();
   if (!bytes)
      return Answer::ready; // whoever runs it hears what is missing
   {
      Lock lock(mutex_);
      if (!underWay_.insert(key).second)
         return Answer::underWay;
   }
   auto work = [this, key, service, bytes = std::move(*bytes)] {
      bool compiled = false;
      {
         const CodeGuard::Running note(guard_, key.hash, service, CodeGuard::Purpose::compile, host_.monotonicNs());
         compiled = engine_.compile(bytes, key.hash, key.options).has_value();
      }
      {
         Lock lock(mutex_);
         underWay_.erase(key);
         if (!compiled && refused_.insert(key).second)
            refusedOrder_.push_back(key);
         if (refusedOrder_.size() > refusedMax) {
            refused_.erase(refusedOrder_.front());
            refusedOrder_.pop_front();
         }
      }
      host_.wakeProducer();
   };
   if (!host_.compile(std::move(work))) {
      Lock lock(mutex_);
      underWay_.erase(key); // tried again by whoever asks next
      return Answer::full;
   }
   return isReady(hash, options) ? Answer::ready : Answer::underWay;
}

} // namespace polis::kernel

#include "kernel/service_instance.hpp"

namespace polis::kernel {

void ServiceInstance::checkoutSubjective() {
   if (context_.checkout().levels() >= Checkout::levelsMax)
      throw Abort("too many levels of checkoutSubjective");
   if (context_.checkout().levels() == 0)
      context_.markWritten();
   context_.checkout().push();
}

std::uint32_t ServiceInstance::commitSubjective() {
   Checkout& checkout = context_.checkout();
   if (checkout.levels() <= frame->levels)
      throw Abort("commitSubjective requires checkoutSubjective");
   const bool outermost = checkout.levels() == 1;
   if (outermost && mode() == Mode::transaction)
      return commitInTransaction();
   if (!checkout.commit()) {
      context_.machine().counters.localConflicts.fetch_add(1, std::memory_order_relaxed);
      context_.forgetWritten();
      return 0;
   }
   announceCommit(outermost);
   return 1;
}

std::uint32_t ServiceInstance::commitInTransaction() {
   Checkout& checkout = context_.checkout();
   const bool producing = context_.options().producing;
   bool done = false;
   try {
      done = checkout.commit();
   } catch (const Abort&) {
      if (producing)
         throw;
   }
   if (done) {
      announceCommit(true);
      return 1;
   }
   context_.machine().counters.localConflicts.fetch_add(1, std::memory_order_relaxed);
   if (producing)
      throw Abort("what the transaction wrote on this node has changed meanwhile; push it again");
   checkout.drop();
   return 1;
}

void ServiceInstance::announceCommit(bool outermost) {
   Checkout& checkout = context_.checkout();
   if (outermost && !checkout.committed().empty() && context_.options().view == Checkout::View::shared) {
      context_.machine().counters.localCommits.fetch_add(1, std::memory_order_relaxed);
      context_.machine().announce(checkout.committed());
   }
}

void ServiceInstance::abortSubjective() {
   Checkout& checkout = context_.checkout();
   if (checkout.levels() <= frame->levels)
      throw Abort("abortSubjective requires checkoutSubjective");
   checkout.drop();
}

} // namespace polis::kernel

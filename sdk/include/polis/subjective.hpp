#pragma once
// Node-local databases are read and written only inside a subjective transaction, which is tried again when another
// thread changed what it read:
//
//    POLIS_SUBJECTIVE_TRANSACTION
//    {
//       auto row = open<Counters>().get(name);
//       …
//    }
//
// The body may run more than once: everything it sets must be set again by each run. Do not leave it by `return`,
// `break` or `goto`.

#include <polis/action.hpp>

namespace polis::sdk::detail {

class SubjectiveTransaction {
public:
   SubjectiveTransaction() { env::polis_checkoutSubjective(); }
   bool running() const { return running_; }
   void tryCommit() { running_ = env::polis_commitSubjective() == 0; }

private:
   bool running_ = true;
};

} // namespace polis::sdk::detail

#define POLIS_SUBJECTIVE_TRANSACTION                                                                                   \
   for (::polis::sdk::detail::SubjectiveTransaction polisTransaction; polisTransaction.running();                      \
        polisTransaction.tryCommit())

namespace polis::sdk {

/// Runs `body` in a subjective transaction and returns its result; `body` may run more than once and may return at any
/// point.
template <class F>
auto subjectively(F&& body) {
   for (detail::SubjectiveTransaction transaction;;) {
      if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
         body();
         transaction.tryCommit();
         if (!transaction.running())
            return;
      } else {
         auto result = body();
         transaction.tryCommit();
         if (!transaction.running())
            return result;
      }
   }
}

} // namespace polis::sdk

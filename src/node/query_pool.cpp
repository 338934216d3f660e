#include "node/query_pool.hpp"
#include "base/fault.hpp"
#include "base/thread_name.hpp"

namespace polis::node {

QueryPool::QueryPool(std::size_t threads, std::function<void(const char*)> onFault) : onFault_(std::move(onFault)) {
   for (std::size_t i = 0; i < threads; ++i)
      threads_.emplace_back([this] {
         nameThread("query");
         while (auto work = queue_.pop()) {
            try {
               (*work)();
            } catch (const Fault& fault) {
               onFault_(fault.what());
            }
         }
      });
}

QueryPool::~QueryPool() { stop(); }

bool QueryPool::submit(std::function<void()> work) {
   if (queue_.tryPush(std::move(work)))
      return true;
   refused_.fetch_add(1, std::memory_order_relaxed);
   return false;
}

void QueryPool::stop() {
   queue_.close();
   threads_.clear();
}

} // namespace polis::node

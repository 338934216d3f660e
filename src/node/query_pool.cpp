#include "node/query_pool.hpp"
#include "base/fault.hpp"
#include "base/thread_name.hpp"
#include <algorithm>

namespace polis::node {

QueryPool::QueryPool(std::size_t threads, std::function<void(const char*)> onFault)
   : sourceRunningMax_(threads - std::min(threads - 1, std::max<std::size_t>(1, threads / 4))),
     onFault_(std::move(onFault)) {
   for (std::size_t i = 0; i < threads; ++i)
      threads_.emplace_back([this] {
         nameThread("query");
         run();
      });
}

QueryPool::~QueryPool() { stop(); }

void QueryPool::queueTurn(Source source, Lane& lane) {
   if (lane.inTurn || !mayRun(source, lane))
      return;
   lane.inTurn = true;
   turns_.push_back(source);
   changed_.notify_one();
}

bool QueryPool::submit(std::function<void()> work, Source source) {
   Lock lock(mutex_);
   std::size_t& waiting = source == ownWork ? ownWaiting_ : waiting_;
   const auto at = lanes_.find(source);
   if (stopped_ || waiting >= queueMax ||
       (source != ownWork && at != lanes_.end() && at->second.waiting.size() >= sourceQueueMax)) {
      ++refused_;
      return false;
   }
   ++waiting;
   Lane& lane = lanes_[source];
   lane.waiting.push_back(std::move(work));
   queueTurn(source, lane);
   return true;
}

void QueryPool::run() {
   Lock lock(mutex_);
   for (;;) {
      while (turns_.empty() && !(stopped_ && waiting_ + ownWaiting_ == 0))
         changed_.wait(lock);
      if (turns_.empty())
         return;
      const Source source = turns_.front();
      turns_.pop_front();
      Lane& lane = lanes_[source]; // nodes of the map do not move
      lane.inTurn = false;
      auto work = std::move(lane.waiting.front());
      lane.waiting.pop_front();
      --(source == ownWork ? ownWaiting_ : waiting_);
      ++lane.running;
      queueTurn(source, lane);
      lock.unlock();
      try {
         work();
         work = nullptr;
      } catch (const Fault& fault) {
         onFault_(fault.what());
      }
      lock.lock();
      --lane.running;
      queueTurn(source, lane);
      if (lane.running == 0 && lane.waiting.empty())
         lanes_.erase(source);
      if (stopped_)
         changed_.notify_all();
   }
}

void QueryPool::stop() {
   {
      Lock lock(mutex_);
      stopped_ = true;
   }
   changed_.notify_all();
   threads_.clear();
}

std::size_t QueryPool::queued() const {
   Lock lock(mutex_);
   return waiting_ + ownWaiting_;
}

std::uint64_t QueryPool::refused() const {
   Lock lock(mutex_);
   return refused_;
}

} // namespace polis::node

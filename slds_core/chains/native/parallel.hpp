// Chains of a batch, spread over the threads that XLA lends.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

namespace slds {

// Calls `work(item)` for each item below `items`. The caller takes items too, and waits for no thread that has not begun:
// so it ends even where every other thread is busy, or waits for this one.
inline void for_each(xla::ffi::ThreadPool pool, int64_t items, const std::function<void(int64_t)>& work) {
  struct Shared {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable changed;
    int64_t done = 0;
    std::exception_ptr failure;
  };
  const int64_t helpers = std::min<int64_t>(pool.num_threads(), items) - 1;
  if (helpers < 1) {
    for (int64_t item = 0; item < items; ++item) work(item);
    return;
  }
  const auto shared = std::make_shared<Shared>();
  // A helper that comes late finds nothing left, and touches nothing but what it shares the ownership of.
  const auto take = [shared, items, &work] {
    for (int64_t item; (item = shared->next.fetch_add(1)) < items;) {
      std::exception_ptr failure;
      try {
        work(item);
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard<std::mutex> lock(shared->mutex);
      if (failure) shared->failure = failure;
      if (++shared->done == items) shared->changed.notify_all();
    }
  };
  for (int64_t helper = 0; helper < helpers; ++helper) pool.Schedule(std::function<void()>(take));
  take();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->changed.wait(lock, [&] { return shared->done == items; });
  if (shared->failure) std::rethrow_exception(shared->failure);
}

}  // namespace slds

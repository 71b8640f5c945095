// Working memory of one chain: aligned, zeroed, freed when it goes out of scope.
#pragma once

#include <cstdlib>
#include <cstring>
#include <new>

namespace slds {

template <class T>
class Scratch {
 public:
  explicit Scratch(size_t count) {
    const size_t bytes = (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment + kAlignment;
    memory_ = static_cast<T*>(std::aligned_alloc(kAlignment, bytes));
    if (!memory_) throw std::bad_alloc();
    std::memset(memory_, 0, bytes);
    next_ = memory_;
  }
  ~Scratch() { std::free(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // The next `count` numbers; a whole number of vectors, so that what follows is aligned too.
  T* take(size_t count) {
    T* taken = next_;
    next_ += count;
    return taken;
  }

 private:
  static constexpr size_t kAlignment = 64;
  T *memory_, *next_;
};

}  // namespace slds

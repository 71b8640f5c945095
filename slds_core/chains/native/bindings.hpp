// What the functions that JAX calls share: they check shapes, choose precision and size, and run the chains of a batch.
//
// Every array has the same leading axes, the batch. Whatever does not fit is an error that JAX raises in Python.
#pragma once

#include <string>
#include <vector>

#include "matrices.hpp"
#include "parallel.hpp"
#include "xla/ffi/api/ffi.h"

namespace slds {

namespace ffi = xla::ffi;
using ffi::AnyBuffer;
using ffi::Error;
using ffi::Result;

// An array within a batch: `rank` trailing axes are one chain's.
struct Form {
  std::vector<int64_t> batch, own;
};

inline Form form(const AnyBuffer& array, size_t rank) {
  const auto all = array.dimensions();
  if (all.size() < rank) return {};
  return {{all.begin(), all.end() - rank}, {all.end() - rank, all.end()}};
}

inline std::string text(const std::vector<int64_t>& sizes) {
  std::string words = "(";
  for (size_t i = 0; i < sizes.size(); ++i) words += (i ? ", " : "") + std::to_string(sizes[i]);
  return words + ")";
}

// Checks that arrays have the batch, shape and precision that they should.
class Check {
 public:
  Check(std::vector<int64_t> batch, ffi::DataType precision) : batch_(std::move(batch)), precision_(precision) {}

  void operator()(const char* name, const AnyBuffer& array, const std::vector<int64_t>& own) {
    if (failed()) return;
    const Form found = form(array, own.size());
    if (found.own != own || found.batch != batch_)
      message_ = std::string(name) + ": expected shape " + text(own) + " in a batch of " + text(batch_) + ", found " +
                 text(found.own) + " in " + text(found.batch);
    else if (array.element_type() != precision_)
      message_ = std::string(name) + ": expected the precision of all other arrays";
  }
  bool failed() const { return !message_.empty(); }
  Error error() const { return Error::InvalidArgument(message_); }

 private:
  std::vector<int64_t> batch_;
  ffi::DataType precision_;
  std::string message_;
};

inline int64_t count(const std::vector<int64_t>& sizes) {
  int64_t product = 1;
  for (const int64_t size : sizes) product *= size;
  return product;
}

// One chain's part of an array.
template <class T>
T* part(const AnyBuffer& array, int64_t item, int64_t size) {
  return static_cast<T*>(array.untyped_data()) + item * size;
}

// Calls `function` with the shape that fits: known to the compiler for the sizes that matter most.
template <class T, class F>
void with_shape(int size, const F& function) {
  switch (size) {
    case 1: return function(Fixed<T, 1>(size));
    case 2: return function(Fixed<T, 2>(size));
    case 3: return function(Fixed<T, 3>(size));
    case 4: return function(Fixed<T, 4>(size));
    case 5: return function(Fixed<T, 5>(size));
    case 6: return function(Fixed<T, 6>(size));
    case 8: return function(Fixed<T, 8>(size));
    case 10: return function(Fixed<T, 10>(size));
    case 16: return function(Fixed<T, 16>(size));
    case 20: return function(Fixed<T, 20>(size));
    default: return function(Dynamic<T>(size));
  }
}

// Calls `work(shape, item)` for each chain of a batch, on the threads that XLA lends.
template <class F>
Error for_each_chain(ffi::ThreadPool pool, ffi::DataType precision, int64_t size, const std::vector<int64_t>& batch,
                     const F& work) {
  const auto run = [&](auto shape) { for_each(pool, count(batch), [&](int64_t item) { work(shape, item); }); };
  try {
    if (precision == ffi::F64)
      with_shape<double>(static_cast<int>(size), run);
    else if (precision == ffi::F32)
      with_shape<float>(static_cast<int>(size), run);
    else
      return Error::InvalidArgument("expected arrays of float32 or float64");
  } catch (const std::bad_alloc&) {
    return Error(ffi::ErrorCode::kResourceExhausted, "no memory for a chain's matrices");
  }
  return Error::Success();
}

}  // namespace slds

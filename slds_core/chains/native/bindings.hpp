// What the functions that JAX calls share: they check shapes, choose precision and size, and run the chains of a batch.
//
// Every array has the same leading axes, the batch. Chains of unequal lengths lie end to end in one item of a batch. Whatever does not
// fit is an error that JAX raises in Python.
#pragma once

#include <algorithm>
#include <numeric>
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

// How many draws an array of (time, draws, …) holds, of which `rank` axes are one chain's.
inline int64_t draws_of(const AnyBuffer& array, size_t rank) {
  const Form found = form(array, rank);
  return found.own.size() == rank ? found.own[1] : 0;
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
T* part(const AnyBuffer& array, int64_t begin) {
  return static_cast<T*>(array.untyped_data()) + begin;
}

using Lengths = ffi::Span<const int64_t>;

// Where one chain lies among all of a batch: its number, its steps, and its first step and transition.
struct Place {
  int64_t number, time, step, transition;
};

// The chains of a batch: in each item those of `lengths` steps, end to end; without lengths one, of `time` steps.
class Places {
 public:
  Places(Lengths lengths, int64_t time, int64_t items) : ragged_(lengths.size() > 0), items_(items) {
    std::vector<int64_t> own(lengths.begin(), lengths.end());
    if (!ragged_) own = {time};
    fits_ = *std::min_element(own.begin(), own.end()) >= 0;
    int64_t steps = 0;
    for (const int64_t length : own) {
      places_.push_back({static_cast<int64_t>(places_.size()), length, steps, transitions_});
      steps += length;
      transitions_ += std::max<int64_t>(length - 1, 0);
    }
    time_ = steps;
    fits_ = fits_ && steps == time;
    // the longest first, so that no core waits long for another's last
    std::stable_sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) { return a.time > b.time; });
  }
  bool fits() const { return fits_; }
  int64_t transitions() const { return transitions_; }
  int64_t count() const { return items_ * chains(); }
  // The shape of what there is one of for each chain.
  std::vector<int64_t> each(std::vector<int64_t> own) const {
    if (ragged_) own.insert(own.begin(), chains());
    return own;
  }
  Place operator[](int64_t index) const {
    Place place = places_[index / items_];
    const int64_t item = index % items_;
    place.number += item * chains();
    place.step += item * time_;
    place.transition += item * transitions_;
    return place;
  }

 private:
  int64_t chains() const { return static_cast<int64_t>(places_.size()); }
  bool ragged_, fits_;
  int64_t items_, time_ = 0, transitions_ = 0;
  std::vector<Place> places_;
};

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

// Calls `work(shape, place)` for each chain of a batch, on the threads that XLA lends.
template <class F>
Error for_each_chain(ffi::ThreadPool pool, ffi::DataType precision, int64_t size, const Places& places, const F& work) {
  const auto run = [&](auto shape) {
    for_each(pool, places.count(), [&](int64_t index) { work(shape, places[index]); });
  };
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

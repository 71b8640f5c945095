// The Fisher product of a Gaussian chain: the change of its moments along a direction of its potentials.
//
// Both passes are linear recursions, so a long chain is cut into pieces. All pieces run at once, on as many cores as there are, each as if
// nothing came from the piece before it; what does come is added afterwards, step by step, until it is no more than rounding. Chains
// forget: that mostly ends after some tens of steps. Where it does not, it goes on to the end of the chain, and is exact all the same.
#pragma once

#include <algorithm>

#include "gaussian.hpp"

namespace slds {

// What a finished smoothing left.
template <class T>
struct GaussianLinearisation {
  const T *gain, *conditional, *offset, *mean, *covariance;
};

// How many pieces a chain is cut into: a power of two, for as many cores, of so many steps that each is worth the handing over, which
// takes some 50 µs where a thread must be woken. It depends on the chain alone, so that results do not depend on cores.
inline int64_t pieces_of(int64_t time, int latent) {
  const int64_t least = std::clamp<int64_t>(30'000 / (static_cast<int64_t>(latent) * latent), 200, 1000);
  int64_t pieces = 1;
  while (2 * pieces * least <= time) pieces *= 2;
  return pieces;
}

// Forward, what the way back needs is left in the arrays that the results will take: the changes of the filtered precisions dP, of the
// linear terms `pull`, and `turned` = dC - dP G, which V turns into the gain's change. Backward, each step reads them before it
// overwrites them. No memory grows with time but by what is handed on between pieces.
template <class T, class S>
class GaussianFisherProduct {
 public:
  GaussianFisherProduct(const GaussianLinearisation<T>& at, const GaussianChain<T>& direction, const GaussianMoments<T>& out)
      : s_(direction.latent), time_(direction.time), at_(at), direction_(direction), out_(out) {}

  // `run(count, work)` calls `work(item)` for each item, in any order or at once.
  template <class Run>
  void operator()(const Run& run) const {
    const int64_t pieces = pieces_of(time_, s_.size());
    const size_t size = static_cast<size_t>(s_.size() + 1) * s_.stride();  // a matrix and a vector
    Scratch<T> memory(pieces * size);
    T* const handed = memory.take(pieces * size);
    const auto begin = [&](int64_t piece) { return piece * time_ / pieces; };
    run(pieces, [&](int64_t piece) { forward(begin(piece), begin(piece + 1), handed + piece * size); });
    pass_on(pieces, size, handed, [&](int64_t piece, T* change) { return add_forward(begin(piece), begin(piece + 1), change); });
    std::memset(handed, 0, pieces * size * sizeof(T));
    run(pieces, [&](int64_t piece) { backward(begin(piece), begin(piece + 1), handed + (pieces - 1 - piece) * size); });
    pass_on(pieces, size, handed, [&](int64_t order, T* change) {
      const int64_t piece = pieces - 1 - order;
      return add_backward(begin(piece), begin(piece + 1), change);
    });
  }

 private:
  size_t matrix() const { return static_cast<size_t>(s_.size()) * s_.stride(); }
  int64_t square(int64_t t) const { return t * s_.size() * s_.size(); }
  int64_t vector(int64_t t) const { return t * s_.size(); }

  // Adds to each piece, in order, what the one before hands on; `add` returns whether any is left at its end.
  template <class Add>
  static void pass_on(int64_t pieces, size_t size, T* handed, const Add& add) {
    Scratch<T> memory(size);
    T* const change = memory.take(size);
    for (int64_t piece = 1; piece < pieces; ++piece) {
      std::memcpy(change, handed + (piece - 1) * size, size * sizeof(T));
      T* const own = handed + piece * size;
      if (add(piece, change))
        for (size_t i = 0; i < size; ++i) own[i] += change[i];
    }
  }

  // Whether adding `change` to a base is rounding; false where anything is NaN.
  bool negligible(const T* change, const T* base, int rows) const {
    T largest = 0, size = 0;
    bool numbers = true;
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < s_.size(); ++j) {
        const T one = std::abs(change[i * s_.stride() + j]), other = std::abs(base[i * s_.stride() + j]);
        numbers = numbers && one == one && other == other;
        largest = std::max(largest, one);
        size = std::max(size, other);
      }
    return numbers && largest <= std::numeric_limits<T>::epsilon() / 4 * size;
  }

  // Steps [begin, end). `handed` leaves with what the past hands on to step `end`: Y = Gᵀ (dC - ½ dP G), of which the filtered precision
  // changes by -(Y + Yᵀ), and a change of its linear term.
  void forward(int64_t begin, int64_t end, T* handed) const {
    const int stride = s_.stride();
    Scratch<T> memory(4 * matrix() + 3 * stride);
    T *d_filtered = memory.take(matrix()), *gain = memory.take(matrix());
    T *d_cross = memory.take(matrix()), *turned = memory.take(matrix());
    T *offset = memory.take(stride), *pull = memory.take(stride), *minus = memory.take(stride);
    T *from_past = handed, *carried = handed + matrix();
    for (int64_t t = begin; t < end; ++t) {
      load(s_, d_filtered, direction_.quadratic + square(t));
      update(s_, d_filtered, from_past, [](auto& own, const auto& past) { own += past; });
      symmetrise(s_, d_filtered, d_filtered, T(-1));
      load_row(s_, offset, at_.offset + vector(t));
      load_row(s_, pull, direction_.linear + vector(t));
      for (int v = 0; v < s_.vectors(); ++v) {
        row(minus, 0, 0)[v] = -row(offset, 0, 0)[v];
        row(pull, 0, 0)[v] += row(carried, 0, 0)[v];
      }
      apply_transposed(s_, pull, d_filtered, minus);
      store(s_, out_.second_moment + square(t), d_filtered);
      std::memcpy(out_.mean + vector(t), pull, s_.size() * sizeof(T));
      if (t + 1 == time_) break;

      load(s_, gain, at_.gain + square(t));
      load(s_, d_cross, direction_.cross + square(t));
      std::memset(carried, 0, stride * sizeof(T));
      apply_transposed(s_, carried, d_cross, offset);
      apply_transposed(s_, carried, gain, pull);
      multiply<Write::set>(s_, turned, d_filtered, gain);
      update(s_, turned, d_cross, [](auto& product, auto& own) {
        const auto half = own - T(0.5) * product;
        product = own - product;
        own = half;
      });
      store(s_, out_.cross_moment + square(t), turned);
      multiply<Write::set, true>(s_, from_past, gain, d_cross);
    }
  }

  // What `handed` adds to steps [begin, end), which it leaves with what it adds to what they hand on; false where that is nothing.
  bool add_forward(int64_t begin, int64_t end, T* handed) const {
    const int n = s_.size(), stride = s_.stride();
    Scratch<T> memory(5 * matrix() + 4 * stride);
    T *change = memory.take(matrix()), *d_filtered = memory.take(matrix()), *gain = memory.take(matrix());
    T *turned = memory.take(matrix()), *product = memory.take(matrix());
    T *offset = memory.take(stride), *pull = memory.take(stride), *d_pull = memory.take(stride), *minus = memory.take(stride);
    T *from_past = handed, *carried = handed + matrix();
    for (int64_t t = begin; t < end; ++t) {
      symmetrise(s_, change, from_past, T(-1));
      load_row(s_, offset, at_.offset + vector(t));
      for (int v = 0; v < s_.vectors(); ++v) row(minus, 0, 0)[v] = -row(offset, 0, 0)[v];
      std::memcpy(d_pull, carried, stride * sizeof(T));
      apply_transposed(s_, d_pull, change, minus);
      load(s_, d_filtered, out_.second_moment + square(t));
      load_row(s_, pull, out_.mean + vector(t));
      if (negligible(change, d_filtered, n) && negligible(d_pull, pull, 1)) return false;
      update(s_, d_filtered, change, [](auto& own, const auto& more) { own += more; });
      store(s_, out_.second_moment + square(t), d_filtered);
      for (int i = 0; i < n; ++i) out_.mean[vector(t) + i] += d_pull[i];
      if (t + 1 == time_) break;

      load(s_, gain, at_.gain + square(t));
      load(s_, turned, out_.cross_moment + square(t));
      std::memset(carried, 0, stride * sizeof(T));
      apply_transposed(s_, carried, gain, d_pull);
      multiply<Write::set>(s_, product, change, gain);
      update(s_, turned, product, [](auto& own, auto& more) {
        own -= more;
        more *= T(-0.5);
      });
      store(s_, out_.cross_moment + square(t), turned);
      multiply<Write::set, true>(s_, from_past, gain, product);
    }
    return true;
  }

  // Steps [begin, end), the last first. `handed` leaves with the changes of covariance and mean of step `begin`.
  void backward(int64_t begin, int64_t end, T* handed) const {
    const int n = s_.size(), stride = s_.stride();
    Scratch<T> memory(8 * matrix() + 4 * stride);
    T *d_filtered = memory.take(matrix()), *gain = memory.take(matrix()), *d_gain = memory.take(matrix());
    T *turned = memory.take(matrix()), *conditional = memory.take(matrix()), *covariance = memory.take(matrix());
    T *d_between = memory.take(matrix()), *work = memory.take(matrix());
    T *pull = memory.take(stride), *mean = memory.take(stride), *next_mean = memory.take(stride), *d_mean = memory.take(stride);
    T *d_covariance = handed, *next_d_mean = handed + matrix();
    if (end < time_) load_row(s_, next_mean, at_.mean + vector(end));
    for (int64_t t = end - 1; t >= begin; --t) {
      load(s_, d_filtered, out_.second_moment + square(t));
      load_row(s_, pull, out_.mean + vector(t));
      load(s_, conditional, at_.conditional + square(t));
      load_row(s_, mean, at_.mean + vector(t));
      std::memset(d_mean, 0, stride * sizeof(T));
      apply_transposed(s_, d_mean, conditional, pull);
      multiply<Write::set>(s_, work, conditional, d_filtered);  // V dP
      if (t + 1 == time_) {
        clear(s_, d_covariance);
        multiply<Write::subtract>(s_, d_covariance, work, conditional);
      } else {
        load(s_, gain, at_.gain + square(t));
        load(s_, turned, out_.cross_moment + square(t));
        load(s_, covariance, at_.covariance + square(t + 1));
        T *gain_transposed = turned, *half = covariance;
        multiply<Write::set>(s_, d_gain, conditional, turned);
        transpose(s_, gain_transposed, gain);
        multiply<Write::set>(s_, d_between, gain, d_covariance);  // kept
        multiply<Write::set>(s_, d_filtered, d_gain, covariance);  // shifted
        // dΣ = X + Xᵀ, where X = (dG Σ' + ½ G dΣ') Gᵀ - ½ V dP V
        update(s_, half, d_filtered, [](auto& sum, const auto& shifted) { sum = shifted; });
        update(s_, half, d_between, [](auto& sum, const auto& kept) { sum += T(0.5) * kept; });
        update(s_, d_between, d_filtered, [](auto& kept, const auto& shifted) { kept += shifted; });
        update(s_, work, work, [](auto& own, const auto&) { own *= T(0.5); });
        multiply<Write::set>(s_, d_covariance, half, gain_transposed);
        multiply<Write::subtract>(s_, d_covariance, work, conditional);
        symmetrise(s_, d_covariance, d_covariance, T(1));
        // d_mean += dG m' + G dm'
        for (int i = 0; i < n; ++i) {
          T sum = d_mean[i];
          for (int j = 0; j < n; ++j) sum += d_gain[i * stride + j] * next_mean[j];
          d_mean[i] = sum;
        }
        apply_transposed(s_, d_mean, gain_transposed, next_d_mean);
        store_with_outer(s_, out_.cross_moment + square(t), d_between, d_mean, next_mean, mean, next_d_mean);
      }
      store_with_outer(s_, out_.second_moment + square(t), d_covariance, d_mean, mean, mean, d_mean);
      std::memcpy(out_.mean + vector(t), d_mean, n * sizeof(T));
      std::memcpy(next_mean, mean, stride * sizeof(T));
      std::memcpy(next_d_mean, d_mean, stride * sizeof(T));
    }
  }

  // As `add_forward`: G dΣ' Gᵀ and G dm' more.
  bool add_backward(int64_t begin, int64_t end, T* handed) const {
    const int n = s_.size(), stride = s_.stride();
    Scratch<T> memory(6 * matrix() + 4 * stride);
    T *gain = memory.take(matrix()), *gain_transposed = memory.take(matrix()), *kept = memory.take(matrix());
    T *added = memory.take(matrix()), *moment = memory.take(matrix()), *total = memory.take(matrix());
    T *mean = memory.take(stride), *next_mean = memory.take(stride), *d_mean = memory.take(stride), *own = memory.take(stride);
    T *d_covariance = handed, *next_d_mean = handed + matrix();
    load_row(s_, next_mean, at_.mean + vector(end));
    for (int64_t t = end - 1; t >= begin; --t) {
      load(s_, gain, at_.gain + square(t));
      load_row(s_, mean, at_.mean + vector(t));
      transpose(s_, gain_transposed, gain);
      multiply<Write::set>(s_, kept, gain, d_covariance);
      multiply<Write::set>(s_, d_covariance, kept, gain_transposed);
      std::memset(d_mean, 0, stride * sizeof(T));
      apply_transposed(s_, d_mean, gain_transposed, next_d_mean);

      std::memcpy(added, d_covariance, matrix() * sizeof(T));
      add_outer(s_, added, d_mean, mean);
      add_outer(s_, added, mean, d_mean);
      add_outer(s_, kept, d_mean, next_mean);
      add_outer(s_, kept, mean, next_d_mean);
      load(s_, moment, out_.second_moment + square(t));
      load(s_, total, out_.cross_moment + square(t));
      load_row(s_, own, out_.mean + vector(t));
      if (negligible(added, moment, n) && negligible(kept, total, n) && negligible(d_mean, own, 1)) return false;
      update(s_, moment, added, [](auto& sum, const auto& more) { sum += more; });
      update(s_, total, kept, [](auto& sum, const auto& more) { sum += more; });
      store(s_, out_.second_moment + square(t), moment);
      store(s_, out_.cross_moment + square(t), total);
      for (int i = 0; i < n; ++i) out_.mean[vector(t) + i] += d_mean[i];
      std::memcpy(next_mean, mean, stride * sizeof(T));
      std::memcpy(next_d_mean, d_mean, stride * sizeof(T));
    }
    return true;
  }

  const S s_;
  const int64_t time_;
  const GaussianLinearisation<T> at_;
  const GaussianChain<T> direction_;
  const GaussianMoments<T> out_;
};

}  // namespace slds

// The recursions of gaussian/scan.py, with the same names; one chain a call.
#pragma once

#include <algorithm>

#include "matrices.hpp"
#include "scratch.hpp"

namespace slds {

// Arrays of one chain of `time` steps, row-major: (time, latent, latent), (time - 1, latent, latent), (time, latent).
template <class T>
struct GaussianChain {
  int64_t time;
  int latent;
  const T *quadratic, *cross, *linear;
};

template <class T>
struct GaussianMoments {
  T *second_moment, *cross_moment, *mean;
};

// What the Fisher product will need; null where it is not wanted.
template <class T>
struct GaussianResiduals {
  T *gain, *conditional, *offset, *covariance;
  bool wanted() const { return gain; }
};

template <class T>
void fill_with_nan(const GaussianChain<T>& in, const GaussianMoments<T>& out, const GaussianResiduals<T>& kept) {
  const int64_t vector = in.time * in.latent, square = vector * in.latent;
  const auto fill = [](T* array, int64_t size) {
    if (array) std::fill(array, array + size, std::numeric_limits<T>::quiet_NaN());
  };
  for (T* array : {out.second_moment, kept.gain, kept.conditional, kept.covariance}) fill(array, square);
  for (T* array : {out.mean, kept.offset}) fill(array, vector);
  fill(out.cross_moment, square - static_cast<int64_t>(in.latent) * in.latent);
}

// Returns the log-partition; NaN, and NaN in every array, where the precision is not positive definite.
//
// Long chains are bound by memory, not arithmetic: the gain is computed on the way back rather than read, and where no residuals are
// wanted, conditionals and offsets wait in the arrays that the results will take.
template <class T, class S>
double smooth_gaussian(const GaussianChain<T>& in, const GaussianMoments<T>& out, const GaussianResiduals<T>& kept) {
  const S s(in.latent);
  const int n = s.size(), stride = s.stride();
  const int64_t square = static_cast<int64_t>(n) * n;
  const size_t matrix = static_cast<size_t>(n) * stride;
  Scratch<T> memory(6 * matrix + 5 * stride);
  T *from_past = memory.take(matrix), *conditional = memory.take(matrix), *cross = memory.take(matrix);
  T *gain = memory.take(matrix), *covariance = memory.take(matrix), *cross_covariance = memory.take(matrix);
  T *linear_from_past = memory.take(stride), *linear = memory.take(stride), *offset = memory.take(stride);
  T *mean = memory.take(stride), *next = memory.take(stride);
  T* const conditionals = kept.wanted() ? kept.conditional : out.second_moment;
  T* const offsets = kept.wanted() ? kept.offset : out.mean;

  double twice = in.time * n * std::log(2 * M_PI);  // the log-partition, twice
  LogProduct determinant;
  for (int64_t t = 0; t < in.time; ++t) {
    load(s, conditional, in.quadratic + t * square);
    symmetrise(s, conditional, conditional, T(-1));
    update(s, conditional, from_past, [](auto& own, const auto& past) { own += past; });
    load_row(s, linear, in.linear + t * n);
    for (int v = 0; v < s.vectors(); ++v) row(linear, 0, 0)[v] += row(linear_from_past, 0, 0)[v];
    if (!invert(s, conditional, determinant)) {
      fill_with_nan(in, out, kept);
      return std::numeric_limits<double>::quiet_NaN();
    }
    std::memset(offset, 0, stride * sizeof(T));
    apply_transposed(s, offset, conditional, linear);
    twice += dot(s, linear, offset);
    store(s, conditionals + t * square, conditional);
    std::memcpy(offsets + t * n, offset, n * sizeof(T));
    if (t + 1 == in.time) break;
    load(s, cross, in.cross + t * square);
    multiply<Write::set>(s, gain, conditional, cross);
    std::memset(from_past, 0, matrix * sizeof(T));
    multiply<Write::subtract, true>(s, from_past, cross, gain);
    std::memset(linear_from_past, 0, stride * sizeof(T));
    apply_transposed(s, linear_from_past, cross, offset);
  }
  twice -= determinant.log();

  // backward: `mean` and `covariance` are those of the next step until they are overwritten
  T* gain_transposed = gain;
  for (int64_t t = in.time - 1; t >= 0; --t) {
    const bool last = t + 1 == in.time;
    if (last) {  // tied to nothing: its gain is zero
      clear(s, gain_transposed);
      clear(s, cross_covariance);
      load(s, covariance, conditionals + t * square);
      load_row(s, mean, offsets + t * n);
    } else {
      load(s, cross, in.cross + t * square);
      load(s, conditional, conditionals + t * square);
      multiply<Write::set, true>(s, gain_transposed, cross, conditional);
      multiply<Write::set, true>(s, cross_covariance, gain_transposed, covariance);
      std::memcpy(covariance, conditional, matrix * sizeof(T));
      multiply<Write::add>(s, covariance, cross_covariance, gain_transposed);
      std::memcpy(next, mean, stride * sizeof(T));
      load_row(s, mean, offsets + t * n);
      apply_transposed(s, mean, gain_transposed, next);
      store_with_outer(s, out.cross_moment + t * square, cross_covariance, mean, next);
    }
    store_with_outer(s, out.second_moment + t * square, covariance, mean, mean);
    std::memcpy(out.mean + t * n, mean, n * sizeof(T));
    if (kept.wanted()) {
      transpose(s, cross, gain_transposed);
      store(s, kept.gain + t * square, cross);
      store(s, kept.covariance + t * square, covariance);
    }
  }
  return 0.5 * twice;
}

// What the conditionals z_t | z_{t+1} are made of, for draws of whole paths.
template <class T>
struct GaussianConditionals {
  const T *gain, *conditional, *offset;
};

// Draws paths backwards, z_t = c_t + G_t z_{t+1} + Uᵀ noise with Uᵀ U = V_t; noise and paths are (time, draws, latent).
template <class T, class S>
void sample_gaussian(int64_t time, int latent, int64_t draws, const GaussianConditionals<T>& at, const T* noise, T* paths) {
  const S s(latent);
  const int n = s.size(), stride = s.stride();
  const int64_t square = static_cast<int64_t>(n) * n;
  const size_t matrix = static_cast<size_t>(n) * stride;
  Scratch<T> memory(2 * matrix + 2 * stride);
  T *root = memory.take(matrix), *gain_transposed = memory.take(matrix);
  T *offset = memory.take(stride), *drawn = memory.take(stride);

  for (int64_t t = time - 1; t >= 0; --t) {
    const bool last = t + 1 == time;
    load(s, root, at.conditional + t * square);
    factorise(s, root);
    load_row(s, offset, at.offset + t * n);
    if (!last) load_transposed(s, gain_transposed, at.gain + t * square);
    for (int64_t draw = 0; draw < draws; ++draw) {
      const int64_t here = (t * draws + draw) * n;
      std::memcpy(drawn, offset, stride * sizeof(T));
      apply_transposed(s, drawn, root, noise + here);
      if (!last) apply_transposed(s, drawn, gain_transposed, paths + here + draws * n);
      std::memcpy(paths + here, drawn, n * sizeof(T));
    }
  }
}

}  // namespace slds

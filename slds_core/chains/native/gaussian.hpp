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

// What a finished smoothing left, for the Fisher product.
template <class T>
struct GaussianLinearisation {
  const T *gain, *conditional, *offset, *mean, *covariance;
};

// The change of the moments along `direction`.
//
// Forward, what the way back needs is left in the arrays that the results will take: the changes of the filtered precisions dΛ, of the
// linear terms `pull`, and `turned` = dC - dΛ G, which V turns into the gain's change. Backward, each step reads them before it
// overwrites them. No memory grows with time.
template <class T, class S>
void differentiate_gaussian(const GaussianLinearisation<T>& at, const GaussianChain<T>& direction,
                            const GaussianMoments<T>& out) {
  const S s(direction.latent);
  const int n = s.size(), stride = s.stride();
  const int64_t time = direction.time, square = static_cast<int64_t>(n) * n;
  const size_t matrix = static_cast<size_t>(n) * stride;
  Scratch<T> memory(9 * matrix + 8 * stride);
  T *d_filtered = memory.take(matrix), *gain = memory.take(matrix), *d_cross = memory.take(matrix);
  T *turned = memory.take(matrix), *conditional = memory.take(matrix), *covariance = memory.take(matrix);
  T *d_covariance = memory.take(matrix), *d_between = memory.take(matrix), *work = memory.take(matrix);
  T *offset = memory.take(stride), *pull = memory.take(stride), *carried = memory.take(stride);
  T *mean = memory.take(stride), *next_mean = memory.take(stride), *d_mean = memory.take(stride);
  T *next_d_mean = memory.take(stride), *minus = memory.take(stride);

  // work: what the past hands on, Y = Gᵀ (dC - ½ dΛ G), of which the filtered precision changes by -(Y + Yᵀ)
  for (int64_t t = 0; t < time; ++t) {
    load(s, d_filtered, direction.quadratic + t * square);
    update(s, d_filtered, work, [](auto& own, const auto& past) { own += past; });
    symmetrise(s, d_filtered, d_filtered, T(-1));
    load_row(s, offset, at.offset + t * n);
    load_row(s, pull, direction.linear + t * n);
    for (int v = 0; v < s.vectors(); ++v) {
      row(minus, 0, 0)[v] = -row(offset, 0, 0)[v];
      row(pull, 0, 0)[v] += row(carried, 0, 0)[v];
    }
    apply_transposed(s, pull, d_filtered, minus);
    store(s, out.second_moment + t * square, d_filtered);
    std::memcpy(out.mean + t * n, pull, n * sizeof(T));
    if (t + 1 == time) break;

    load(s, gain, at.gain + t * square);
    load(s, d_cross, direction.cross + t * square);
    std::memset(carried, 0, stride * sizeof(T));
    apply_transposed(s, carried, d_cross, offset);
    apply_transposed(s, carried, gain, pull);
    multiply<Write::set>(s, turned, d_filtered, gain);
    update(s, turned, d_cross, [](auto& product, auto& own) {
      const auto half = own - T(0.5) * product;
      product = own - product;
      own = half;
    });
    store(s, out.cross_moment + t * square, turned);
    multiply<Write::set, true>(s, work, gain, d_cross);
  }

  for (int64_t t = time - 1; t >= 0; --t) {
    const bool last = t + 1 == time;
    load(s, d_filtered, out.second_moment + t * square);
    load_row(s, pull, out.mean + t * n);
    load(s, conditional, at.conditional + t * square);
    load_row(s, mean, at.mean + t * n);
    std::memset(d_mean, 0, stride * sizeof(T));
    apply_transposed(s, d_mean, conditional, pull);
    multiply<Write::set>(s, work, conditional, d_filtered);  // V dΛ
    if (last) {
      clear(s, d_covariance);
      multiply<Write::subtract>(s, d_covariance, work, conditional);
    } else {
      load(s, gain, at.gain + t * square);
      load(s, turned, out.cross_moment + t * square);
      load(s, covariance, at.covariance + (t + 1) * square);
      T *d_gain = d_cross, *gain_transposed = turned, *half = covariance;
      multiply<Write::set>(s, d_gain, conditional, turned);
      transpose(s, gain_transposed, gain);
      multiply<Write::set>(s, d_between, gain, d_covariance);  // kept
      multiply<Write::set>(s, d_filtered, d_gain, covariance);  // shifted
      // dΣ = X + Xᵀ, where X = (dG Σ' + ½ G dΣ') Gᵀ - ½ V dΛ V
      update(s, half, d_filtered, [](auto& sum, const auto& shifted) { sum = shifted; });
      update(s, half, d_between, [](auto& sum, const auto& kept) { sum += T(0.5) * kept; });
      update(s, d_between, d_filtered, [](auto& kept, const auto& shifted) { kept += shifted; });
      update(s, work, work, [](auto& own, const auto&) { own *= T(0.5); });
      multiply<Write::set>(s, d_covariance, half, gain_transposed);
      multiply<Write::subtract>(s, d_covariance, work, conditional);
      symmetrise(s, d_covariance, d_covariance, T(1));
      // d_mean += dG m' + G dm'
      for (int i = 0; i < n; ++i) {
        T sum = d_mean[i];
        for (int j = 0; j < n; ++j) sum += d_gain[i * stride + j] * next_mean[j];
        d_mean[i] = sum;
      }
      apply_transposed(s, d_mean, gain_transposed, next_d_mean);
      store_with_outer(s, out.cross_moment + t * square, d_between, d_mean, next_mean, mean, next_d_mean);
    }
    store_with_outer(s, out.second_moment + t * square, d_covariance, d_mean, mean, mean, d_mean);
    std::memcpy(out.mean + t * n, d_mean, n * sizeof(T));
    std::memcpy(next_mean, mean, stride * sizeof(T));
    std::memcpy(next_d_mean, d_mean, stride * sizeof(T));
  }
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

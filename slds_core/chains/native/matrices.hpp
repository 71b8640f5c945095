// Small dense matrices, row-major, each row padded to whole vectors so that no loop has a remainder.
//
// A `Shape` knows the size and the padded length of a row. Where the size is known to the compiler, all loops over it unroll.
// Padding lanes hold zeros, or numbers that are never read back.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace slds {

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(32), aligned(32), may_alias));
};
template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
constexpr int kLanes = 32 / sizeof(T);

// Minus one (true) in one lane, zero (false) in the others.
template <class T>
struct MaskOf {
  typedef std::conditional_t<sizeof(T) == 8, int64_t, int32_t> Integer;
  typedef Integer type __attribute__((vector_size(32), aligned(32)));
};
template <class T>
inline typename MaskOf<T>::type lane_mask(int lane) {
  typename MaskOf<T>::type mask{};
  for (int other = 0; other < kLanes<T>; ++other) mask[other] = other == lane ? -1 : 0;
  return mask;
}

template <class T>
constexpr int padded(int size) {
  return (size + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

template <class T, int N>
struct Fixed {
  typedef T Number;
  explicit Fixed(int) {}
  static constexpr int size() { return N; }
  static constexpr int stride() { return padded<T>(N); }
  static constexpr int vectors() { return stride() / kLanes<T>; }
};

template <class T>
struct Dynamic {
  typedef T Number;
  explicit Dynamic(int n) : n_(n) {}
  int size() const { return n_; }
  int stride() const { return padded<T>(n_); }
  int vectors() const { return stride() / kLanes<T>; }

 private:
  int n_;
};

template <class T>
inline Vector<T>* row(T* matrix, int stride, int i) {
  return reinterpret_cast<Vector<T>*>(matrix + i * stride);
}
template <class T>
inline const Vector<T>* row(const T* matrix, int stride, int i) {
  return reinterpret_cast<const Vector<T>*>(matrix + i * stride);
}

// From and to JAX's arrays, whose rows are not padded. Rows are assembled in registers: a vector that is read soon after some of its
// lanes were written one by one waits for these writes to reach the cache.

// The first `count` lanes from memory, the others zero.
template <class T>
inline Vector<T> lanes(const T* array, int count) {
  Vector<T> vector{};
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 8) {
    const auto mask = _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_set_epi64x(3, 2, 1, 0));
    vector = (Vector<T>)_mm256_maskload_pd(array, mask);
  } else {
    const auto mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
    vector = (Vector<T>)_mm256_maskload_ps(array, mask);
  }
#else
  for (int lane = 0; lane < count; ++lane) vector[lane] = array[lane];
#endif
  return vector;
}

template <class T, class S>
inline void load_row(const S& s, T* padded_row, const T* array) {
  Vector<T>* target = row(padded_row, 0, 0);
  const int whole = s.size() / kLanes<T>;
  for (int v = 0; v < whole; ++v) std::memcpy(target + v, array + v * kLanes<T>, sizeof(Vector<T>));
  if (whole < s.vectors()) target[whole] = lanes(array + whole * kLanes<T>, s.size() - whole * kLanes<T>);
}
template <class T, class S>
inline void load(const S& s, T* matrix, const T* array) {
  for (int i = 0; i < s.size(); ++i) load_row(s, matrix + i * s.stride(), array + i * s.size());
}
template <class T, class S>
inline void store(const S& s, T* array, const T* matrix) {
  for (int i = 0; i < s.size(); ++i) std::memcpy(array + i * s.size(), matrix + i * s.stride(), s.size() * sizeof(T));
}

template <class T, class S>
inline void load_transposed(const S& s, T* matrix, const T* array) {
  for (int i = 0; i < s.size(); ++i)
    for (int j = 0; j < s.size(); ++j) matrix[j * s.stride() + i] = array[i * s.size() + j];
}

// One row of an array, `f(v)` its vectors.
template <class T, class S, class F>
inline void store_row(const S& s, T* array, const F& f) {
  const int whole = s.size() / kLanes<T>;
  for (int v = 0; v < whole; ++v) {
    const Vector<T> vector = f(v);
    std::memcpy(array + v * kLanes<T>, &vector, sizeof(vector));
  }
  if (whole == s.vectors()) return;
  const Vector<T> vector = f(whole);
  std::memcpy(array + whole * kLanes<T>, &vector, (s.size() - whole * kLanes<T>) * sizeof(T));
}

// array = matrix + x yᵀ, and array = matrix + x yᵀ + u vᵀ.
template <class T, class S>
inline void store_with_outer(const S& s, T* array, const T* matrix, const T* x, const T* y) {
  for (int i = 0; i < s.size(); ++i)
    store_row(s, array + i * s.size(), [&](int v) { return row(matrix, s.stride(), i)[v] + x[i] * row(y, 0, 0)[v]; });
}
template <class T, class S>
inline void store_with_outer(const S& s, T* array, const T* matrix, const T* x, const T* y, const T* u, const T* v) {
  for (int i = 0; i < s.size(); ++i)
    store_row(s, array + i * s.size(), [&](int c) {
      return row(matrix, s.stride(), i)[c] + x[i] * row(y, 0, 0)[c] + u[i] * row(v, 0, 0)[c];
    });
}

// Transposes, block by block in registers, for the same reason. A block has as many rows as a vector has lanes.

template <class T>
inline void transpose(Vector<T>* block) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 8) {
    const auto a = (__m256d)block[0], b = (__m256d)block[1], c = (__m256d)block[2], d = (__m256d)block[3];
    const auto even = _mm256_unpacklo_pd(a, b), odd = _mm256_unpackhi_pd(a, b);
    const auto even_below = _mm256_unpacklo_pd(c, d), odd_below = _mm256_unpackhi_pd(c, d);
    block[0] = (Vector<T>)_mm256_permute2f128_pd(even, even_below, 0x20);
    block[1] = (Vector<T>)_mm256_permute2f128_pd(odd, odd_below, 0x20);
    block[2] = (Vector<T>)_mm256_permute2f128_pd(even, even_below, 0x31);
    block[3] = (Vector<T>)_mm256_permute2f128_pd(odd, odd_below, 0x31);
  } else {
    __m256 pairs[8], fours[8];
    for (int i = 0; i < 8; i += 2) {
      pairs[i] = _mm256_unpacklo_ps((__m256)block[i], (__m256)block[i + 1]);
      pairs[i + 1] = _mm256_unpackhi_ps((__m256)block[i], (__m256)block[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
      for (int half = 0; half < 2; ++half) {
        fours[i + 2 * half] = _mm256_shuffle_ps(pairs[i + half], pairs[i + 2 + half], 0x44);
        fours[i + 2 * half + 1] = _mm256_shuffle_ps(pairs[i + half], pairs[i + 2 + half], 0xee);
      }
    for (int i = 0; i < 4; ++i) {
      block[i] = (Vector<T>)_mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
      block[i + 4] = (Vector<T>)_mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
  }
#else
  for (int i = 0; i < kLanes<T>; ++i)
    for (int j = 0; j < i; ++j) {
      const T kept = block[i][j];
      block[i][j] = block[j][i], block[j][i] = kept;
    }
#endif
}

// Block (i, j) of a matrix; rows that the matrix does not have are zero.
template <class T, class S>
inline void load_block(const S& s, Vector<T>* block, const T* matrix, int i, int j) {
  for (int r = 0; r < kLanes<T>; ++r) {
    const int at = i * kLanes<T> + r;
    block[r] = at < s.size() ? row(matrix, s.stride(), at)[j] : Vector<T>{};
  }
}
template <class T, class S>
inline void store_block(const S& s, T* matrix, const Vector<T>* block, int i, int j) {
  for (int r = 0; r < kLanes<T> && i * kLanes<T> + r < s.size(); ++r) row(matrix, s.stride(), i * kLanes<T> + r)[j] = block[r];
}

// out = aᵀ. `out` must not be a.
template <class T, class S>
inline void transpose(const S& s, T* out, const T* a) {
  for (int i = 0; i < s.vectors(); ++i)
    for (int j = 0; j < s.vectors(); ++j) {
      Vector<T> block[kLanes<T>];
      load_block(s, block, a, i, j);
      transpose<T>(block);
      store_block(s, out, block, j, i);
    }
}

// out = sign (a + aᵀ). `out` may be a.
template <class T, class S>
inline void symmetrise(const S& s, T* out, const T* a, T sign) {
  for (int i = 0; i < s.vectors(); ++i)
    for (int j = 0; j <= i; ++j) {
      Vector<T> lower[kLanes<T>], upper[kLanes<T>], turned[kLanes<T>];
      load_block(s, lower, a, i, j);
      load_block(s, upper, a, j, i);
      std::memcpy(turned, upper, sizeof(turned));
      transpose<T>(turned);
      for (int r = 0; r < kLanes<T>; ++r) turned[r] = sign * (turned[r] + lower[r]);
      store_block(s, out, turned, i, j);
      if (i == j) continue;
      transpose<T>(turned);
      store_block(s, out, turned, j, i);
    }
}

// Calls `f(vector of out, vector of a)` for all vectors of two matrices.
template <class T, class A, class S, class F>
inline void update(const S& s, T* out, A* a, const F& f) {
  for (int v = 0; v < s.size() * s.vectors(); ++v) f(row(out, 0, 0)[v], row(a, 0, 0)[v]);
}

template <class T, class S>
inline void clear(const S& s, T* matrix) {
  std::memset(matrix, 0, static_cast<size_t>(s.size()) * s.stride() * sizeof(T));
}

// Products. `Rows` rows and `Columns` vectors of the result stay in registers while the inner index runs.

enum class Write { set, add, subtract };

template <Write write, bool transposed, int Rows, int Columns, class T, class S>
inline void tile(const S& s, T* out, const T* a, const T* b, int i, int c) {
  const int n = s.size(), stride = s.stride();
  Vector<T> sum[Rows][Columns];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < Columns; ++v) sum[r][v] = Vector<T>{};
  for (int k = 0; k < n; ++k) {
    const Vector<T>* right = row(b, stride, k) + c;
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const T factor = transposed ? a[k * stride + i + r] : a[(i + r) * stride + k];
#pragma GCC unroll 16
      for (int v = 0; v < Columns; ++v) sum[r][v] += factor * right[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    Vector<T>* target = row(out, stride, i + r) + c;
#pragma GCC unroll 16
    for (int v = 0; v < Columns; ++v) {
      if (write == Write::set) target[v] = sum[r][v];
      if (write == Write::add) target[v] += sum[r][v];
      if (write == Write::subtract) target[v] -= sum[r][v];
    }
  }
}

template <Write write, bool transposed, int Columns, class T, class S>
inline void column(const S& s, T* out, const T* a, const T* b, int c) {
  constexpr int rows = Columns >= 5 ? 2 : Columns >= 3 ? 3 : Columns == 2 ? 5 : 8;  // 8 to 10 sums in registers
  int i = 0;
  for (; i + rows <= s.size(); i += rows) tile<write, transposed, rows, Columns>(s, out, a, b, i, c);
  if constexpr (rows > 2)
    for (; i + 2 <= s.size(); i += 2) tile<write, transposed, 2, Columns>(s, out, a, b, i, c);
  for (; i < s.size(); ++i) tile<write, transposed, 1, Columns>(s, out, a, b, i, c);
}

// out (=, +=, -=) a b, or aᵀ b where `transposed`. `out` must be neither a nor b.
template <Write write, bool transposed = false, class T, class S>
inline void multiply(const S& s, T* out, const T* a, const T* b) {
  int c = 0;
  if (s.vectors() == 1) return column<write, transposed, 1>(s, out, a, b, 0);
  if (s.vectors() == 2) return column<write, transposed, 2>(s, out, a, b, 0);
  if (s.vectors() == 5) return column<write, transposed, 5>(s, out, a, b, 0);
  for (; c + 4 <= s.vectors(); c += 4) column<write, transposed, 4>(s, out, a, b, c);
  if (c + 3 == s.vectors()) return column<write, transposed, 3>(s, out, a, b, c);
  for (; c < s.vectors(); ++c) column<write, transposed, 1>(s, out, a, b, c);
}

// out += matrixᵀ x; for a symmetric matrix, out += matrix x.
template <class T, class S>
inline void apply_transposed(const S& s, T* out, const T* matrix, const T* x) {
  for (int v = 0; v < s.vectors(); ++v) {
    Vector<T> sum = row(out, 0, 0)[v];
    for (int k = 0; k < s.size(); ++k) sum += x[k] * row(matrix, s.stride(), k)[v];
    row(out, 0, 0)[v] = sum;
  }
}

// out += x yᵀ.
template <class T, class S>
inline void add_outer(const S& s, T* out, const T* x, const T* y) {
  for (int i = 0; i < s.size(); ++i) {
    Vector<T>* line = row(out, s.stride(), i);
    for (int v = 0; v < s.vectors(); ++v) line[v] += x[i] * row(y, 0, 0)[v];
  }
}

template <class T, class S>
inline T dot(const S& s, const T* x, const T* y) {
  T sum = 0;
  for (int i = 0; i < s.size(); ++i) sum += x[i] * y[i];
  return sum;
}

// Sums logarithms of positive numbers by multiplying first: a logarithm costs more than all else that is done to a pivot.
class LogProduct {
 public:
  void multiply(double factor) {
    if (!(factor > kLeast && factor < kMost)) {  // would leave the range at once, or is NaN
      sum_ += std::log(factor);
      return;
    }
    product_ *= factor;
    if (!(product_ > kLeast && product_ < kMost)) flush();
  }
  double log() {
    flush();
    return sum_;
  }

 private:
  void flush() {
    sum_ += std::log(product_);
    product_ = 1;
  }
  static constexpr double kLeast = 1e-100, kMost = 1e100;
  double sum_ = 0, product_ = 1;
};

// Gauss-Jordan elimination of one pivot, or of two neighbours at once: half as many passes over the matrix, and half as many divisions
// that wait for each other. The pivots' lanes hold the identity in their own rows and zero in the others before the update, set in registers.
template <class T, class S>
inline void eliminate(const S& s, T* matrix, int k, T inverse) {
  const int n = s.size(), stride = s.stride(), at = k / kLanes<T>;
  const auto here = lane_mask<T>(k % kLanes<T>);
  Vector<T>* own = row(matrix, stride, k);
  own[at] = here ? Vector<T>{} + 1 : own[at];
  for (int v = 0; v < s.vectors(); ++v) own[v] *= inverse;
  for (int i = 0; i < n; ++i) {
    if (i == k) continue;
    const T factor = matrix[i * stride + k];
    Vector<T>* __restrict other = row(matrix, stride, i);
    for (int v = 0; v < s.vectors(); ++v) other[v] = (v == at ? (here ? Vector<T>{} : other[v]) : other[v]) - factor * own[v];
  }
}

// `k` is even, so both lanes are in one vector; `a`, `b`, `c` are the entries of the pivots' own inverse.
template <class T, class S>
inline void eliminate_two(const S& s, T* matrix, int k, T a, T b, T c) {
  const int n = s.size(), stride = s.stride(), at = k / kLanes<T>;
  const auto left = lane_mask<T>(k % kLanes<T>), right = lane_mask<T>(k % kLanes<T> + 1), both = left | right;
  const Vector<T> zero{}, one = zero + 1;
  Vector<T>*upper = row(matrix, stride, k), *lower = row(matrix, stride, k + 1);
  upper[at] = left ? one : right ? zero : upper[at];
  lower[at] = right ? one : left ? zero : lower[at];
  for (int v = 0; v < s.vectors(); ++v) {
    const Vector<T> first = upper[v], second = lower[v];
    upper[v] = a * first + b * second;
    lower[v] = b * first + c * second;
  }
  for (int i = 0; i < n; ++i) {
    if (i == k || i == k + 1) continue;
    const T first = matrix[i * stride + k], second = matrix[i * stride + k + 1];
    Vector<T>* __restrict other = row(matrix, stride, i);
    for (int v = 0; v < s.vectors(); ++v)
      other[v] = (v == at ? (both ? zero : other[v]) : other[v]) - (first * upper[v] + second * lower[v]);
  }
}

// Inverts a symmetric positive definite matrix in place; no pivot needs to be searched for. Returns false at the first that is not positive.
template <class T, class S>
inline bool invert(const S& s, T* matrix, LogProduct& determinant) {
  const int n = s.size(), stride = s.stride();
  constexpr T least = std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon(), most = 1 / least;
  for (int k = 0; k < n; ++k) {
    const T pivot = matrix[k * stride + k];
    if (!(pivot > 0)) return false;
    if (k % 2 == 0 && k + 1 < n) {
      const T between = matrix[k * stride + k + 1], next = matrix[(k + 1) * stride + k + 1];
      const T minor = pivot * next - between * between;
      if (minor > least && minor < most) {  // else its sign may be rounding's, or it has left the range of numbers
        const T inverse = 1 / minor;
        determinant.multiply(minor);
        eliminate_two(s, matrix, k++, inverse * next, -inverse * between, inverse * pivot);
        continue;
      }
    }
    determinant.multiply(pivot);
    eliminate(s, matrix, k, 1 / pivot);
  }
  return true;
}

// Replaces a symmetric positive definite matrix by the upper triangular U with Uᵀ U the matrix; NaN where it is not positive definite.
template <class T, class S>
inline void factorise(const S& s, T* matrix) {
  const int n = s.size(), stride = s.stride();
  for (int k = 0; k < n; ++k) {
    Vector<T>* own = row(matrix, stride, k);
    for (int j = 0; j < k; ++j) matrix[k * stride + j] = 0;
    const T inverse = 1 / std::sqrt(matrix[k * stride + k]);
    for (int v = 0; v < s.vectors(); ++v) own[v] *= inverse;
    for (int i = k + 1; i < n; ++i) {
      const T factor = matrix[k * stride + i];
      Vector<T>* other = row(matrix, stride, i);
      for (int v = 0; v < s.vectors(); ++v) other[v] -= factor * own[v];
    }
  }
}

}  // namespace slds

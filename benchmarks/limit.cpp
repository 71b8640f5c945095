// The limit to measure against: the same smoothing in plain C++, sizes known to the compiler, no padding and no vectors by hand.
// benchmarks/chains.py compiles it on the spot for this very processor, once a size: -DSIZE=5 -DNUMBER=double.

#include <cmath>
#include <cstring>

constexpr int n = SIZE;
using T = NUMBER;

extern "C" double smooth(long time, const T* quadratic, const T* cross, const T* linear, T* second, T* between, T* mean, T* work) {
  T *gain = work, *conditional = work + time * n * n, *offset = conditional + time * n * n;
  T past[n][n] = {}, linear_past[n] = {};
  double twice = time * n * std::log(2 * M_PI);
  for (long t = 0; t < time; ++t) {
    const T *q = quadratic + t * n * n, *c = cross + t * n * n;
    T m[n][n], l[n];
    double determinant = 1;
    for (int i = 0; i < n; ++i) {
      l[i] = linear[t * n + i] + linear_past[i];
      for (int j = 0; j < n; ++j) m[i][j] = past[i][j] - q[i * n + j] - q[j * n + i];
    }
    for (int k = 0; k < n; ++k) {
      const T pivot = m[k][k], inverse = 1 / pivot;
      determinant *= pivot;
      m[k][k] = 1;
      for (int j = 0; j < n; ++j) m[k][j] *= inverse;
      for (int i = 0; i < n; ++i) {
        if (i == k) continue;
        const T factor = m[i][k];
        m[i][k] = 0;
        for (int j = 0; j < n; ++j) m[i][j] -= factor * m[k][j];
      }
    }
    twice -= std::log(determinant);
    T *v = conditional + t * n * n, *g = gain + t * n * n, *o = offset + t * n;
    for (int i = 0; i < n; ++i) {
      T sum = 0;
      for (int j = 0; j < n; ++j) v[i * n + j] = m[i][j], sum += m[i][j] * l[j];
      o[i] = sum;
      twice += sum * l[i];
    }
    if (t + 1 == time) break;
    for (int i = 0; i < n; ++i) {
      T line[n] = {};
      for (int k = 0; k < n; ++k)
        for (int j = 0; j < n; ++j) line[j] += m[i][k] * c[k * n + j];
      std::memcpy(g + i * n, line, sizeof line);
    }
    for (int i = 0; i < n; ++i) {
      T line[n] = {}, sum = 0;
      for (int k = 0; k < n; ++k) {
        for (int j = 0; j < n; ++j) line[j] -= c[k * n + i] * g[k * n + j];
        sum += c[k * n + i] * o[k];
      }
      std::memcpy(past[i], line, sizeof line);
      linear_past[i] = sum;
    }
  }
  T covariance[n][n], current[n];
  for (long t = time - 1; t >= 0; --t) {
    const T *v = conditional + t * n * n, *g = gain + t * n * n, *o = offset + t * n;
    T between_covariance[n][n], next[n];
    if (t + 1 == time) {
      std::memcpy(covariance, v, sizeof covariance);
      std::memcpy(current, o, sizeof current);
    } else {
      std::memcpy(next, current, sizeof next);
      for (int i = 0; i < n; ++i) {
        T line[n] = {}, sum = o[i];
        for (int k = 0; k < n; ++k) {
          for (int j = 0; j < n; ++j) line[j] += g[i * n + k] * covariance[k][j];
          sum += g[i * n + k] * next[k];
        }
        std::memcpy(between_covariance[i], line, sizeof line);
        current[i] = sum;
      }
      for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) {
          T sum = v[i * n + j];
          for (int k = 0; k < n; ++k) sum += between_covariance[i][k] * g[j * n + k];
          covariance[i][j] = sum;
          between[(t * n + i) * n + j] = between_covariance[i][j] + current[i] * next[j];
        }
    }
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) second[(t * n + i) * n + j] = covariance[i][j] + current[i] * current[j];
    std::memcpy(mean + t * n, current, sizeof current);
  }
  return 0.5 * twice;
}

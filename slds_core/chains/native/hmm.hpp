// The recursions of hmm/scan.py; one chain a call.
//
// Where the transitions are shared, probabilities rather than their logarithms are carried along, with
//
//     φ = P(k_t | o_0 … o_t),    E_ij = exp(A_ij - m_j),  m_j = max_i A_ij,    s_j = Σ_i φ_i E_ij,
//
// so that P(k_t = i | k_{t+1} = j) = W_ij = φ_i E_ij / s_j: K exponentials a step instead of K². That is exact unless some s_j is so small
// that what underflowed on the way to it is no longer negligible beside it: where a state can be reached from improbable states alone.
// Then the chain is done anew in logarithms, as is every chain in which each step has transitions of its own.
#pragma once

#include <algorithm>

#include "matrices.hpp"
#include "scratch.hpp"

namespace slds {

template <class T>
struct HMMChain {
  int64_t time;
  int states;
  bool varying;  // one transition matrix a step, (time - 1, K, K), or one for all, (K, K)
  const T *initial, *transition, *unary;
};

template <class T>
struct HMMMoments {
  T *initial, *transition, *marginals;  // in the shapes of the chain's log-potentials
};

// What the Fisher product will need; null where it is not wanted. A first reciprocal of -1 marks a step whose conditionals do not
// factorise, or would overflow: it takes W itself, from the logarithms.
template <class T>
struct HMMResiduals {
  T *filtered, *predicted;      // log φ (time, K), and p (time - 1, K), the logarithms of s_j exp m_j
  T *probability, *reciprocal;  // φ and 1 / s
  bool wanted() const { return filtered; }
};

// Below this a prediction counts as lost: what underflowed on the way to it may be no longer negligible beside it.
template <class T>
constexpr T kLostPrediction = std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon() /
                              std::numeric_limits<T>::epsilon();

// log Σ_i exp(a_i + b_i), the strides of both given.
template <class T>
inline T log_sum_exp(int size, const T* a, const T* b, int stride) {
  T largest = -std::numeric_limits<T>::infinity();
  for (int i = 0; i < size; ++i) largest = std::max(largest, a[i] + b[i * stride]);
  if (std::isinf(largest) && largest < 0) largest = 0;
  T sum = 0;
  for (int i = 0; i < size; ++i) sum += std::exp(a[i] + b[i * stride] - largest);
  return std::log(sum) + largest;
}

// Transition log-potentials A, and E and m as above.
template <class T, class S>
class Transitions {
 public:
  Transitions(const S& s, Scratch<T>& memory)
      : s_(s),
        scaled_(memory.take(static_cast<size_t>(s.size()) * s.stride())),
        scaled_transposed_(memory.take(static_cast<size_t>(s.size()) * s.stride())),
        largest_(memory.take(s.stride())) {}
  static size_t scratch(const S& s) { return 2 * static_cast<size_t>(s.size()) * s.stride() + s.stride(); }

  void set(const T* log_potentials) {
    const int n = s_.size(), stride = s_.stride();
    array_ = log_potentials;
    for (int j = 0; j < n; ++j) {
      T largest = log_potentials[j];
      for (int i = 1; i < n; ++i) largest = std::max(largest, log_potentials[i * n + j]);
      if (std::isinf(largest) && largest < 0) largest = 0;
      largest_[j] = largest;
      for (int i = 0; i < n; ++i)
        scaled_[i * stride + j] = scaled_transposed_[j * stride + i] = std::exp(log_potentials[i * n + j] - largest);
    }
  }

  const T* log() const { return array_; }
  const T* scaled() const { return scaled_; }                        // E
  const T* scaled_transposed() const { return scaled_transposed_; }  // Eᵀ
  T largest(int j) const { return largest_[j]; }                     // m_j

  // Writes r and returns true, or returns false where the conditionals do not factorise.
  bool reciprocal(T* r, const T* predicted) const {
    static const T limit = std::log(kLostPrediction<T>);
    for (int j = 0; j < s_.size(); ++j)
      if (!(predicted[j] - largest_[j] > limit)) return false;
    for (int j = 0; j < s_.size(); ++j) r[j] = std::exp(largest_[j] - predicted[j]);
    return true;
  }

  // Writes W itself; zero where j cannot be reached.
  void conditional(T* weights, const T* filtered, const T* predicted) const {
    const int n = s_.size();
    for (int j = 0; j < n; ++j) {
      const T reachable = std::isinf(predicted[j]) && predicted[j] < 0 ? 0 : predicted[j];
      for (int i = 0; i < n; ++i) weights[i * s_.stride() + j] = std::exp(filtered[i] + array_[i * n + j] - reachable);
    }
  }

 private:
  const S& s_;
  const T* array_ = nullptr;
  T *scaled_, *scaled_transposed_, *largest_;
};

// From g_j = log P(k_t = j | past) + o_j writes f = g - log Σ exp g over it, and φ = exp f; returns log Σ exp g.
template <class T>
inline T normalise(int size, T* log_probability, T* probability) {
  T largest = log_probability[0];
  for (int j = 1; j < size; ++j) largest = std::max(largest, log_probability[j]);
  if (std::isinf(largest) && largest < 0) largest = 0;
  T sum = 0;
  for (int j = 0; j < size; ++j) sum += probability[j] = std::exp(log_probability[j] - largest);
  const T evidence = std::log(sum) + largest;
  for (int j = 0; j < size; ++j) {
    log_probability[j] -= evidence;
    probability[j] /= sum;
  }
  return evidence;
}

// In logarithms: returns the log-partition; writes the moments and what the Fisher product will need.
template <class T, class S>
double smooth_hmm_in_logs(const HMMChain<T>& in, const HMMMoments<T>& out, const HMMResiduals<T>& kept) {
  const S s(in.states);
  const int n = s.size(), stride = s.stride();
  const int64_t square = static_cast<int64_t>(n) * n;
  const size_t matrix = static_cast<size_t>(n) * stride;
  Scratch<T> memory(Transitions<T, S>::scratch(s) + matrix + 4 * stride);
  Transitions<T, S> transitions(s, memory);
  T *weights = memory.take(matrix), *probability = memory.take(stride), *sum = memory.take(stride);
  T *marginals = memory.take(stride), *next = memory.take(stride);
  if (!in.varying) transitions.set(in.transition);

  double log_partition = 0;
  for (int64_t t = 0; t < in.time; ++t) {
    T* f = kept.filtered + t * n;
    if (t == 0) {
      for (int j = 0; j < n; ++j) f[j] = in.initial[j] + in.unary[j];
    } else {
      if (in.varying) transitions.set(in.transition + (t - 1) * square);
      std::memset(sum, 0, stride * sizeof(T));
      apply_transposed(s, sum, transitions.scaled(), probability);
      T* p = kept.predicted + (t - 1) * n;
      for (int j = 0; j < n; ++j) {
        p[j] = sum[j] > kLostPrediction<T> ? std::log(sum[j]) + transitions.largest(j)
                                           : log_sum_exp(n, f - n, transitions.log() + j, n);
        f[j] = p[j] + in.unary[t * n + j];
      }
      T* r = kept.reciprocal + (t - 1) * n;
      if (in.varying || !transitions.reciprocal(r, p)) r[0] = -1;
    }
    log_partition += normalise(n, f, probability);
    // where the marginals will be: the last step's are these, and the others are read again on the way back
    std::memcpy(out.marginals + t * n, probability, n * sizeof(T));
    std::memcpy(kept.probability + t * n, probability, n * sizeof(T));
  }

  std::memcpy(marginals, probability, stride * sizeof(T));
  if (!in.varying) std::memset(out.transition, 0, square * sizeof(T));
  for (int64_t t = in.time - 2; t >= 0; --t) {
    const T *f = kept.filtered + t * n, *p = kept.predicted + t * n;
    std::memcpy(next, marginals, stride * sizeof(T));
    if (in.varying) transitions.set(in.transition + t * square);
    transitions.conditional(weights, f, p);
    T* pairs = out.transition + (in.varying ? t * square : 0);
    for (int i = 0; i < n; ++i) {
      marginals[i] = 0;
      for (int j = 0; j < n; ++j) {
        const T pair = weights[i * stride + j] * next[j];
        marginals[i] += pair;
        if (in.varying)
          pairs[i * n + j] = pair;
        else
          pairs[i * n + j] += pair;
      }
    }
    std::memcpy(out.marginals + t * n, marginals, n * sizeof(T));
  }
  std::memcpy(out.initial, out.marginals, n * sizeof(T));
  return log_partition;
}

// In probabilities, for shared transitions: as `smooth_hmm_in_logs`, or returns NaN where a number would be lost. What the Fisher product
// needs may be null, which saves its logarithms.
template <class T, class S>
double smooth_hmm_in_probabilities(const HMMChain<T>& in, const HMMMoments<T>& out, const HMMResiduals<T>& kept) {
  const double lost = std::numeric_limits<double>::quiet_NaN();
  const S s(in.states);
  const int n = s.size(), stride = s.stride();
  const size_t matrix = static_cast<size_t>(n) * stride;
  Scratch<T> memory(Transitions<T, S>::scratch(s) + matrix + 5 * stride);
  Transitions<T, S> transitions(s, memory);
  transitions.set(in.transition);
  T *total = memory.take(matrix), *phi = memory.take(stride), *sum = memory.take(stride);
  T *gamma = memory.take(stride), *ratio = memory.take(stride), *unary = memory.take(stride);
  Scratch<T> stored(static_cast<size_t>(in.time) * stride);
  T* const sums = stored.take(static_cast<size_t>(in.time) * stride);

  double log_partition = 0;
  LogProduct scales;
  for (int64_t t = 0; t < in.time; ++t) {
    // φ ∝ s_j exp(m_j + o_j)
    if (t == 0) {
      for (int j = 0; j < n; ++j) unary[j] = in.initial[j] + in.unary[j], sum[j] = 1;
    } else {
      std::memset(sum, 0, stride * sizeof(T));
      apply_transposed(s, sum, transitions.scaled(), phi);
      for (int j = 0; j < n; ++j) {
        if (!(sum[j] > kLostPrediction<T>)) return lost;
        unary[j] = transitions.largest(j) + in.unary[t * n + j];
      }
      std::memcpy(sums + (t - 1) * stride, sum, stride * sizeof(T));
    }
    T largest = unary[0];
    for (int j = 1; j < n; ++j) largest = std::max(largest, unary[j]);
    if (!std::isfinite(largest)) return lost;
    T scale = 0;
    for (int j = 0; j < n; ++j) scale += phi[j] = sum[j] * std::exp(unary[j] - largest);
    if (!(scale > kLostPrediction<T>)) return lost;
    const T inverse = 1 / scale;
    for (int v = 0; v < s.vectors(); ++v) row(phi, 0, 0)[v] *= inverse;
    log_partition += largest;
    scales.multiply(scale);
    std::memcpy(out.marginals + t * n, phi, n * sizeof(T));
    if (!kept.wanted()) continue;
    std::memcpy(kept.probability + t * n, phi, n * sizeof(T));
    for (int j = 0; j < n; ++j) kept.filtered[t * n + j] = std::log(phi[j]);
    if (t == 0) continue;
    for (int j = 0; j < n; ++j) {
      kept.predicted[(t - 1) * n + j] = std::log(sum[j]) + transitions.largest(j);
      kept.reciprocal[(t - 1) * n + j] = 1 / sum[j];
    }
  }

  // `total` gathers Σ_t φ_i γ_j / s_j, which E_ij makes pair probabilities of in the end
  std::memcpy(gamma, phi, stride * sizeof(T));
  for (int64_t t = in.time - 2; t >= 0; --t) {
    load_row(s, phi, out.marginals + t * n);
    const T* below = sums + t * stride;
    for (int j = 0; j < n; ++j) ratio[j] = gamma[j] / below[j];
    std::memset(gamma, 0, stride * sizeof(T));
    apply_transposed(s, gamma, transitions.scaled_transposed(), ratio);
    for (int v = 0; v < s.vectors(); ++v) row(gamma, 0, 0)[v] *= row(phi, 0, 0)[v];
    add_outer(s, total, phi, ratio);
    std::memcpy(out.marginals + t * n, gamma, n * sizeof(T));
  }
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) out.transition[i * n + j] = transitions.scaled()[i * stride + j] * total[i * stride + j];
  std::memcpy(out.initial, out.marginals, n * sizeof(T));
  return log_partition + scales.log();
}

// Returns the log-partition; writes the moments, and, unless null, what the Fisher product will need.
template <class T, class S>
double smooth_hmm(const HMMChain<T>& in, const HMMMoments<T>& out, HMMResiduals<T> kept) {
  if (!in.varying) {
    const double log_partition = smooth_hmm_in_probabilities<T, S>(in, out, kept);
    if (!std::isnan(log_partition)) return log_partition;
  }
  if (kept.wanted()) return smooth_hmm_in_logs<T, S>(in, out, kept);
  const size_t all = static_cast<size_t>(in.time) * in.states;
  Scratch<T> memory(4 * all);
  kept = {memory.take(all), memory.take(all), memory.take(all), memory.take(all)};
  return smooth_hmm_in_logs<T, S>(in, out, kept);
}

// What a finished smoothing left, for the Fisher product.
template <class T>
struct HMMLinearisation {
  const T *transition, *filtered, *predicted, *marginals, *probability, *reciprocal;
};

// The change of the moments along `direction`.
//
// Forward, d_f are left where the changes of the marginals will be, and d_p are kept for the way back. Products with E_ij dA_ij are left
// out where the transitions' direction is zero, as when a message alone changes.
template <class T, class S>
void differentiate_hmm(const HMMLinearisation<T>& at, const HMMChain<T>& direction, const HMMMoments<T>& out) {
  const S s(direction.states);
  const int n = s.size(), stride = s.stride();
  const int64_t time = direction.time, square = static_cast<int64_t>(n) * n;
  const size_t matrix = static_cast<size_t>(n) * stride, kept = static_cast<size_t>(time) * stride;
  Scratch<T> memory(Transitions<T, S>::scratch(s) + 5 * matrix + 9 * stride + kept);
  Transitions<T, S> transitions(s, memory);
  T *weights = memory.take(matrix), *turned = memory.take(matrix), *turned_transposed = memory.take(matrix);
  T *total = memory.take(matrix), *turned_total = memory.take(matrix);
  T *phi = memory.take(stride), *r = memory.take(stride), *d_f = memory.take(stride), *pushed = memory.take(stride);
  T *next_gamma = memory.take(stride), *d_gamma = memory.take(stride), *next_d_gamma = memory.take(stride);
  T *gamma = memory.take(stride), *sum = memory.take(stride), *d_ps = memory.take(kept);
  bool turns = direction.varying;
  if (!direction.varying) {
    transitions.set(at.transition);
    turns = std::any_of(direction.transition, direction.transition + square, [](T change) { return change != 0; });
    for (int i = 0; i < n; ++i)  // E_ij dA_ij
      for (int j = 0; j < n; ++j)
        turned[i * stride + j] = turned_transposed[j * stride + i] =
            transitions.scaled()[i * stride + j] * direction.transition[i * n + j];
  }
  const auto weigh = [&](int64_t t) {  // writes W itself
    if (direction.varying) transitions.set(at.transition + t * square);
    transitions.conditional(weights, at.filtered + t * n, at.predicted + t * n);
    return direction.transition + (direction.varying ? t * square : 0);
  };
  const auto factorises = [&](int64_t t) { return at.reciprocal[t * n] >= 0; };

  for (int64_t t = 0; t < time; ++t) {
    // d_p, of the step that leads here; zero at the first
    T* d_p = d_ps + std::max<int64_t>(t - 1, 0) * stride;
    if (t > 0) {
      if (factorises(t - 1)) {
        for (int v = 0; v < s.vectors(); ++v) row(pushed, 0, 0)[v] = row(phi, 0, 0)[v] * row(d_f, 0, 0)[v];
        load_row(s, r, at.reciprocal + (t - 1) * n);
        apply_transposed(s, d_p, transitions.scaled(), pushed);
        if (turns) apply_transposed(s, d_p, turned, phi);
        for (int v = 0; v < s.vectors(); ++v) row(d_p, 0, 0)[v] *= row(r, 0, 0)[v];
      } else {
        const T* d_transition = weigh(t - 1);
        for (int i = 0; i < n; ++i)
          for (int j = 0; j < n; ++j) d_p[j] += weights[i * stride + j] * (d_f[i] + d_transition[i * n + j]);
      }
    }
    load_row(s, phi, at.probability + t * n);
    load_row(s, d_f, direction.unary + t * n);
    if (t == 0) load_row(s, sum, direction.initial);
    const Vector<T>* own = row(t > 0 ? d_p : sum, 0, 0);
    for (int v = 0; v < s.vectors(); ++v) row(d_f, 0, 0)[v] += own[v];
    const T mean = dot(s, phi, d_f);
    for (int v = 0; v < s.vectors(); ++v) row(d_f, 0, 0)[v] -= mean;
    std::memcpy(out.marginals + t * n, d_f, n * sizeof(T));
  }

  for (int j = 0; j < n; ++j) d_gamma[j] = at.marginals[(time - 1) * n + j] * d_f[j];
  std::memcpy(out.marginals + (time - 1) * n, d_gamma, n * sizeof(T));
  if (!direction.varying) std::memset(out.transition, 0, square * sizeof(T));
  for (int64_t t = time - 2; t >= 0; --t) {
    const T* d_p = d_ps + t * stride;
    std::memcpy(next_d_gamma, d_gamma, stride * sizeof(T));
    load_row(s, next_gamma, at.marginals + (t + 1) * n);
    load_row(s, d_f, out.marginals + t * n);
    // a pair probability W_ij γ_j changes by W_ij ((d_f_i + dA_ij - d_p_j) γ_j + dγ_j)
    if (factorises(t)) {
      load_row(s, phi, at.probability + t * n);
      load_row(s, r, at.reciprocal + t * n);
      load_row(s, gamma, at.marginals + t * n);
      for (int v = 0; v < s.vectors(); ++v) {
        const Vector<T> share = row(r, 0, 0)[v], next = row(next_gamma, 0, 0)[v];
        row(sum, 0, 0)[v] = share * (row(next_d_gamma, 0, 0)[v] - row(d_p, 0, 0)[v] * next);
        row(r, 0, 0)[v] = share * next;
      }
      std::memset(d_gamma, 0, stride * sizeof(T));
      apply_transposed(s, d_gamma, transitions.scaled_transposed(), sum);
      add_outer(s, total, phi, sum);
      if (turns) {
        apply_transposed(s, d_gamma, turned_transposed, r);
        add_outer(s, turned_total, phi, r);
      }
      for (int v = 0; v < s.vectors(); ++v) {
        row(pushed, 0, 0)[v] = row(phi, 0, 0)[v] * row(d_f, 0, 0)[v];
        row(d_gamma, 0, 0)[v] = row(phi, 0, 0)[v] * row(d_gamma, 0, 0)[v] + row(d_f, 0, 0)[v] * row(gamma, 0, 0)[v];
      }
      add_outer(s, total, pushed, r);
    } else {
      const T* d_transition = weigh(t);
      T* d_pairs = out.transition + (direction.varying ? t * square : 0);
      for (int i = 0; i < n; ++i) {
        d_gamma[i] = 0;
        for (int j = 0; j < n; ++j) {
          const T tilt = d_f[i] + d_transition[i * n + j] - d_p[j];
          const T d_pair = weights[i * stride + j] * (tilt * next_gamma[j] + next_d_gamma[j]);
          d_gamma[i] += d_pair;
          if (direction.varying)
            d_pairs[i * n + j] = d_pair;
          else
            d_pairs[i * n + j] += d_pair;
        }
      }
    }
    std::memcpy(out.marginals + t * n, d_gamma, n * sizeof(T));
  }
  if (!direction.varying)
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j)
        out.transition[i * n + j] +=
            transitions.scaled()[i * stride + j] * total[i * stride + j] + turned[i * stride + j] * turned_total[i * stride + j];
  std::memcpy(out.initial, out.marginals, n * sizeof(T));
}

// Picks the first state at which the sum of weights exceeds that share of the total; -1 where there is no total.
template <class T>
inline int32_t pick(int size, const T* weights, T share) {
  T total = 0;
  for (int i = 0; i < size; ++i) total += weights[i];
  if (!(total > 0)) return -1;
  T sum = 0;
  int32_t last = -1;
  for (int32_t i = 0; i < size; ++i) {
    if (weights[i] > 0) last = i;
    sum += weights[i];
    if (share * total < sum) return i;
  }
  return last;  // a share that rounding took to the whole
}

// Draws paths backwards from P(k_t | k_{t+1}, o_0 … o_t); uniforms, uniform on [0, 1), and paths are (time, draws).
template <class T>
void sample_hmm(int64_t time, int states, bool varying, int64_t draws, const T* transition, const T* filtered, const T* uniforms,
                int32_t* paths) {
  const int64_t square = static_cast<int64_t>(states) * states;
  Scratch<T> memory(states);
  T* weights = memory.take(states);
  for (int64_t t = time - 1; t >= 0; --t) {
    const T *f = filtered + t * states, *moves = transition + (varying ? t * square : 0);
    for (int64_t draw = 0; draw < draws; ++draw) {
      const int64_t here = t * draws + draw;
      const int32_t next = t + 1 == time ? 0 : paths[here + draws];
      if (next < 0) {
        paths[here] = -1;
        continue;
      }
      const auto score = [&](int i) { return t + 1 == time ? f[i] : f[i] + moves[i * states + next]; };
      T largest = score(0);
      for (int i = 1; i < states; ++i) largest = std::max(largest, score(i));
      for (int i = 0; i < states; ++i) weights[i] = std::exp(score(i) - largest);
      paths[here] = pick(states, weights, uniforms[here]);
    }
  }
}

}  // namespace slds

// Runs every kernel on arrays of exactly the right size, for compilers that watch memory and arithmetic: sound chains, and hostile ones.

#include <cstdio>
#include <random>
#include <vector>

#include "gaussian_fisher.hpp"
#include "hmm.hpp"

using namespace slds;

enum class Kind { sound, indefinite, nan, infinite, forbidden };

template <class T>
using Numbers = std::vector<T>;

template <class T>
Numbers<T> draw(std::mt19937& generator, int64_t size) {
  std::normal_distribution<double> normal;
  Numbers<T> numbers(size);
  for (T& number : numbers) number = static_cast<T>(normal(generator));
  return numbers;
}

template <class T, class S>
void gaussian(int64_t time, int n, Kind kind) {
  std::mt19937 generator(7);
  const int64_t square = time * n * n, crosses = (time - 1) * n * n, vector = time * n;
  Numbers<T> quadratic = draw<T>(generator, square), cross = draw<T>(generator, crosses), linear = draw<T>(generator, vector);
  for (int64_t t = 0; t < time; ++t)
    for (int i = 0; i < n; ++i) quadratic[(t * n + i) * n + i] -= (kind == Kind::indefinite ? -5 : 10) * n;
  if (kind == Kind::nan) quadratic.back() = std::numeric_limits<T>::quiet_NaN();
  if (kind == Kind::infinite) linear.front() = std::numeric_limits<T>::infinity();
  Numbers<T> second(square), between(crosses), mean(vector), gain(square), conditional(square), offset(vector), covariance(square);
  const GaussianChain<T> chain{time, n, quadratic.data(), cross.data(), linear.data()};
  const GaussianMoments<T> moments{second.data(), between.data(), mean.data()};
  smooth_gaussian<T, S>(chain, moments, {});
  smooth_gaussian<T, S>(chain, moments, {gain.data(), conditional.data(), offset.data(), covariance.data()});
  Numbers<T> d_second(square), d_between(crosses), d_mean(vector);
  const GaussianFisherProduct<T, S> product({gain.data(), conditional.data(), offset.data(), mean.data(), covariance.data()}, chain,
                                            {d_second.data(), d_between.data(), d_mean.data()});
  product([](int64_t pieces, const auto& work) {
    for (int64_t piece = 0; piece < pieces; ++piece) work(piece);
  });
  Numbers<T> noise = draw<T>(generator, 3 * vector), paths(3 * vector);
  sample_gaussian<T, S>(time, n, 3, {gain.data(), conditional.data(), offset.data()}, noise.data(), paths.data());
}

template <class T, class S>
void hmm(int64_t time, int n, bool varying, Kind kind) {
  std::mt19937 generator(11);
  const int64_t moves = varying ? (time - 1) * n * n : n * n, all = time * n;
  Numbers<T> initial = draw<T>(generator, n), transition = draw<T>(generator, moves), unary = draw<T>(generator, all);
  if (kind == Kind::nan) unary.back() = std::numeric_limits<T>::quiet_NaN();
  if (kind == Kind::infinite) unary.front() = std::numeric_limits<T>::infinity();
  if (kind == Kind::forbidden)
    for (size_t i = 0; i < transition.size(); i += 2) transition[i] = -std::numeric_limits<T>::infinity();
  if (kind == Kind::indefinite)
    for (T& number : unary) number *= 1000;
  Numbers<T> first(n), pairs(moves), marginals(all), filtered(all), predicted((time - 1) * n);
  Numbers<T> probability(all), reciprocal((time - 1) * n);
  const HMMChain<T> chain{time, n, varying, initial.data(), transition.data(), unary.data()};
  smooth_hmm<T, S>(chain, {first.data(), pairs.data(), marginals.data()}, {});
  smooth_hmm<T, S>(chain, {first.data(), pairs.data(), marginals.data()},
                   {filtered.data(), predicted.data(), probability.data(), reciprocal.data()});
  Numbers<T> d_first(n), d_pairs(moves), d_marginals(all);
  differentiate_hmm<T, S>({transition.data(), filtered.data(), predicted.data(), marginals.data(), probability.data(), reciprocal.data()}, chain,
                          {d_first.data(), d_pairs.data(), d_marginals.data()});
  Numbers<T> uniforms(3 * time, T(0.5));
  uniforms.front() = T(1);
  std::vector<int32_t> paths(3 * time);
  sample_hmm<T>(time, n, varying, 3, transition.data(), filtered.data(), uniforms.data(), paths.data());
}

template <class T, class S>
void all(int n) {
  for (const int64_t time : {1, 2, 5})
    for (const Kind kind : {Kind::sound, Kind::indefinite, Kind::nan, Kind::infinite, Kind::forbidden}) {
      gaussian<T, S>(time, n, kind);
      hmm<T, S>(time, n, false, kind);
      hmm<T, S>(time, n, true, kind);
    }
}

template <class T>
void sizes() {
  all<T, Fixed<T, 1>>(1);
  all<T, Fixed<T, 5>>(5);
  all<T, Fixed<T, 8>>(8);
  for (const int n : {2, 3, 7, 13, 33}) all<T, Dynamic<T>>(n);
}

// Long enough for four pieces.
template <class T>
void pieces() {
  gaussian<T, Fixed<T, 16>>(900, 16, Kind::sound);
  gaussian<T, Dynamic<T>>(900, 13, Kind::sound);
  gaussian<T, Fixed<T, 16>>(900, 16, Kind::nan);
}

int main() {
  sizes<double>();
  sizes<float>();
  pieces<double>();
  pieces<float>();
  std::puts("clean");
}

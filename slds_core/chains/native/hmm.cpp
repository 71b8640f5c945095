// The hidden Markov model's kernels, as JAX calls them.
#include "bindings.hpp"
#include "hmm.hpp"

namespace slds {
namespace {

// The arrays of one batch of chains, and their sizes.
struct Chains {
  Chains(const AnyBuffer& unary, bool varying, Lengths lengths)
      : shape(form(unary, 2)), places({}, 1, 1), varying(varying), mixed(varying && lengths.size()) {
    if (shape.own.size() != 2) return;
    time = shape.own[0], states = shape.own[1];
    places = Places(lengths, time, count(shape.batch));
  }
  bool fits() const { return time >= 1 && states >= 1 && places.fits() && !mixed; }
  std::vector<int64_t> one() const { return places.each({states}); }
  std::vector<int64_t> all() const { return {time, states}; }
  std::vector<int64_t> predictions() const { return {places.transitions(), states}; }
  std::vector<int64_t> moves() const {
    return varying ? std::vector<int64_t>{time - 1, states, states} : places.each({states, states});
  }

  template <class T>
  T* first(const AnyBuffer& array, const Place& place) const {
    return part<T>(array, place.number * states);
  }
  template <class T>
  T* move(const AnyBuffer& array, const Place& place) const {
    return part<T>(array, (varying ? place.transition : place.number) * states * states);
  }
  template <class T>
  T* each(const AnyBuffer& array, const Place& place) const {
    return part<T>(array, place.step * states);
  }
  template <class T>
  T* prediction(const AnyBuffer& array, const Place& place) const {
    return part<T>(array, place.transition * states);
  }
  template <class T>
  HMMChain<T> chain(const Place& place, const AnyBuffer& initial, const AnyBuffer& transition, const AnyBuffer& unary) const {
    return {place.time, static_cast<int>(states), varying, first<T>(initial, place), move<T>(transition, place),
            each<T>(unary, place)};
  }
  template <class T>
  HMMMoments<T> moments(const Place& place, const AnyBuffer& initial, const AnyBuffer& pairs, const AnyBuffer& marginals) const {
    return {first<T>(initial, place), move<T>(pairs, place), each<T>(marginals, place)};
  }
  // What a chain of no steps yields; returns whether it is one.
  template <class T>
  bool nothing(const Place& place, const HMMMoments<T>& moments) const {
    if (place.time) return false;
    std::fill(moments.initial, moments.initial + states, T(0));
    std::fill(moments.transition, moments.transition + states * states, T(0));
    return true;
  }

  Form shape;
  Places places;
  bool varying, mixed;
  int64_t time = 0, states = 0;
};

const Error kNoChain = Error::InvalidArgument(
    "unary: expected shape (…, time ≥ 1, state ≥ 1), lengths that add up to time, and transitions that do not vary beside lengths");

// `kept`: filtered and predicted log-probabilities, filtered probabilities and reciprocals; or nothing.
Error smooth(ffi::ThreadPool pool, bool varying, Lengths lengths, AnyBuffer initial, AnyBuffer transition, AnyBuffer unary,
             AnyBuffer log_partition, AnyBuffer first, AnyBuffer pairs, AnyBuffer marginals,
             const std::vector<AnyBuffer>& kept) {
  const Chains chains(unary, varying, lengths);
  if (!chains.fits()) return kNoChain;
  Check check(chains.shape.batch, unary.element_type());
  check("initial", initial, chains.one());
  check("transition", transition, chains.moves());
  check("log_partition", log_partition, chains.places.each({}));
  check("first", first, chains.one());
  check("pairs", pairs, chains.moves());
  check("marginals", marginals, chains.all());
  if (!kept.empty()) {
    check("filtered", kept[0], chains.all());
    check("predicted", kept[1], chains.predictions());
    check("probability", kept[2], chains.all());
    check("reciprocal", kept[3], chains.predictions());
  }
  if (check.failed()) return check.error();

  return for_each_chain(pool, unary.element_type(), chains.states, chains.places, [&](auto shape, const Place& place) {
    using T = typename decltype(shape)::Number;
    const auto moments = chains.moments<T>(place, first, pairs, marginals);
    HMMResiduals<T> residuals{};
    if (!kept.empty())
      residuals = {chains.each<T>(kept[0], place), chains.prediction<T>(kept[1], place), chains.each<T>(kept[2], place),
                   chains.prediction<T>(kept[3], place)};
    *part<T>(log_partition, place.number) =
        chains.nothing(place, moments)
            ? T(0)
            : static_cast<T>(smooth_hmm<T, decltype(shape)>(chains.chain<T>(place, initial, transition, unary), moments,
                                                            residuals));
  });
}

Error hmm_smooth(ffi::ThreadPool pool, bool varying, Lengths lengths, AnyBuffer initial, AnyBuffer transition, AnyBuffer unary,
                 Result<AnyBuffer> log_partition, Result<AnyBuffer> first, Result<AnyBuffer> pairs,
                 Result<AnyBuffer> marginals) {
  return smooth(pool, varying, lengths, initial, transition, unary, *log_partition, *first, *pairs, *marginals, {});
}

Error hmm_linearise(ffi::ThreadPool pool, bool varying, Lengths lengths, AnyBuffer initial, AnyBuffer transition, AnyBuffer unary,
                    Result<AnyBuffer> log_partition, Result<AnyBuffer> first, Result<AnyBuffer> pairs,
                    Result<AnyBuffer> marginals, Result<AnyBuffer> filtered, Result<AnyBuffer> predicted,
                    Result<AnyBuffer> probability, Result<AnyBuffer> reciprocal) {
  return smooth(pool, varying, lengths, initial, transition, unary, *log_partition, *first, *pairs, *marginals,
                {*filtered, *predicted, *probability, *reciprocal});
}

Error hmm_fisher(ffi::ThreadPool pool, bool varying, Lengths lengths, AnyBuffer log_transition, AnyBuffer filtered, AnyBuffer predicted,
                 AnyBuffer marginals, AnyBuffer probability, AnyBuffer reciprocal, AnyBuffer initial, AnyBuffer transition,
                 AnyBuffer unary, Result<AnyBuffer> d_first, Result<AnyBuffer> d_pairs, Result<AnyBuffer> d_marginals) {
  const Chains chains(unary, varying, lengths);
  if (!chains.fits()) return kNoChain;
  Check check(chains.shape.batch, unary.element_type());
  check("residuals", log_transition, chains.moves());
  check("residuals", filtered, chains.all());
  check("residuals", predicted, chains.predictions());
  check("residuals", marginals, chains.all());
  check("residuals", probability, chains.all());
  check("residuals", reciprocal, chains.predictions());
  check("initial", initial, chains.one());
  check("transition", transition, chains.moves());
  check("d_first", *d_first, chains.one());
  check("d_pairs", *d_pairs, chains.moves());
  check("d_marginals", *d_marginals, chains.all());
  if (check.failed()) return check.error();

  return for_each_chain(pool, unary.element_type(), chains.states, chains.places, [&](auto shape, const Place& place) {
    using T = typename decltype(shape)::Number;
    const auto moments = chains.moments<T>(place, *d_first, *d_pairs, *d_marginals);
    if (chains.nothing(place, moments)) return;
    const HMMLinearisation<T> at{chains.move<T>(log_transition, place), chains.each<T>(filtered, place),
                                 chains.prediction<T>(predicted, place), chains.each<T>(marginals, place),
                                 chains.each<T>(probability, place), chains.prediction<T>(reciprocal, place)};
    differentiate_hmm<T, decltype(shape)>(at, chains.chain<T>(place, initial, transition, unary), moments);
  });
}

Error hmm_sample(ffi::ThreadPool pool, bool varying, Lengths lengths, AnyBuffer transition, AnyBuffer filtered, AnyBuffer uniforms,
                 Result<AnyBuffer> paths) {
  const Chains chains(filtered, varying, lengths);
  if (!chains.fits()) return kNoChain;
  const int64_t draws = draws_of(uniforms, 2);
  const std::vector<int64_t> all{chains.time, draws};
  Check check(chains.shape.batch, filtered.element_type());
  check("residuals", transition, chains.moves());
  check("uniforms", uniforms, all);
  Check whole_numbers(chains.shape.batch, ffi::S32);
  whole_numbers("paths", *paths, all);
  if (check.failed()) return check.error();
  if (whole_numbers.failed()) return whole_numbers.error();

  return for_each_chain(pool, filtered.element_type(), chains.states, chains.places, [&](auto shape, const Place& place) {
    using T = typename decltype(shape)::Number;
    const int64_t begin = place.step * draws;
    sample_hmm<T>(place.time, static_cast<int>(chains.states), varying, draws, chains.move<T>(transition, place),
                  chains.each<T>(filtered, place), part<T>(uniforms, begin), part<int32_t>(*paths, begin));
  });
}

}  // namespace
}  // namespace slds

using Array = xla::ffi::AnyBuffer;
using Lengths = slds::Lengths;

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_hmm_smooth, slds::hmm_smooth,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Attr<bool>("varying")
                                  .Attr<Lengths>("lengths")
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_hmm_linearise, slds::hmm_linearise,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Attr<bool>("varying")
                                  .Attr<Lengths>("lengths")
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_hmm_fisher, slds::hmm_fisher,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Attr<bool>("varying")
                                  .Attr<Lengths>("lengths")
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_hmm_sample, slds::hmm_sample,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Attr<bool>("varying")
                                  .Attr<Lengths>("lengths")
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>());

// Whether this processor can run what the compiler made.
extern "C" bool slds_runs_here() {
#if defined(__x86_64__) && defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

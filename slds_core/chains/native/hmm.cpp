// The hidden Markov model's kernels, as JAX calls them.
#include "bindings.hpp"
#include "hmm.hpp"

namespace slds {
namespace {

// The arrays of one batch of chains, and their sizes.
struct Chains {
  Chains(const AnyBuffer& unary, bool varying) : shape(form(unary, 2)), varying(varying) {
    if (fits()) time = shape.own[0], states = shape.own[1];
  }
  bool fits() const { return shape.own.size() == 2 && shape.own[0] >= 1 && shape.own[1] >= 1; }
  std::vector<int64_t> one() const { return {states}; }
  std::vector<int64_t> each() const { return {time, states}; }
  std::vector<int64_t> predictions() const { return {time - 1, states}; }
  std::vector<int64_t> moves() const {
    return varying ? std::vector<int64_t>{time - 1, states, states} : std::vector<int64_t>{states, states};
  }

  template <class T>
  HMMChain<T> chain(int64_t item, const AnyBuffer& initial, const AnyBuffer& transition, const AnyBuffer& unary) const {
    return {time,
            static_cast<int>(states),
            varying,
            part<T>(initial, item, states),
            part<T>(transition, item, count(moves())),
            part<T>(unary, item, count(each()))};
  }
  template <class T>
  HMMMoments<T> moments(int64_t item, const AnyBuffer& initial, const AnyBuffer& pairs, const AnyBuffer& marginals) const {
    return {part<T>(initial, item, states), part<T>(pairs, item, count(moves())),
            part<T>(marginals, item, count(each()))};
  }

  Form shape;
  bool varying;
  int64_t time = 0, states = 0;
};

const Error kNoChain = Error::InvalidArgument("unary: expected shape (…, time ≥ 1, state ≥ 1)");

// `kept`: filtered and predicted log-probabilities; or nothing.
Error smooth(ffi::ThreadPool pool, bool varying, AnyBuffer initial, AnyBuffer transition, AnyBuffer unary,
             AnyBuffer log_partition, AnyBuffer first, AnyBuffer pairs, AnyBuffer marginals,
             const std::vector<AnyBuffer>& kept) {
  const Chains chains(unary, varying);
  if (!chains.fits()) return kNoChain;
  Check check(chains.shape.batch, unary.element_type());
  check("initial", initial, chains.one());
  check("transition", transition, chains.moves());
  check("log_partition", log_partition, {});
  check("first", first, chains.one());
  check("pairs", pairs, chains.moves());
  check("marginals", marginals, chains.each());
  if (!kept.empty()) {
    check("filtered", kept[0], chains.each());
    check("predicted", kept[1], chains.predictions());
  }
  if (check.failed()) return check.error();

  return for_each_chain(pool, unary.element_type(), chains.states, chains.shape.batch, [&](auto shape, int64_t item) {
    using T = typename decltype(shape)::Number;
    T* filtered = kept.empty() ? nullptr : part<T>(kept[0], item, count(chains.each()));
    T* predicted = kept.empty() ? nullptr : part<T>(kept[1], item, count(chains.predictions()));
    *part<T>(log_partition, item, 1) = static_cast<T>(
        smooth_hmm<T, decltype(shape)>(chains.chain<T>(item, initial, transition, unary),
                                       chains.moments<T>(item, first, pairs, marginals), filtered, predicted));
  });
}

Error hmm_smooth(ffi::ThreadPool pool, bool varying, AnyBuffer initial, AnyBuffer transition, AnyBuffer unary,
                 Result<AnyBuffer> log_partition, Result<AnyBuffer> first, Result<AnyBuffer> pairs,
                 Result<AnyBuffer> marginals) {
  return smooth(pool, varying, initial, transition, unary, *log_partition, *first, *pairs, *marginals, {});
}

Error hmm_linearise(ffi::ThreadPool pool, bool varying, AnyBuffer initial, AnyBuffer transition, AnyBuffer unary,
                    Result<AnyBuffer> log_partition, Result<AnyBuffer> first, Result<AnyBuffer> pairs,
                    Result<AnyBuffer> marginals, Result<AnyBuffer> filtered, Result<AnyBuffer> predicted) {
  return smooth(pool, varying, initial, transition, unary, *log_partition, *first, *pairs, *marginals,
                {*filtered, *predicted});
}

Error hmm_fisher(ffi::ThreadPool pool, bool varying, AnyBuffer log_transition, AnyBuffer filtered, AnyBuffer predicted,
                 AnyBuffer marginals, AnyBuffer initial, AnyBuffer transition, AnyBuffer unary,
                 Result<AnyBuffer> d_first, Result<AnyBuffer> d_pairs, Result<AnyBuffer> d_marginals) {
  const Chains chains(unary, varying);
  if (!chains.fits()) return kNoChain;
  Check check(chains.shape.batch, unary.element_type());
  check("residuals", log_transition, chains.moves());
  check("residuals", filtered, chains.each());
  check("residuals", predicted, chains.predictions());
  check("residuals", marginals, chains.each());
  check("initial", initial, chains.one());
  check("transition", transition, chains.moves());
  check("d_first", *d_first, chains.one());
  check("d_pairs", *d_pairs, chains.moves());
  check("d_marginals", *d_marginals, chains.each());
  if (check.failed()) return check.error();

  return for_each_chain(pool, unary.element_type(), chains.states, chains.shape.batch, [&](auto shape, int64_t item) {
    using T = typename decltype(shape)::Number;
    const HMMLinearisation<T> at{part<T>(log_transition, item, count(chains.moves())),
                                 part<T>(filtered, item, count(chains.each())),
                                 part<T>(predicted, item, count(chains.predictions())),
                                 part<T>(marginals, item, count(chains.each()))};
    differentiate_hmm<T, decltype(shape)>(at, chains.chain<T>(item, initial, transition, unary),
                                          chains.moments<T>(item, *d_first, *d_pairs, *d_marginals));
  });
}

}  // namespace
}  // namespace slds

using Array = xla::ffi::AnyBuffer;

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_hmm_smooth, slds::hmm_smooth,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Attr<bool>("varying")
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
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
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

// Whether this processor can run what the compiler made.
extern "C" bool slds_runs_here() {
#if defined(__x86_64__) && defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

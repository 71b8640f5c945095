// The Gaussian chain's kernels, as JAX calls them.
#include "bindings.hpp"
#include "gaussian.hpp"

namespace slds {
namespace {

// The arrays of one batch of chains, and their sizes.
struct Chains {
  explicit Chains(const AnyBuffer& linear) : shape(form(linear, 2)) {
    if (fits()) time = shape.own[0], latent = shape.own[1];
  }
  bool fits() const { return shape.own.size() == 2 && shape.own[0] >= 1 && shape.own[1] >= 1; }
  std::vector<int64_t> squares() const { return {time, latent, latent}; }
  std::vector<int64_t> crosses() const { return {time - 1, latent, latent}; }
  std::vector<int64_t> vectors() const { return {time, latent}; }

  template <class T>
  GaussianChain<T> chain(int64_t item, const AnyBuffer& quadratic, const AnyBuffer& cross, const AnyBuffer& linear) const {
    return {time, static_cast<int>(latent), part<T>(quadratic, item, count(squares())),
            part<T>(cross, item, count(crosses())), part<T>(linear, item, count(vectors()))};
  }
  template <class T>
  GaussianMoments<T> moments(int64_t item, const AnyBuffer& second, const AnyBuffer& cross, const AnyBuffer& mean) const {
    return {part<T>(second, item, count(squares())), part<T>(cross, item, count(crosses())),
            part<T>(mean, item, count(vectors()))};
  }

  Form shape;
  int64_t time = 0, latent = 0;
};

const Error kNoChain = Error::InvalidArgument("linear: expected shape (…, time ≥ 1, latent ≥ 1)");

// `kept`: gain, conditional, offset, covariance; or nothing.
Error smooth(ffi::ThreadPool pool, AnyBuffer quadratic, AnyBuffer cross, AnyBuffer linear, AnyBuffer log_partition,
             AnyBuffer second_moment, AnyBuffer cross_moment, AnyBuffer mean, const std::vector<AnyBuffer>& kept) {
  const Chains chains(linear);
  if (!chains.fits()) return kNoChain;
  Check check(chains.shape.batch, linear.element_type());
  check("quadratic", quadratic, chains.squares());
  check("cross", cross, chains.crosses());
  check("log_partition", log_partition, {});
  check("second_moment", second_moment, chains.squares());
  check("cross_moment", cross_moment, chains.crosses());
  check("mean", mean, chains.vectors());
  for (size_t i = 0; i < kept.size(); ++i) check("residuals", kept[i], i == 2 ? chains.vectors() : chains.squares());
  if (check.failed()) return check.error();

  return for_each_chain(pool, linear.element_type(), chains.latent, chains.shape.batch, [&](auto shape, int64_t item) {
    using T = typename decltype(shape)::Number;
    const int64_t square = count(chains.squares());
    GaussianResiduals<T> residuals{};
    if (!kept.empty())
      residuals = {part<T>(kept[0], item, square), part<T>(kept[1], item, square),
                   part<T>(kept[2], item, count(chains.vectors())), part<T>(kept[3], item, square)};
    *part<T>(log_partition, item, 1) = static_cast<T>(
        smooth_gaussian<T, decltype(shape)>(chains.chain<T>(item, quadratic, cross, linear),
                                            chains.moments<T>(item, second_moment, cross_moment, mean), residuals));
  });
}

Error gaussian_smooth(ffi::ThreadPool pool, AnyBuffer quadratic, AnyBuffer cross, AnyBuffer linear,
                      Result<AnyBuffer> log_partition, Result<AnyBuffer> second_moment, Result<AnyBuffer> cross_moment,
                      Result<AnyBuffer> mean) {
  return smooth(pool, quadratic, cross, linear, *log_partition, *second_moment, *cross_moment, *mean, {});
}

Error gaussian_linearise(ffi::ThreadPool pool, AnyBuffer quadratic, AnyBuffer cross, AnyBuffer linear,
                         Result<AnyBuffer> log_partition, Result<AnyBuffer> second_moment,
                         Result<AnyBuffer> cross_moment, Result<AnyBuffer> mean, Result<AnyBuffer> gain,
                         Result<AnyBuffer> conditional, Result<AnyBuffer> offset, Result<AnyBuffer> covariance) {
  return smooth(pool, quadratic, cross, linear, *log_partition, *second_moment, *cross_moment, *mean,
                {*gain, *conditional, *offset, *covariance});
}

Error gaussian_fisher(ffi::ThreadPool pool, AnyBuffer gain, AnyBuffer conditional, AnyBuffer offset, AnyBuffer mean,
                      AnyBuffer covariance, AnyBuffer quadratic, AnyBuffer cross, AnyBuffer linear,
                      Result<AnyBuffer> d_second_moment, Result<AnyBuffer> d_cross_moment, Result<AnyBuffer> d_mean) {
  const Chains chains(linear);
  if (!chains.fits()) return kNoChain;
  Check check(chains.shape.batch, linear.element_type());
  for (const auto& square : {gain, conditional, covariance}) check("residuals", square, chains.squares());
  for (const auto& vector : {offset, mean}) check("residuals", vector, chains.vectors());
  check("quadratic", quadratic, chains.squares());
  check("cross", cross, chains.crosses());
  check("d_second_moment", *d_second_moment, chains.squares());
  check("d_cross_moment", *d_cross_moment, chains.crosses());
  check("d_mean", *d_mean, chains.vectors());
  if (check.failed()) return check.error();

  return for_each_chain(pool, linear.element_type(), chains.latent, chains.shape.batch, [&](auto shape, int64_t item) {
    using T = typename decltype(shape)::Number;
    const int64_t square = count(chains.squares()), vector = count(chains.vectors());
    const GaussianLinearisation<T> at{part<T>(gain, item, square), part<T>(conditional, item, square),
                                      part<T>(offset, item, vector), part<T>(mean, item, vector),
                                      part<T>(covariance, item, square)};
    differentiate_gaussian<T, decltype(shape)>(at, chains.chain<T>(item, quadratic, cross, linear),
                                               chains.moments<T>(item, *d_second_moment, *d_cross_moment, *d_mean));
  });
}

}  // namespace
}  // namespace slds

using Array = xla::ffi::AnyBuffer;

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_gaussian_smooth, slds::gaussian_smooth,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_gaussian_linearise, slds::gaussian_linearise,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
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

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_gaussian_fisher, slds::gaussian_fisher,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
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

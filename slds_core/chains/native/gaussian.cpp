// The Gaussian chain's kernels, as JAX calls them.
#include "bindings.hpp"
#include "gaussian.hpp"
#include "gaussian_fisher.hpp"

namespace slds {
namespace {

// The arrays of one batch of chains, and their sizes.
struct Chains {
  Chains(const AnyBuffer& linear, Lengths lengths) : shape(form(linear, 2)), places({}, 1, 1) {
    if (shape.own.size() != 2) return;
    time = shape.own[0], latent = shape.own[1];
    places = Places(lengths, time, count(shape.batch));
  }
  bool fits() const { return time >= 1 && latent >= 1 && places.fits(); }
  std::vector<int64_t> squares() const { return {time, latent, latent}; }
  std::vector<int64_t> crosses() const { return {places.transitions(), latent, latent}; }
  std::vector<int64_t> vectors() const { return {time, latent}; }

  template <class T>
  T* square(const AnyBuffer& array, const Place& place) const {
    return part<T>(array, place.step * latent * latent);
  }
  template <class T>
  T* between(const AnyBuffer& array, const Place& place) const {
    return part<T>(array, place.transition * latent * latent);
  }
  template <class T>
  T* vector(const AnyBuffer& array, const Place& place) const {
    return part<T>(array, place.step * latent);
  }
  template <class T>
  GaussianChain<T> chain(const Place& place, const AnyBuffer& quadratic, const AnyBuffer& cross, const AnyBuffer& linear) const {
    return {place.time, static_cast<int>(latent), square<T>(quadratic, place), between<T>(cross, place),
            vector<T>(linear, place)};
  }
  template <class T>
  GaussianMoments<T> moments(const Place& place, const AnyBuffer& second, const AnyBuffer& cross, const AnyBuffer& mean) const {
    return {square<T>(second, place), between<T>(cross, place), vector<T>(mean, place)};
  }

  Form shape;
  Places places;
  int64_t time = 0, latent = 0;
};

const Error kNoChain =
    Error::InvalidArgument("linear: expected shape (…, time ≥ 1, latent ≥ 1), and lengths that add up to time");

// `kept`: gain, conditional, offset, covariance; or nothing.
Error smooth(ffi::ThreadPool pool, Lengths lengths, AnyBuffer quadratic, AnyBuffer cross, AnyBuffer linear, AnyBuffer log_partition,
             AnyBuffer second_moment, AnyBuffer cross_moment, AnyBuffer mean, const std::vector<AnyBuffer>& kept) {
  const Chains chains(linear, lengths);
  if (!chains.fits()) return kNoChain;
  Check check(chains.shape.batch, linear.element_type());
  check("quadratic", quadratic, chains.squares());
  check("cross", cross, chains.crosses());
  check("log_partition", log_partition, chains.places.each({}));
  check("second_moment", second_moment, chains.squares());
  check("cross_moment", cross_moment, chains.crosses());
  check("mean", mean, chains.vectors());
  for (size_t i = 0; i < kept.size(); ++i) check("residuals", kept[i], i == 2 ? chains.vectors() : chains.squares());
  if (check.failed()) return check.error();

  return for_each_chain(pool, linear.element_type(), chains.latent, chains.places, [&](auto shape, const Place& place) {
    using T = typename decltype(shape)::Number;
    GaussianResiduals<T> residuals{};
    if (!kept.empty())
      residuals = {chains.square<T>(kept[0], place), chains.square<T>(kept[1], place), chains.vector<T>(kept[2], place),
                   chains.square<T>(kept[3], place)};
    *part<T>(log_partition, place.number) = static_cast<T>(
        smooth_gaussian<T, decltype(shape)>(chains.chain<T>(place, quadratic, cross, linear),
                                            chains.moments<T>(place, second_moment, cross_moment, mean), residuals));
  });
}

Error gaussian_smooth(ffi::ThreadPool pool, Lengths lengths, AnyBuffer quadratic, AnyBuffer cross, AnyBuffer linear,
                      Result<AnyBuffer> log_partition, Result<AnyBuffer> second_moment, Result<AnyBuffer> cross_moment,
                      Result<AnyBuffer> mean) {
  return smooth(pool, lengths, quadratic, cross, linear, *log_partition, *second_moment, *cross_moment, *mean, {});
}

Error gaussian_linearise(ffi::ThreadPool pool, Lengths lengths, AnyBuffer quadratic, AnyBuffer cross, AnyBuffer linear,
                         Result<AnyBuffer> log_partition, Result<AnyBuffer> second_moment,
                         Result<AnyBuffer> cross_moment, Result<AnyBuffer> mean, Result<AnyBuffer> gain,
                         Result<AnyBuffer> conditional, Result<AnyBuffer> offset, Result<AnyBuffer> covariance) {
  return smooth(pool, lengths, quadratic, cross, linear, *log_partition, *second_moment, *cross_moment, *mean,
                {*gain, *conditional, *offset, *covariance});
}

Error gaussian_fisher(ffi::ThreadPool pool, Lengths lengths, AnyBuffer gain, AnyBuffer conditional, AnyBuffer offset, AnyBuffer mean,
                      AnyBuffer covariance, AnyBuffer quadratic, AnyBuffer cross, AnyBuffer linear,
                      Result<AnyBuffer> d_second_moment, Result<AnyBuffer> d_cross_moment, Result<AnyBuffer> d_mean) {
  const Chains chains(linear, lengths);
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

  return for_each_chain(pool, linear.element_type(), chains.latent, chains.places, [&](auto shape, const Place& place) {
    using T = typename decltype(shape)::Number;
    const GaussianLinearisation<T> at{chains.square<T>(gain, place), chains.square<T>(conditional, place),
                                      chains.vector<T>(offset, place), chains.vector<T>(mean, place),
                                      chains.square<T>(covariance, place)};
    const GaussianFisherProduct<T, decltype(shape)> product(at, chains.chain<T>(place, quadratic, cross, linear),
                                                            chains.moments<T>(place, *d_second_moment, *d_cross_moment, *d_mean));
    product([&](int64_t pieces, const auto& work) { for_each(pool, pieces, work); });
  });
}

Error gaussian_sample(ffi::ThreadPool pool, Lengths lengths, AnyBuffer gain, AnyBuffer conditional, AnyBuffer offset,
                      AnyBuffer noise, Result<AnyBuffer> paths) {
  const Chains chains(offset, lengths);
  if (!chains.fits()) return kNoChain;
  const int64_t draws = draws_of(noise, 3);
  const std::vector<int64_t> all{chains.time, draws, chains.latent};
  Check check(chains.shape.batch, offset.element_type());
  for (const auto& square : {gain, conditional}) check("residuals", square, chains.squares());
  check("noise", noise, all);
  check("paths", *paths, all);
  if (check.failed()) return check.error();

  return for_each_chain(pool, offset.element_type(), chains.latent, chains.places, [&](auto shape, const Place& place) {
    using T = typename decltype(shape)::Number;
    const int64_t begin = place.step * draws * chains.latent;
    sample_gaussian<T, decltype(shape)>(
        place.time, static_cast<int>(chains.latent), draws,
        {chains.square<T>(gain, place), chains.square<T>(conditional, place), chains.vector<T>(offset, place)},
        part<T>(noise, begin), part<T>(*paths, begin));
  });
}

}  // namespace
}  // namespace slds

using Array = xla::ffi::AnyBuffer;
using Lengths = slds::Lengths;

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_gaussian_smooth, slds::gaussian_smooth,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Attr<Lengths>("lengths")
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

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_gaussian_fisher, slds::gaussian_fisher,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Attr<Lengths>("lengths")
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

XLA_FFI_DEFINE_HANDLER_SYMBOL(slds_gaussian_sample, slds::gaussian_sample,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Attr<Lengths>("lengths")
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>());

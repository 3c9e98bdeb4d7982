"""What the numbers say, in one sentence each: rules, so that other data get other sentences."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from jaxlatent.evaluation import Row, SweepCell, TradeoffPoint
from jaxlatent.evaluation.comparison import FLOOR
from jaxlatent.latent.contours import HALF_MAXIMUM, ContourFit
from jaxlatent.latent.core import Core
from jaxlatent.latent.ellipses import Ellipse
from jaxlatent.latent.half_width import GAUSSIAN_FWHM
from jaxlatent.latent.normality import ComponentTests, Mardia, RadiusLaw
from jaxlatent.latent.peaks import MiddleShares
from jaxlatent.latent.spectrum import Spectrum

#: The larger of the levels at which contours are compared with ellipses, that of the source.
OUTER_LEVEL = 2.35

_ALPHA = 0.01
_POINTS_A_DIMENSION = 10
_WIDE, _NARROW = 1.2, 1 / 1.2
_WIDTH_TOLERANCE = 0.03
_FIXED_TOLERANCE = 0.1
_AXIS_TOLERANCE, _ROUGHNESS = 0.1, 0.06
# The direction of a rounder ellipse means little.
_ELONGATED = 1.2
_OUTSIDE_CORE = 0.025
_LEADING = 2
_BLURRED = 0.1


def percent(share: float) -> str:
    """A share in per cent, at two digits where it is small."""
    value = 100 * share
    # A no-break space: the sign must not begin a line.
    return f"{value:.2g}\u00a0%" if 0 < value < 10 else f"{value:.0f}\u00a0%"


def probability(p: float) -> str:
    """A p-value, which is not told more exactly than it is known."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def of_size(n: int, dim: int) -> str:
    """Whether `n` points are enough to measure a covariance of `dim` dimensions."""
    each = n / dim
    digits = 0 if each >= 10 else 1
    if each >= _POINTS_A_DIMENSION:
        verdict = "enough to measure their covariance"
    else:
        verdict = "too few to measure their covariance well, so what follows is uncertain; use more points"
    return f"There are {n:,} z-points of {dim} dimensions, {each:,.{digits}f} for each dimension: {verdict}."


def of_reconstruction(mse: float, variance: float) -> str:
    """How much of the images' variance a reconstruction with mean squared error `mse` keeps."""
    if variance == 0:
        return f"The mean squared error on the validation images, which are all equal, is {mse:.3g}."
    kept = 1 - mse / variance
    if kept >= 0.8:
        verdict = "most of what is in an image"
    else:
        verdict = "only the coarse traits of an image" if kept >= 0.2 else "hardly anything of an image"
    return (
        f"The autoencoder keeps {verdict}: its error on validation images is {percent(1 - kept)} of their "
        f"variance (mean squared error {mse:.3g} for pixel values in [0, 1])."
    )


def of_spectrum(found: Spectrum) -> str:
    """Whether a few directions hold the variance."""
    dim, effective = found.eigenvalues.size, found.effective_dimension
    need = found.components_for(0.95)
    if effective < dim / 2:
        verdict = "A minority of directions dominates"
    else:
        verdict = "No small group of directions dominates"
    return (
        f"{verdict}: the variance is spread as over {effective:.3g} equal dimensions of {dim}, and {need} "
        "principal components hold 95 % of it."
    )


def of_correlation(matrix: Float[np.ndarray, "d d"], points: int) -> str:
    """Whether the latent coordinates are correlated more than chance makes them."""
    from scipy import stats

    dim = matrix.shape[0]
    largest = float(np.abs(matrix - np.eye(dim)).max())
    pairs = max(dim * (dim - 1) // 2, 1)
    chance = float(stats.norm.isf(_ALPHA / 2 / pairs) / np.sqrt(points))
    if largest > chance:
        return (
            f"The latent coordinates are correlated, up to |r| = {largest:.2f}, where chance would give at "
            f"most {chance:.2g}: the ellipses are tilted against the latent axes, and only a PCA frame "
            "sets them upright."
        )
    return (
        f"The latent coordinates are not correlated beyond chance (|r| is at most {largest:.2g}, chance "
        f"gives up to {chance:.2g}): the ellipses are upright already."
    )


def of_half_widths(fwhm: Float[np.ndarray, " k"], sigma: Float[np.ndarray, " k"]) -> str:
    """How the measured half-widths compare with a Gaussian's."""
    ratio = float(np.median(fwhm / (GAUSSIAN_FWHM * sigma)))
    if abs(ratio - 1) <= _WIDTH_TOLERANCE:
        verdict = "agree with", "the centre of the density is as wide as a Gaussian's"
    elif ratio < 1:
        verdict = "are smaller than", "the density is more peaked than a Gaussian's and has longer tails"
    else:
        verdict = "are larger than", "the density is flatter than a Gaussian's"
    return (
        f"The measured half-widths {verdict[0]} {GAUSSIAN_FWHM:.4f} σ (median ratio {ratio:.3f}): "
        f"{verdict[1]}."
    )


def of_middles(shares: MiddleShares) -> str:
    """Whether the density of each component is about its mean, where the body is centred."""
    empty, k = np.flatnonzero(shares.empty), shares.empty.size
    if not empty.size:
        return f"The density of each of the {k} components is about its mean, where a body is centred."
    worst = empty[np.argmin(shares.middle[empty] / shares.densest[empty])]
    return (
        f"The density of {empty.size} of {k} components is not about its mean: of component {worst + 1} "
        f"{percent(float(shares.middle[worst]))} of the z-points lie within half a half-width of it, and "
        f"{percent(float(shares.densest[worst]))} in an interval as long elsewhere; a body about the mean is "
        "where hardly any z-points are, so take a sampler of several clusters."
    )


def of_fixed_interval(fixed: Float[np.ndarray, " k"], fwhm: Float[np.ndarray, " k"], interval: float) -> str:
    """From which component on one interval for all components is too coarse."""
    wrong = np.abs(fixed / fwhm - 1) > _FIXED_TOLERANCE
    if not wrong.any():
        return (
            f"One fixed interval of {interval:.2g} serves all {wrong.size} components: no half-width is off "
            f"by more than {percent(_FIXED_TOLERANCE)}."
        )
    return (
        f"One fixed interval of {interval:.2g} is off by more than {percent(_FIXED_TOLERANCE)} for "
        f"{int(wrong.sum())} of {wrong.size} components, component {int(np.argmax(wrong)) + 1} first: each "
        "needs a resolution of its own."
    )


def of_contours(planes: Sequence[Sequence[ContourFit]]) -> str:
    """Whether the contour lines of some planes are ellipses, those of the covariance."""
    inner = [fit for fits in planes for fit in fits if fit.level == HALF_MAXIMUM]
    if not inner:
        return "No plane has a closed contour at half maximum: the density has no single core."
    fitting = sum(fit.residual <= _ROUGHNESS and abs(fit.axis_ratio - 1) <= _AXIS_TOLERANCE for fit in inner)
    text = (
        f"The core {'has' if fitting > len(inner) / 2 else 'does not have'} the elliptic contours of the "
        f"covariance ({fitting} of {len(inner)} planes): at half maximum the lines deviate from the best "
        f"ellipse by {percent(_median(fit.residual for fit in inner))} (median), whose axis ratio differs "
        f"from the covariance's by {percent(_median(abs(fit.axis_ratio - 1) for fit in inner))} and whose "
        f"size is {_median(fit.size_ratio for fit in inner):.2f} of its size"
    )
    long = [fit.angle_difference for fit in inner if _elongation(fit.gaussian) > _ELONGATED]
    if long:
        text += f", turned by {_median(long):.1f} degrees where it is elongated"
    outer = [fit.residual for fits in planes for fit in fits if fit.level == OUTER_LEVEL]
    return text + (f"; at {OUTER_LEVEL} σ the deviation is {percent(_median(outer))}." if outer else ".")


def _median(values: Iterable[float]) -> float:
    return float(np.median(list(values)))


def _elongation(ellipse: Ellipse) -> float:
    return ellipse.semi_axes[0] / ellipse.semi_axes[1]


def of_radii(law: RadiusLaw) -> str:
    """How widely the squared Mahalanobis radii are spread."""
    ratio = law.deviation / law.gaussian_deviation
    numbers = f"standard deviation {law.deviation:.3g} instead of {law.gaussian_deviation:.3g}"
    if ratio > _WIDE:
        return (
            f"The z-points do not lie in a Gaussian's thin shell: their squared radii are spread {ratio:.2g} "
            f"times as wide ({numbers}), so there are more points far out, and more near the centre."
        )
    if ratio < _NARROW:
        return (
            f"The z-points lie in a shell thinner than a Gaussian's: their squared radii are spread "
            f"{ratio:.2g} times as wide ({numbers})."
        )
    return f"The squared radii are spread as those of a Gaussian ({numbers})."


def of_mardia(found: Mardia) -> str:
    """Whether the cloud as a whole is normal."""
    normal = found.components * (found.components + 2)
    agrees = min(found.skewness_p, found.kurtosis_p) > _ALPHA
    return (
        f"The cloud as a whole {'agrees with' if agrees else 'does not follow'} a multivariate normal law: "
        f"Mardia's kurtosis is {found.kurtosis / normal:.3f} of such a law's ({found.kurtosis_z:,.1f} "
        f"standard errors off), and his skewness has {probability(found.skewness_p)}."
    )


def of_components(tests: ComponentTests) -> str:
    """How many components are not normal, and in what way."""
    rejected, excess = int(tests.rejected.sum()), float(np.median(tests.excess_kurtosis))
    if not rejected:
        return (
            f"None of the {tests.rejected.size} components departs from a normal law by more than chance "
            f"(median excess kurtosis {excess:.2f})."
        )
    tails = "heavier" if excess > 0 else "lighter"
    return (
        f"{rejected} of {tests.rejected.size} components are not normal; the median excess kurtosis is "
        f"{excess:.2f}, that is {tails} tails than a Gaussian's."
    )


def of_core(core: Core, whole: float) -> str:
    """How many points lie outside the robust core; `whole` is the trace of the plain covariance."""
    outside = 1 - float(core.inside.mean())
    size = percent(float(np.trace(core.moments.covariance)) / whole)
    many = outside > 2 * _OUTSIDE_CORE
    return (
        f"{'As many as' if many else 'Only'} {percent(outside)} of the points lie outside the robust core, "
        f"where {percent(_OUTSIDE_CORE)} of a Gaussian's would; it has {size} of the variance: "
        f"{'the tails widen the covariance of all points' if many else 'core and cloud agree'}."
    )


def of_coverage(shares: Mapping[int, float], gaussian: Mapping[int, float], level: float) -> str:
    """How many real points fulfil all pair conditions, by numbers of components, beside a Gaussian's."""
    most = max(shares)
    verdict = "Few" if shares[most] < 0.5 else "Most"
    listed = ", ".join(f"{percent(share)} with {k}" for k, share in shares.items())
    return (
        f"{verdict} z-points lie inside all pair ellipses of {level:.4g} σ: {listed} components; of "
        f"a Gaussian's points it would be {percent(gaussian[most])} with {most}."
    )


def of_drawn_radii(real: Float[np.ndarray, " n"], drawn: Float[np.ndarray, " m"]) -> str:
    """Where the drawn vectors lie, by their Mahalanobis radii and those of the z-points."""
    low, high = np.quantile(real, [0.005, 0.995])
    within = percent(float(((drawn >= low) & (drawn <= high)).mean()))
    ratio = float(np.median(drawn) / np.median(real))
    if ratio < _NARROW:
        where = "nearer to the centre than"
    else:
        where = "farther out than" if ratio > _WIDE else "as far out as"
    return (
        f"The sampler's vectors lie {where} the z-points (median radius {ratio:.2f} of theirs); {within} of "
        "them have a radius that the middle 99\u00a0% of the z-points have."
    )


def of_spread(ratio: Float[np.ndarray, " k"]) -> str:
    """How varied the drawn vectors are; `ratio` is their deviation over the data's, by component."""
    middle = float(np.median(ratio))
    verdict = "less varied than" if middle < 0.9 else "more varied than" if middle > 1.1 else "as varied as"
    return (
        f"The drawn vectors are {verdict} the z-points: a component has {middle:.2f} of their standard "
        "deviation (median)."
    )


def of_return(real: float, drawn: Sequence[float], naive: float) -> str:
    """Whether vectors come back when decoded and encoded; median errors relative to the cloud's size."""
    if max(drawn) < naive / 2:
        verdict = "The decoder knows the samplers' vectors better than naive ones"
    else:
        verdict = "The decoder does not know the samplers' vectors much better than naive ones"
    return (
        f"{verdict}: decoded and encoded again they come back {_range(drawn)} off, against "
        f"{percent(real)} of those of unseen images and {percent(naive)} of naive vectors."
    )


def of_detail(rebuilt: float, drawn: Sequence[float]) -> str:
    """Who blurs, autoencoder or samplers; shares of the fine detail of unseen images."""
    by_network, by_sampler = 1 - rebuilt >= _BLURRED, rebuilt - min(drawn) >= _BLURRED
    if by_network:
        verdict = "the autoencoder blurs" + (", and a sampler, too" if by_sampler else ", no sampler does")
    else:
        verdict = "a sampler blurs, not the autoencoder" if by_sampler else "hardly anything is blurred"
    return (
        f"Reconstructions of unseen images have {percent(rebuilt)} of their fine detail, the samplers' "
        f"images {_range(drawn)}: {verdict}."
    )


def _range(shares: Sequence[float]) -> str:
    """From the least to the largest, where they are told apart."""
    return " to ".join(dict.fromkeys(percent(f(shares)) for f in (min, max)))


def of_traversals(change: Sequence[float], components: Sequence[int]) -> str:
    """Whether the leading components change an image most; `change` of the mean pixel value, each."""
    strongest = components[int(np.argmax(change))]
    ratio = change[0] / max(change[-1], 1e-9)
    verdict = "change an image most" if ratio > _LEADING else "do not stand out"
    return (
        f"The leading components {verdict}: component {components[0]} changes it {ratio:.2g} times as much "
        f"as component {components[-1]} (the strongest shown is {strongest})."
    )


def of_path(steps: Float[np.ndarray, " p"]) -> str:
    """Whether images change evenly along a path; `steps` are mean changes of a pixel value."""
    uneven = float(steps.max() / steps.mean())
    verdict = "smoothly" if uneven < 2 else "in jumps"
    return (
        f"Along the path the image changes {verdict}: the largest step is {uneven:.2f} times the mean step."
    )


def of_sweep(cells: Sequence[SweepCell]) -> str:
    """What the scale of the half-widths does at the largest number of components."""
    most = max(cell.components for cell in cells)
    row = sorted((cell for cell in cells if cell.components == most), key=lambda cell: cell.fact)
    matched = min(row, key=lambda cell: abs(cell.spread - 1))
    span = (
        f"with {most} components a drawn component has {row[0].spread:.2f} of the data's deviation at fact "
        f"{row[0].fact:g} and {row[-1].spread:.2f} at {row[-1].fact:g}"
    )
    if abs(matched.spread - 1) <= 0.1:
        return f"The vectors are as varied as the data near fact {matched.fact:g}: {span}."
    side = "less" if matched.spread < 1 else "more"
    return f"In the whole grid the vectors are {side} varied than the data: {span}."


def of_comparison(rows: Sequence[Row]) -> str:
    """Which sampler comes nearest to the reconstructions of unseen images, and whether it copies."""
    drawn = [row for row in rows if row.vectors_per_second is not None]
    floor = next(row for row in rows if row.title == FLOOR)
    best, naive = min(drawn, key=lambda row: row.frechet), drawn[0]
    others = [row for row in drawn if row.copy_p is None or row.copy_p >= _ALPHA]
    if best.copy_p is None or best in others:
        copied = "its images are no closer to training images than unseen ones are"
    else:
        copied = f"its images are closer to training images than unseen ones are ({probability(best.copy_p)})"
        if others:
            second = min(others, key=lambda row: row.frechet)
            copied += f"; the nearest whose images are not: {second.title} ({second.frechet:.3g})"
    return (
        f"Of {len(drawn)} samplers the nearest to reconstructions of unseen images is: {best.title} (Fréchet "
        f"distance {best.frechet:.3g}, where reconstructed training images have {floor.frechet:.3g} and the "
        f"naive box {naive.frechet:.3g}); {copied}."
    )


def of_tradeoff(points: Sequence[TradeoffPoint]) -> str:
    """What turning the dials costs, and where the Fréchet distance is least."""
    best = min(points, key=lambda point: point.frechet)
    line = sorted((p for p in points if p.series == best.series), key=lambda p: p.setting)
    low, high = line[0], line[-1]
    return (
        f"The smallest Fréchet distance, {best.frechet:.3g}, has: {best.series} at {best.dial} "
        f"{best.setting:g}; from {low.setting:g} to {high.setting:g} its precision goes from "
        f"{low.precision:.3g} to {high.precision:.3g} and its recall from {low.recall:.3g} to "
        f"{high.recall:.3g}."
    )


def of_extremes(rows: Sequence[Row]) -> str:
    """Which samplers keep most to what is real, and which reach most of it."""
    drawn = [row for row in rows if row.vectors_per_second is not None]
    faithful, diverse = (max(drawn, key=lambda row: getattr(row, name)) for name in ("precision", "recall"))
    return (
        f"The highest precision, {faithful.precision:.3g}, has: {faithful.title}; the highest recall, "
        f"{diverse.recall:.3g}, has: {diverse.title}."
    )

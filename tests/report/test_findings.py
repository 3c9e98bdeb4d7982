"""Every rule says one thing of one kind of data and the opposite of the other kind."""

from dataclasses import dataclass

import numpy as np
import pytest

from jaxlatent.latent import PCA, half_width, moments
from jaxlatent.latent.contours import contour_fits
from jaxlatent.latent.core import robust_core
from jaxlatent.latent.fixed_interval import fixed_interval_half_width
from jaxlatent.latent.normality import RadiusLaw, component_tests, mardia, radius_law
from jaxlatent.latent.peaks import middle_shares
from jaxlatent.latent.spectrum import Spectrum, correlation
from jaxlatent.report import findings

N, D = 4000, 6


@pytest.fixture(scope="module")
def gaussian():
    return np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)


@pytest.fixture(scope="module")
def tailed():
    """Multivariate t of 5 degrees: elliptic, with heavy tails and widely spread radii."""
    rng = np.random.default_rng(1)
    scale = np.sqrt(5 / rng.chisquare(5, N))
    return (rng.standard_normal((N, D)) * scale[:, None]).astype(np.float32)


@pytest.fixture(scope="module")
def flat():
    return np.random.default_rng(2).uniform(-1, 1, (N, D)).astype(np.float32)


def test_percent():
    assert [findings.percent(x) for x in (0.0, 0.00851, 0.5, 1.0)] == [
        "0\u00a0%",
        "0.85\u00a0%",
        "50\u00a0%",
        "100\u00a0%",
    ]


def test_size():
    assert "70 for each dimension: enough" in findings.of_size(18_000, 256)
    assert "2.0 for each dimension: too few" in findings.of_size(500, 256)
    assert "1,000 for each dimension" in findings.of_size(2000, 2)


def test_reconstruction():
    assert "most of what is in an image" in findings.of_reconstruction(0.005, 0.06)
    assert "only the coarse traits" in findings.of_reconstruction(0.03, 0.06)
    assert "hardly anything" in findings.of_reconstruction(0.08, 0.06)
    assert "which are all equal, is 0.08" in findings.of_reconstruction(0.08, 0.0)


def test_spectrum():
    assert findings.of_spectrum(Spectrum(0.5 ** np.arange(20.0))).startswith("A minority")
    text = findings.of_spectrum(Spectrum(np.ones(20)))
    assert text.startswith("No small group")
    assert "20 equal dimensions of 20, and 19 " in text


def test_correlation(gaussian):
    assert "not correlated" in findings.of_correlation(correlation(gaussian), N)
    mixed = gaussian.copy()
    mixed[:, 1] += mixed[:, 0]
    text = findings.of_correlation(correlation(mixed), N)
    assert "tilted" in text
    assert "not correlated" not in text


@pytest.mark.parametrize(
    ("kind", "words"),
    [("gaussian", "agree with"), ("tailed", "are smaller than"), ("flat", "are larger than")],
)
def test_half_widths(kind, words, request):
    y = request.getfixturevalue(kind)
    assert words in findings.of_half_widths(np.asarray(half_width(y)), y.std(axis=0))


def test_middles(gaussian):
    assert "each of the 6 components is about its mean" in findings.of_middles(middle_shares(gaussian))
    humps = gaussian.copy()
    humps[:, 1] += np.where(np.arange(N) % 2, 6, -6)
    text = findings.of_middles(middle_shares(humps))
    assert "of 1 of 6 components is not about its mean: of component 2 0 % of the z-points" in text


def test_fixed_interval(gaussian):
    y = gaussian * np.float32([1, 1, 1, 1, 1, 0.01])
    fwhm, fixed = np.asarray(half_width(y)), np.asarray(fixed_interval_half_width(y, 0.5))
    text = findings.of_fixed_interval(fixed, fwhm, 0.5)
    assert "for 1 of 6 components, component 6 first" in text
    assert "serves all 5" in findings.of_fixed_interval(fixed[:5], fwhm[:5], 0.5)


def test_contours(gaussian, tailed):
    assert "has the elliptic contours" in findings.of_contours([contour_fits(gaussian[:, :2])])
    stretched = tailed[:, :2] * np.float32([3, 1])
    text = findings.of_contours([contour_fits(stretched)])
    assert "has the elliptic contours of the covariance (1 of 1 planes)" in text
    assert "degrees where it is elongated" in text
    # A core along one axis in a halo along the other: no ellipse of the whole's covariance.
    cross = np.concatenate([gaussian[:, :2] * np.float32([3, 0.5]), gaussian[:, 2:4] * np.float32([0.5, 3])])
    assert "does not have" in findings.of_contours([contour_fits(cross)])
    assert "no single core" in findings.of_contours([[]])


def test_radii(gaussian, tailed):
    assert "spread as those of a Gaussian" in findings.of_radii(radius_law(gaussian))
    assert "more points far out" in findings.of_radii(radius_law(tailed))
    shell = gaussian / np.linalg.norm(gaussian, axis=1, keepdims=True)
    assert "thinner than a Gaussian's" in findings.of_radii(radius_law(shell))


def test_radii_tell_the_numbers():
    law = RadiusLaw(np.zeros(2), np.zeros(2), 256, 119.4)
    assert "5.3 times as wide (standard deviation 119 instead of 22.6)" in findings.of_radii(law)


def test_mardia(gaussian, tailed):
    assert "agrees with a multivariate normal" in findings.of_mardia(mardia(gaussian))
    assert "does not follow" in findings.of_mardia(mardia(tailed))


def test_components(gaussian, tailed, flat):
    assert findings.of_components(component_tests(gaussian)).startswith("None of the 6")
    assert "6 of 6 components are not normal" in findings.of_components(component_tests(tailed))
    assert "heavier tails" in findings.of_components(component_tests(tailed))
    assert "lighter tails" in findings.of_components(component_tests(flat))


def test_core(gaussian, tailed):
    for z, words in ((gaussian, "core and cloud agree"), (tailed, "the tails widen the covariance")):
        assert words in findings.of_core(robust_core(z), float(np.trace(moments(z).covariance)))


def test_coverage():
    few = findings.of_coverage({50: 0.14, 256: 0.008}, {50: 0.03, 256: 1e-11}, 2.3548)
    assert few.startswith("Few")
    assert "14\u00a0% with 50, 0.8\u00a0% with 256 components" in few
    assert few.endswith("a Gaussian's points it would be 1e-09\u00a0% with 256.")
    most = findings.of_coverage({2: 0.9}, {2: 0.94}, 2.3548)
    assert most.startswith("Most")


@pytest.mark.parametrize(
    ("scale", "words"), [(0.5, "nearer to the centre"), (1.0, "as far out as"), (2.0, "farther out")]
)
def test_drawn_radii(scale, words, gaussian):
    radii = np.linalg.norm(gaussian, axis=1)
    assert words in findings.of_drawn_radii(radii, scale * radii)


@pytest.mark.parametrize(
    ("ratio", "words"), [(0.5, "less varied"), (1.0, "as varied as"), (1.5, "more varied")]
)
def test_spread(ratio, words):
    assert words in findings.of_spread(np.full(4, ratio))


def test_return():
    text = findings.of_return(0.1, [0.3, 0.2], 0.7)
    assert text.startswith("The decoder knows the samplers' vectors better")
    assert "they come back 20\u00a0% to 30\u00a0% off, against 10\u00a0% " in text
    assert "they come back 20\u00a0% off" in findings.of_return(0.1, [0.2, 0.2001], 0.7)
    assert "does not know" in findings.of_return(0.1, [0.2, 0.6], 0.7)


@pytest.mark.parametrize(
    ("rebuilt", "drawn", "words"),
    [
        (0.6, [0.58, 0.59], "the autoencoder blurs, no sampler does"),
        (0.8, [0.6, 0.79], "the autoencoder blurs, and a sampler, too"),
        (0.95, [0.94, 0.7], "a sampler blurs, not the autoencoder"),
        (0.97, [1.1, 0.95], "hardly anything is blurred"),
    ],
)
def test_detail(rebuilt, drawn, words):
    text = findings.of_detail(rebuilt, drawn)
    assert text.endswith(f"{words}.")
    assert f"have {100 * rebuilt:.0f}\u00a0% of their fine detail" in text


def test_traversals():
    assert "change an image most" in findings.of_traversals([0.3, 0.2, 0.1], [1, 2, 50])
    text = findings.of_traversals([0.1, 0.2, 0.1], [1, 2, 50])
    assert "do not stand out" in text
    assert "strongest shown is 2" in text


def test_path():
    assert "smoothly" in findings.of_path(np.ones(8))
    assert "in jumps" in findings.of_path(np.array([1.0, 1, 1, 9]))


@dataclass
class _Cell:
    components: int
    fact: float
    spread: float


@pytest.mark.parametrize(
    ("spreads", "words"),
    [((0.4, 0.7), "less varied"), ((0.6, 1.0), "near fact 1:"), ((1.5, 2.0), "more varied")],
)
def test_sweep(spreads, words, as_without_type_checks):
    cells = [_Cell(5, fact, spread) for fact, spread in zip((0.6, 1.0), spreads, strict=True)]
    assert words in findings.of_sweep([_Cell(2, 0.6, 1.0), *cells])


def test_pca_frame_of_flat_data_is_no_matter(flat):
    """The rules take a rotated frame as well as the original one."""
    y = np.asarray(PCA.fit(flat).transform(flat))
    assert "not normal" in findings.of_components(component_tests(y))

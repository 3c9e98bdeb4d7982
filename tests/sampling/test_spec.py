"""Samplers by name: the grammar, its errors, and that all of them fit."""

import jax
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.evaluation.comparison import ALL, NAIVE, specs
from jaxlatent.sampling import SAMPLERS, Spec


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((200, 8)) @ rng.standard_normal((8, 8)) + 1).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "options", "title"),
    [
        ("interpolation", {}, "interpolation"),
        ("box:b=2", {"b": 2.0}, "box, b 2"),
        (
            "pairwise:fact=0.7:n_components=5",
            {"fact": 0.7, "n_components": 5},
            "pairwise, fact 0.7, 5 components",
        ),
        ("mixture:n_clusters=30", {"n_clusters": 30}, "mixture, 30 clusters"),
        ("exact:density=empirical", {"density": "empirical"}, "exact, density empirical"),
        ("exact:fact=matched", {"fact": "matched"}, "exact, fact matched"),
        ("tilted:sweeps=7", {"sweeps": 7}, "tilted, sweeps 7"),
    ],
)
def test_reads_options_by_their_types(text, options, title):
    spec = Spec.parse(f" {text} ")
    assert dict(spec.options) == options
    assert [type(x) for _, x in spec.options] == [type(x) for x in options.values()]
    assert spec.title == title
    assert Spec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gauss", ["sampler", ", ".join(SAMPLERS), "'gauss'"]),
        ("", ["sampler", "''"]),
        ("box:1.5", ["OPTION=VALUE", "'1.5'"]),
        ("box:fact=1", ["box has the options b", "'fact'"]),
        ("pairwise:where=1", ["order, max_points, within_sigma, n_components, fact, half_width", "'where'"]),
        ("pairwise:key=1", ["'key'"]),
        ("pairwise:fact=big", ["pairwise:fact: expected a number", "'big'"]),
        ("pairwise:fact=nan", ["pairwise:fact: expected a finite number", "'nan'"]),
        ("pairwise:n_components=2.5", ["pairwise:n_components: expected a whole number", "'2.5'"]),
        ("exact:density=flat", ["exact:density: expected one of", "empirical", "'flat'"]),
        ("box:b=1:b=2", ["b is given twice"]),
    ],
)
def test_mistakes_are_told_with_what_is_known(text, words):
    with pytest.raises(ValueError, match=r"expected|options|twice") as error:
        Spec.parse(text)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_fit_that_fails_names_its_text(z):
    with pytest.raises(ValueError, match=r"^pairwise:n_components=99: n_components"):
        Spec.parse("pairwise:n_components=99").fit(z)


def test_fit_is_the_samplers_own(z, key):
    found = Spec.parse("pairwise:fact=0.8:n_components=5").fit(z)
    expected = jl.PairwiseSampler.fit(z, fact=0.8, n_components=5)
    np.testing.assert_array_equal(found.sample(key, 9), expected.sample(key, 9))


def test_all_is_as_wide_as_the_latents():
    texts = [str(spec) for spec in specs(["all"], 8)]
    assert texts[0] == NAIVE
    assert "pairwise:fact=0.7" in texts
    assert not any("n_components" in text for text in texts)
    assert [str(spec) for spec in specs(["all"], 256)] == list(ALL)
    assert {text.split(":")[0] for text in ALL} == set(SAMPLERS) - {"path"}


def test_several_texts_each_once():
    found = specs(["gaussian", "all", "gaussian", "box:b=3"], 256)
    assert [str(spec) for spec in found[:2]] == ["gaussian", NAIVE]
    assert len(found) == len(ALL) + 1
    with pytest.raises(ValueError, match="got none"):
        specs([], 8)


@pytest.mark.parametrize("spec", specs(["all"], 8), ids=str)
def test_every_entry_fits_and_draws(spec, z):
    drawn = spec.fit(z).sample(jax.random.key(1), 20)
    assert drawn.shape == (20, 8)
    assert np.isfinite(drawn).all()

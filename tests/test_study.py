"""The pure parts of the scripts of the study."""

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

from jaxlatent.autoencoder import EpochRecord, History
from jaxlatent.evaluation import Row, TradeoffPoint, write_records
from jaxlatent.evaluation.comparison import FLOOR, NULL
from jaxlatent.evaluation.rivals import Entry
from jaxlatent.report.document import Table
from jaxlatent.run import Run
from jaxlatent.sampling import Spec
from jaxlatent.sampling.spec import RIVALS

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("study_celeba")


@pytest.fixture
def rivals(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("study")


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("study_results")


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("study_tables")


def row(title, spec, frechet, frechet_unseen=10.0):
    others = {field.name: 0.5 for field in dataclasses.fields(Row)}
    others |= {
        "features": "classifier",
        "seed": 0,
        "unseen": "test",
        "model": "",
        "images": None,
        "faces": None,
    }
    distances = {"frechet": frechet, "frechet_limit": frechet, "frechet_unseen": frechet_unseen}
    return Row(**others | distances | {"title": title, "spec": spec, "n": 100, "n_limit": 100})


def network(tables, name, specs, points=()):
    """A network with a null row, a floor at 1, and samplers (text -> Fréchet distance)."""
    rows = [
        row(NULL, "", 0.5),
        row(FLOOR, "", 1.0),
        *(row(Spec.parse(t).title, t, x) for t, x in specs.items()),
    ]
    return tables.Network(name, Run("nowhere"), {each.spec or each.title: each for each in rows}, points)


def test_every_sampler_of_the_study_is_known(study):
    for name in study.NETWORKS:
        found = study.samplers_of(name)
        assert len(set(found)) == len(found)
        assert (len(found) > len(study.SAMPLERS)) == (name == study.FIRST)


def test_no_more_components_than_there_are(study):
    asked = ["pairwise:fact=0.7:n_components=105", "gaussian"]
    assert [str(spec) for spec in study.samplers_of("z64-none", asked)] == ["pairwise:fact=0.7", "gaussian"]
    assert [str(spec) for spec in study.samplers_of("z256-none", asked)] == asked


def test_a_row_is_found_with_fewer_components(tables):
    full = network(tables, "z64-none", {"pairwise:fact=0.7": 3.0})
    assert full.above_floor("pairwise:fact=0.7:n_components=105") == 2.0
    assert np.isnan(full.above_floor("gaussian"))
    both = network(tables, "z256-none", {"pairwise:fact=0.7": 3.0, "pairwise:fact=0.7:n_components=105": 5.0})
    assert both.above_floor("pairwise:fact=0.7:n_components=105") == 4.0


def test_common_samplers_the_best_first(tables):
    a = network(tables, "z256-none", {"gaussian": 3.0, "box": 9.0, "pairwise:n_components=105": 2.0})
    b = network(tables, "z64-none", {"gaussian": 2.5, "pairwise": 2.0})
    assert tables.common([a, b]) == ["pairwise:n_components=105", "gaussian"]


def test_gaussian_against_mixture(tables):
    a = network(tables, "z256-none", {tables.GAUSSIAN: 4.0, tables.MIXTURE: 2.0})
    b = network(tables, "z64-none", {tables.GAUSSIAN: 4.0, tables.MIXTURE: 1.0})
    c = network(tables, "z64-batch", {tables.GAUSSIAN: 4.0})
    rows = tables.ratio_table([a, b, c]).rows
    assert rows[0] == ["z = 256, no normalisation", 4.0, 2.0, 2.0, 3.0, 1.0]
    assert rows[1][4] == "the mixture is at the floor"
    assert len(rows) == 3  # the last is the published one


def test_dials_side_by_side(tables):
    points = [
        TradeoffPoint(series, "fact", fact, 100, 10 * fact, 0.9, 0.5)
        for series in ("a", "b")
        for fact in (1.0, 0.6)
    ]
    table = tables.tradeoff_table(points)
    assert table.header == ["sampler", "fact 0.6", "fact 1"]
    assert table.rows == [[name, "6 (0.90, 0.50)", "10 (0.90, 0.50)"] for name in "ab"]


def test_all_measures_of_a_comparison_are_kept(tables):
    table = tables.samplers_table(network(tables, "z64-none", {"gaussian": 2.0}))
    assert all(len(each) == len(table.header) for each in table.rows)
    assert {"copies, p", "duplicates"} <= set(table.header_on_page)
    assert table.rows[2][: table.columns][table.header.index("copies, p")] == 0.5
    assert "kernel distance" in table.header
    assert "kernel distance" not in table.header_on_page


def test_markdown_has_what_a_page_shows(study):
    table = Table(["name", "x", "y"], [["a", 1.23456, 5], ["b", 2.0, 6]], shown=[0], columns=2)
    assert study.markdown(table) == "| name | x |\n| --- | --- |\n| a | 1.235 |"


def test_figure_has_a_line_for_each_sampler(study, tables):
    networks = [
        network(tables, "z256-none", {"gaussian": 3.0, "box": 9.0}),
        network(tables, "z64-none", {"gaussian": 0.9, "box": 9.0}),
    ]
    ax = study.plot_samplers(networks)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gaussian", "box"]
    assert [each.get_label() for each in ax.collections] == [n.told for n in networks]
    np.testing.assert_allclose(ax.collections[1].get_offsets()[:, 0], [-0.1, 8])


def test_the_command_measures_the_same_rows(study, tables):
    few = network(tables, "z64-none", {"gaussian": 3.0, "box": 9.0})
    command = study.evaluate_command(few, 100)
    assert command.endswith("OUT/runs/z64-none --count 100 --no-tradeoff --no-faces --samplers gaussian,box")


def test_a_comparison_that_was_made_is_not_made_again(study, tmp_path):
    asked = []

    class Fake(Run):
        def evaluate(self, samplers, *, count, **options):
            asked.append((samplers, count, options))
            rows = [row("gaussian", "gaussian", 3.0)]
            write_records(self.path("evaluation.csv"), Row, rows)
            return rows

    run, specs = Fake(tmp_path), [Spec.parse("gaussian")]
    first = study.compared("z64-none", run, specs, np.asarray, 100)
    again = study.compared("z64-none", run, specs, np.asarray, 100)
    assert first.rows["gaussian"].frechet == again.rows["gaussian"].frechet == 3.0
    assert len(asked) == 1
    study.compared("z64-none", run, specs, np.asarray, 200)
    study.compared("z64-none", run, [*specs, Spec.parse("box")], np.asarray, 100)
    assert [(count, len(samplers)) for samplers, count, _ in asked] == [(100, 1), (200, 1), (100, 2)]


def measured(results, samplers):
    """What was measured on one autoencoder: text -> (distance, p of the copy test, seconds of fitting)."""
    no_samplers = row(NULL, "", 0.5), row(FLOOR, "", 1.0)
    rows = [dataclasses.replace(each, copy_p=None, closer=None, fit_seconds=None) for each in no_samplers]
    for text, (distance, p, seconds) in samplers.items():
        title = Entry.parse(text).title
        numbers = {"copy_p": float(p), "fit_seconds": float(seconds)}
        rows.append(dataclasses.replace(row(title, text, distance), **numbers))
    return results.Measured({each.title: each for each in rows}, 0.01, 60.0)


SEEDS = (
    {"cluster-recombination": (2.0, 0.5, 8), "gaussian": (5.0, 1, 1), "bootstrap": (1.0, 0.0, 1)},
    {"cluster-recombination": (3.0, 0.4, 8), "gaussian": (7.0, 1, 1), "bootstrap": (1.0, 0.5, 1)},
)


def test_sources(rivals):
    assert rivals.sources(["a=x.npz", "b=celeba:DIR=1"]) == {"a": "x.npz", "b": "celeba:DIR=1"}
    for bad in (["a"], ["a=x", "a=y"], ["a b=x"]):
        with pytest.raises(ValueError, match="--data: expected NAME=SOURCE, each name once, got"):
            rivals.sources(bad)


def test_all_that_is_compared_can_be_fitted_and_long_budgets_are_for_one_seed(rivals, results):
    first, second = (rivals.texts([10, 600], seed) for seed in (0, 1))
    assert len(set(first)) == len(first)
    assert set(first) - set(second) == {"copula", "flow:budget=600", "diffusion:budget=600"}
    for text in first:
        assert results.is_rival(Entry.parse(text).title) == (Entry.parse(text).name in RIVALS)


def test_means_and_spreads_over_the_seeds(results):
    table = results.samplers_table([measured(results, each) for each in SEEDS])
    found = {each[0]: each for each in table.rows}
    assert list(found) == [NULL, FLOOR, "bootstrap", "cluster-recombination", "gaussian"]
    assert found["cluster-recombination"][1] == "2.5 ± 0.7"
    assert found["bootstrap"][table.header.index("copies, smallest p")] == "0"
    assert found[FLOOR][table.header.index("copies, smallest p")] == ""
    assert found["gaussian"][table.header.index("fit, s")] == "1"
    one = results.samplers_table([measured(results, SEEDS[0])])
    assert one.rows[3][:2] == ["cluster-recombination", "2"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.9265403110022141, 0.926540311002214, 0.9265403110022141], "0.927 ± 0.000"),
        ([0.123456], "0.123"),
        ([0.2, 0.2], "0.200 ± 0.000"),
        ([0.21, 0.24], "0.22 ± 0.02"),
        ([150, 180], "165 ± 21"),
    ],
)
def test_spread(results, values, text):
    assert results.spread(values) == text


def test_the_best_within_a_budget_copies_on_no_seed(results):
    flows = {"flow:budget=10": (4.0, 0.5, 10.4), "diffusion:budget=60": (1.25, 0.5, 60), "kde": (0.1, 0, 1)}
    table = results.budget_table([measured(results, each | flows) for each in SEEDS], [1, 10, 60])
    assert table.rows[1] == [10, "flow, budget 10", 4.0, "cluster-recombination", 2.5, 0.625]
    assert table.rows[2] == [60, "diffusion, budget 60", 1.25, "cluster-recombination", 2.5, 2.0]
    assert table.rows[0][1] == "none"
    assert table.rows[0][3:5] == ["gaussian", 6.0]


def test_variational_networks_are_compared_by_the_real_images(results):
    vae = measured(results, {"prior": (4.0, 1, 0)})
    table = results.variational_table(measured(results, SEEDS[0]), {0.01: vae})
    assert [line[0] for line in table.rows] == ["plain", "plain", "VAE, weight 0.01"]
    assert [line[2] for line in table.rows] == ["gaussian", "cluster-recombination", "prior"]
    assert table.rows[2][3:6] == [10.0, 10.0, 4.0]


def test_the_figure_tells_results_and_copies(results):
    runs = [measured(results, each | {"flow:budget=10": (4.0, 0.5, 10)}) for each in SEEDS]
    figure = results.plot_budgets({"a": runs, "b": runs[:1]})
    figure.draw_without_rendering()
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert {text.get_text() for text in figure.axes[0].texts} == {
        "cluster-recombination",
        "gaussian",
        "bootstrap",
        "flow, budget 10",
    }


def test_a_training_is_made_once_and_the_rows_of_each_call(rivals, tmp_path, monkeypatch):
    made = []

    class Fake(Run):
        def train(self, data, config, training, *, seed, resume):
            made.append((data, dict(config), dict(training), seed))
            self.path("training").mkdir(parents=True)
            History((EpochRecord(1, 0.1, 0.1, 0.25, 100.0, 1e-3, 2.0),)).to_csv(
                self.path("training/history.csv")
            )

        def encode(self):
            np.save(self.path("latents.npy"), np.zeros((2, 2)))

        def evaluate(self, samplers, **options):
            return [row(text, text, 1.0) for text in samplers]

    monkeypatch.setattr(rivals, "Run", Fake)
    for texts in (("gaussian",), ("gaussian", "box")):
        found = rivals.measured(tmp_path / "run", "x.npz", 3, 1, texts, np.asarray, 100)
        assert tuple(found.rows) == texts
        assert (found.error, found.seconds) == (0.25, 2.0)
    rivals.measured(tmp_path / "vae", "x.npz", 3, 0, ("prior",), np.asarray, 100, 0.01)
    assert made == [
        ("x.npz", {"variational": False}, {"epochs": 3}, 1),
        ("x.npz", {"variational": True}, {"epochs": 3, "kl_weight": 0.01}, 0),
    ]

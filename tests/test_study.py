"""The pure parts of scripts/study_celeba.py and scripts/study_tables.py."""

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

from jaxlatent.evaluation import Row, TradeoffPoint, write_records
from jaxlatent.evaluation.comparison import FLOOR, NULL
from jaxlatent.report.document import Table
from jaxlatent.run import Run
from jaxlatent.sampling import Spec

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("study_celeba")


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

"""The evaluation on the report page: findings, tables, and a plot whose names do not cover each other."""

import csv
import dataclasses

import numpy as np
import pytest
from matplotlib.text import Text

from jaxlatent.cli.tables import print_table
from jaxlatent.evaluation import Row, TradeoffPoint
from jaxlatent.evaluation.comparison import FLOOR, NULL
from jaxlatent.report import findings
from jaxlatent.report.sections.evaluation import (
    Evaluated,
    comparison_table,
    plot_tradeoff,
    sections,
    tradeoff_table,
)


def _row(title, frechet, precision, recall, **others):
    values = {field.name: 0.5 for field in dataclasses.fields(Row)}
    values |= {"features": "encoder", "seed": 0, "unseen": "test", "model": "0123456789ab"}
    values |= {"title": title, "spec": title, "n": 100, "n_limit": 100, "images": None, "faces": None}
    values |= {"frechet": frechet, "precision": precision, "recall": recall}
    return Row(**values | others)


@pytest.fixture(scope="module")
def rows():
    none = dict.fromkeys(("copy_p", "closer", "duplicates", "fit_seconds", "vectors_per_second"))
    drawn = [_row(f"mixture, {i} clusters", 2 + i / 10, 0.86 + i / 1000, 0.81) for i in range(15)]
    return [
        _row(NULL, 0.9, 0.95, 0.95, **none),
        _row(FLOOR, 1.0, 0.9, 0.92, **none),
        _row("box, b 1.5", 93.0, 0.86, 0.02),
        *drawn,
    ]


@pytest.fixture(scope="module")
def points():
    return [
        TradeoffPoint(f"pairwise, {k} components", "fact", fact, 100, 10 - fact, 1 - fact / 10, fact / 2)
        for k in (50, 105)
        for fact in (0.6, 1.0, 0.8)
    ]


def test_names_do_not_cover_each_other_nor_the_panel(rows, points):
    ax = plot_tradeoff(points, rows)
    ax.figure.draw_without_rendering()
    panel = ax.get_window_extent()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without the line to the point
    assert len(boxes) == len(rows) - 2
    legend = ax.get_legend().get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= ax.figure.bbox.x1
    for i, box in enumerate(boxes):
        assert not panel.overlaps(box)
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
        assert box.x1 <= ax.figure.bbox.x1


def test_plot_has_a_line_for_each_dial_in_the_order_of_its_settings(points):
    ax = plot_tradeoff(points)
    assert len(ax.lines) == 2
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.3, 0.4, 0.5])
    assert ax.lines[1].get_label() == "pairwise, 105 components; fact 0.6 (small) to 1 (large)"


def test_table_shows_the_main_columns_and_keeps_all(rows, tmp_path):
    table = comparison_table(rows)
    assert table.header_on_page[:3] == ["images", "Fréchet distance at n", "in the limit"]
    assert "faces" not in table.header
    page = table.on_page()
    assert page[2][:4] == ["box, b 1.5", "93", "0.5", "0.5"]
    assert page[0][-1] == ""
    assert all(len(line) == len(table.header_on_page) for line in page)
    table.to_csv(tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines[0].split(",")) > len(table.header_on_page) + 8
    assert "nan" not in "".join(lines).lower()
    assert "faces" in comparison_table([dataclasses.replace(rows[0], faces=0.9)]).header_on_page


def test_small_numbers_are_shown_and_kept_in_full(rows, tmp_path, capsys):
    small = [dataclasses.replace(rows[2], frechet=3.4e-4 + 1e-9 * i, fit_seconds=1e-3) for i in range(2)]
    table = comparison_table(small)
    assert table.on_page()[0][1] == "0.00034"
    print_table(table)
    assert capsys.readouterr().out.count("0.00034") == 2
    table.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        kept = [float(line["Fréchet distance at n"]) for line in csv.DictReader(file)]
    assert kept == [row.frechet for row in small]
    points = [TradeoffPoint("gaussian", "temperature", 0.5, 100, 1.2e-5, 0.002, 0.0004)]
    assert tradeoff_table(points).on_page()[0][-3:] == ["1.2e-05", "0.002", "0.0004"]
    assert "its precision goes from 0.002 to" in findings.of_tradeoff(points)


def test_findings_follow_the_numbers(rows, points):
    text = findings.of_comparison(rows)
    assert "Of 16 samplers" in text
    assert "mixture, 0 clusters (Fréchet distance 2, " in text
    assert "no closer to training images" in text
    copying = [*rows, _row("copies", 0.1, 0.9, 0.9, copy_p=1e-9)]
    text = findings.of_comparison(copying)
    assert "closer to training images than unseen ones are (p < 0.001); the nearest whose" in text
    assert text.endswith("not: mixture, 0 clusters (2).")
    text = findings.of_tradeoff(points)
    assert "9, has: pairwise, 50 components at fact 1;" in text
    assert "precision goes from 0.94 to 0.9 and its recall from 0.3 to 0.5" in text
    assert "highest recall, 0.81, has: mixture" in findings.of_extremes(rows)


def test_sections(rows, points):
    grids = {row.title: np.full((20, 70, 3), 7, np.uint8) for row in rows}
    compared, traded = sections(Evaluated(rows, points, grids))
    assert len(compared.pictures) == 4
    assert FLOOR in compared.pictures[0].alt
    assert len(traded.table.rows) == len(points)
    _, alone = sections(Evaluated(rows, [], {}))
    assert alone.table is None
    assert "highest precision" in alone.finding

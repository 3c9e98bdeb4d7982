"""scripts/on_gpu.sh on a CPU with tiny numbers, and what becomes of sections that fail."""

import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl

CHECKOUT = Path(__file__).parents[1]
# What each section has to measure or check, by the beginning of a row; the other two of samplers are alike.
EXPECTED = {
    "tests": ["tests passed"],
    "contract": [
        "Pairwise: vector i depends on (key, i) alone",
        "Box: components equal to the CPU's",
        "Box: latents equal to the CPU's",
    ],
    "inside": ["PairwiseSampler, k = 3: outside", "ExactSampler, empirical, k = 3: outside"],
    "law": ["round_robin, k = 3", "permutation, k = 3"],
    "pairwise": ["plain form, d = 130", "kernel, d = 130", "numbers that differ between the forms, d = 130"],
    "samplers-256": ["d = 6: copy within the memory", "d = 6: jax.random.uniform", "d = 6: Exact, uniform"],
    "literal": ["k = 6: jaxlatent", "k = 6: "],
    "decode": ["decode, 32 px, bfloat16: jaxlatent", "generate, 32 px, bfloat16: jaxlatent"],
    "train": ["training step, 32 px, bfloat16: jaxlatent", "fit_autoencoder, 32 px, bfloat16"],
    "pca": [
        "PCA of 400 x 8: jaxlatent, points on the device",
        "PCA of 400 x 8: jaxlatent, points on the host",
    ],
    "files": ["generate_to, npy, 32 px", "a shard of 16 images of 64 px, SHA-256"],
    "repeatability": ["different results of decode"],
}


@pytest.fixture
def gpu(monkeypatch):
    """gpu(name): a module of benchmarks/gpu."""
    monkeypatch.syspath_prepend(CHECKOUT / "benchmarks")
    return lambda name: importlib.import_module(f"gpu.{name}")


@pytest.fixture
def emitted(monkeypatch, tmp_path):
    """emitted(): the rows that were handed over until now."""
    path = tmp_path / "rows.jsonl"
    monkeypatch.setenv("JAXLATENT_GPU_ROWS", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def section(gpu):
    """section(name, code, **fields): a section that runs some Python."""
    runner = gpu("runner")

    def make(name, code, seconds=60.0, **fields):
        code = f"import os, time\n{code}"
        return runner.Section(name, name.title(), [sys.executable, "-c", code], seconds, **fields)

    return make


def emits(what, **fields):
    """Code that hands over a row."""
    row = {"value": None, "unit": "", "quartiles": None, "passed": None, "compared": {}, "note": ""}
    line = json.dumps({"what": what} | row | fields) + "\n"
    return f"open(os.environ['JAXLATENT_GPU_ROWS'], 'a').write({line!r})\n"


def table(text):
    """The cells of a Markdown table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines[1:]]


@pytest.mark.slow  # starts 20 processes
def test_dry_run(tmp_path, gpu):
    command = [CHECKOUT / "scripts" / "on_gpu.sh", "--small", "--out", tmp_path, "--only", ",".join(EXPECTED)]
    environment = os.environ | {"PYTHON": sys.executable, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gpu.json", "gpu.md"]
    record = json.loads((tmp_path / "gpu.json").read_text())
    sections = {each["name"]: each for each in record["sections"]}
    assert {name: each["status"] for name, each in sections.items()} == dict.fromkeys(EXPECTED, "done")
    assert done.returncode == 0, done.stdout
    assert {"card", "Python", "jax", "jaxlib", "date", "commit"} <= set(record["head"])
    for name, beginnings in EXPECTED.items():
        rows = sections[name]["rows"]
        for beginning in beginnings:
            assert any(row["what"].startswith(beginning) and row["value"] is not None for row in rows) or any(
                row["what"] == beginning and row["passed"] for row in rows
            ), f"{name}: {beginning}"
        for row in rows:
            assert row["passed"] is not False
            assert not row["note"].startswith("failed"), row
            assert row["value"] is not None or row["passed"] or row["note"].startswith("skipped"), row
            if row["unit"].endswith("/s"):
                low, high = row["quartiles"] or (row["value"],) * 2
                assert 0 < low <= row["value"] <= high < math.inf

    text = (tmp_path / "gpu.md").read_text()
    assert record["head"]["jaxlib"] in text.splitlines()[0]
    lines = table(text)
    rows = [(name, row) for name, each in sections.items() for row in [None, *each["rows"]]]
    assert len(lines) == len(rows)
    for (name, row), (where, what, value, between, compared, note) in zip(rows, lines, strict=True):
        if row is None:
            assert where == f"**{name}**"
            continue
        assert (where, what, note) == (name, row["what"], row["note"])
        if row["value"] is not None:
            assert float(value.split()[0].replace(",", "")) == pytest.approx(row["value"], rel=1e-3, abs=0.5)
            assert row["unit"] in value
        assert ("passed" in value.split()) == (row["passed"] is True)
        assert len(between.split(" to ")) == (2 if row["quartiles"] else 1)
        for other, (_, middle, _) in row["compared"].items():
            assert f"{other} is {middle:.3g} times as fast" in compared


def test_sections_that_fail_cost_only_themselves(gpu, section):
    written = []
    fails = f"{emits('first', value=1.0)}print('before', flush=True)\nraise ValueError('the reason')"
    groups = [
        [section("fails", fails, 6.0), section("hangs", f"{emits('half')}time.sleep(600)", 6.0)],
        [section("silent", "pass"), section("works", emits("what", value=2.0, unit="m/s"))],
    ]

    def write(results):
        written.append([result.status for result in results])

    found = {each.name: each for each in gpu("runner").run_sections(groups, write)}
    assert found["fails"].status == "failed: ValueError: the reason"
    assert "before" in found["fails"].log
    assert found["hangs"].status.startswith("cut off after")
    assert found["silent"].status == "failed: it found nothing"
    assert found["works"].status == "done"
    assert [[row["what"] for row in each.rows] for each in found.values()] == [
        ["first"],
        ["half"],
        [],
        ["what"],
    ]
    # None of them is a check.
    assert not any(each.failed for each in found.values())
    assert len(written) == 4
    assert written[0][0] != "waiting" == written[0][-1]


def test_unused_time_goes_to_the_next(gpu, section):
    groups = [[section("quick", emits("a"), 60.0)], [section("slow", f"time.sleep(2)\n{emits('b')}", 0.5)]]
    quick, slow = gpu("runner").run_sections(groups, lambda results: None)
    assert (quick.status, slow.status) == ("done", "done")


@pytest.mark.parametrize(
    ("code", "checks", "status"),
    [
        (emits("holds", passed=True), True, 0),
        (emits("does not", passed=False), False, 1),
        ("raise ValueError", True, 1),
        ("raise ValueError", False, 0),
    ],
)
def test_exit_status(gpu, section, monkeypatch, tmp_path, capsys, code, checks, status):
    main = gpu("__main__")
    monkeypatch.setattr(main, "sections", lambda small: [[section("only", code, checks=checks)]])
    monkeypatch.setattr(sys, "argv", ["on_gpu", "--out", str(tmp_path / "new")])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    assert stopped.value.code == status
    assert ("**FAILED**" in capsys.readouterr().out) == ('"passed": false' in code)
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_the_limits_are_eight_minutes(gpu):
    groups = gpu("__main__").sections(False)
    assert sum(max(each.seconds for each in group) for group in groups) <= 8 * 60
    names = [each.name for group in groups for each in group]
    assert set(EXPECTED) == set(names) - {"samplers-64", "samplers-1024"}
    assert len(set(names)) == len(names)


def test_a_contestant_that_fails_is_left_out(gpu, emitted):
    rows = gpu("rows")

    def fail():
        raise RuntimeError("out of memory\nand more")

    contestants = {"a": rows.Contestant(lambda: None, 8), "b": rows.Contestant(fail, 8)}
    rates = rows.compare(contestants | {"c": rows.Contestant(lambda: None, 4)}, "m/s", 3, title="t: ")
    assert set(rates) == {"a", "c"}
    found = {row["what"]: row for row in emitted()}
    assert found["t: b"]["note"] == "failed: RuntimeError: out of memory"
    assert found["t: c"]["value"] == pytest.approx(np.median(rates["c"]))
    assert set(found["t: c"]["compared"]) == {"a"}
    assert found["t: c"]["compared"]["a"][1] == pytest.approx(np.median(rates["a"] / rates["c"]))


def test_the_contract_check_finds_what_hangs_on_the_number_of_vectors(gpu, key):
    class Wrong:
        def sample(self, key, n, *, start=0):
            return jax.random.uniform(key, (start + n, 3))[start:] + n % 2

        def batches(self, key, n, size):
            return (self.sample(key, min(size, n - i), start=i) for i in range(0, n, size))

    check = gpu("contract").depends_on_key_and_index
    assert "n = 16" in check(Wrong(), key, 16)
    assert not check(jl.BoxSampler.cube(1.0, 3), key, 128)


def test_units_in_the_last_place(gpu):
    a = np.float32([1.0, -1.0, 0.0, -1e-45])
    b = np.nextafter(a, np.float32(2))
    np.testing.assert_array_equal(gpu("device").ulps(a, b), 1)
    assert gpu("device").ulps(np.float32([-0.0]), np.float32([0.0]))[0] == 0


def test_forms_of_the_kernel_that_differ_fail(gpu, emitted, tmp_path):
    y = np.linspace(0, 1, 40, dtype=np.float32).reshape(10, 4)
    other = y.copy()
    other[3, 1] = 2
    for form, each in enumerate((y, other)):
        np.savez(tmp_path / f"{form}-4.npz", y=each, program=str(form))
    np.savez(tmp_path / "0-8.npz", y=y, program="alone")
    gpu("pairwise_kernel").same_bits(tmp_path)
    (row,) = emitted()
    assert row["value"] == 1 / 40
    assert row["passed"] is False


def test_the_peer_has_the_law_of_the_literal_method(gpu):
    """P(the largest above 0.9), which an order or a coin that is not random would change."""
    k, n = 4, 20_000
    np.random.seed(0)  # noqa: NPY002  as CuPy, it takes the global generator
    u = np.abs(gpu("literal_peer").literal(np, n, k))
    assert u.shape == (k, n)
    assert np.sort(np.square(u), axis=0)[-2:].sum(axis=0).max() <= 1 + 1e-6
    stored = json.loads((CHECKOUT / "tests" / "sampling" / "literal.json").read_text())
    expected = stored[str(k)]["means"]["P(largest > 0.9)"][0]
    measured = (u.max(axis=0) > 0.9).mean()
    assert abs(measured - expected) < 5 * math.sqrt(expected * (1 - expected) / n)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_peers_in_pytorch(gpu, dtype):
    torch = pytest.importorskip("torch")
    config = gpu("networks").network(32, dtype, small=True)
    peer = importlib.import_module("torch_peer")
    images = peer.decode(config, tuned=True)(torch.zeros(2, config.latent_dim))
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == torch.uint8
    step = peer.train_step(config, np.zeros((4, 32, 32, 3), np.uint8), 1e-2, tuned=True)
    losses = [float(step()) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_every_sampler_is_measured(gpu):
    constructed = importlib.import_module("constructed")
    makers = constructed.samplers(4, 4) | constructed.further_samplers(4)
    made = {type(make()) for make in makers.values()}
    public = {x for x in vars(jl).values() if isinstance(x, type) and issubclass(x, jl.Sampler)}
    assert made == public - {jl.Sampler}
    assert jnp.isfinite(makers["Path"]().sample(jax.random.key(0), 3)).all()

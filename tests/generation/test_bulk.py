import errno
import json
import os
import signal
import threading
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent.generation import job as job_module
from jaxlatent.generation.bulk import generate_to
from jaxlatent.generation.formats import npy
from jaxlatent.generation.manifest import read_manifest
from jaxlatent.generation.verification import repair, verify

N = 1000
SHARD = 300


@pytest.fixture
def run(sampler, decode, key):
    """`generate_to` of a small job, with what a test wants otherwise."""

    def call(path, **options):
        merged = {"key": key, "outputs": "both", "shard_size": SHARD} | options
        n = merged.pop("n", N)
        return generate_to(path, merged.pop("sampler", sampler), merged.pop("decode", decode), n, **merged)

    return call


def read(path, item="latents"):
    return np.concatenate([np.load(file) for file in sorted(path.glob(f"{item}-*.npy"))])


def content(path):
    """All shards' bytes, by name."""
    return {file.name: file.read_bytes() for file in path.glob("*.npy")}


@pytest.fixture(scope="module")
def undisturbed(sampler, decode, key, tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed")
    generate_to(path, sampler, decode, N, key=key, outputs="both", shard_size=SHARD)
    return content(path)


def test_shards_hold_the_records_in_order(run, tmp_path, expected, key):
    manifest = run(tmp_path / "deep" / "out")
    folder = tmp_path / "deep" / "out"
    z, images = expected(key, N)
    np.testing.assert_array_equal(read(folder), z)
    assert np.abs(read(folder, "images").astype(int) - images).max() <= 1
    assert np.load(folder / "images-00003.npy", mmap_mode="r").shape == (N - 3 * SHARD, 4, 4, 3)
    assert manifest == read_manifest(folder)
    assert manifest.complete
    assert manifest.acceptance == 1
    assert verify(folder) == []


@pytest.mark.parametrize("outputs", ["images", "latents"])
def test_one_of_both(run, tmp_path, undisturbed, outputs):
    run(tmp_path, outputs=outputs)
    other = {"images": "latents", "latents": "images"}[outputs]
    assert content(tmp_path) == {k: v for k, v in undisturbed.items() if not k.startswith(other)}


def test_vectors_need_no_decoder(run, tmp_path, expected, key):
    manifest = run(tmp_path, outputs="latents", decode=None, n=10)
    np.testing.assert_array_equal(read(tmp_path), expected(key, 10)[0])
    assert manifest.asked["decoder"] is None


def test_the_manifest_says_what_was_asked(run, tmp_path, sampler):
    run(tmp_path, origin={"run": "somewhere"}, decoder_id="mine")
    kept = json.loads((tmp_path / "manifest.json").read_text())
    assert kept["asked"]["key"] == {"impl": "threefry2x32", "data": [0, 0]}
    assert kept["asked"]["sampler"]["name"].endswith("PairwiseSampler")
    assert len(kept["asked"]["sampler"]["sha256"]) == 64
    assert (
        kept["asked"]["decoder"]
        == {
            "name": "tests.generation.conftest.decode",
            "sha256": None,
            "id": "mine",
        }
        or kept["asked"]["decoder"]["id"] == "mine"
    )
    assert kept["versions"]["jax"] == jax.__version__
    assert kept["origin"] == {"run": "somewhere"}
    assert [shard["count"] for shard in kept["shards"]] == [300, 300, 300, 100]


def test_the_log_is_lines_of_json(run, tmp_path):
    run(tmp_path)
    lines = (tmp_path / "log" / "process-00000.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [e["event"] for e in events] == ["start", *["shard"] * 4, "complete"]
    assert events[1]["per_second"] > 0
    assert all(e["time"].endswith("Z") for e in events)


class InterruptionError(Exception):
    pass


@pytest.fixture
def fails_at(monkeypatch):
    """Lets the writing of a shard fail."""

    def arrange(number, error=InterruptionError):
        whole = npy.NpyFormat.write

        def write(self, shard, arrays):
            if shard.number == number:
                raise error
            return whole(self, shard, arrays)

        monkeypatch.setattr(npy.NpyFormat, "write", write)
        return lambda: monkeypatch.setattr(npy.NpyFormat, "write", whole)

    return arrange


@pytest.mark.parametrize("number", range(4))
def test_an_interrupted_job_goes_on(run, tmp_path, undisturbed, fails_at, number):
    mend = fails_at(number)
    with pytest.raises(InterruptionError):
        run(tmp_path)
    assert any(problem.name == "shards" for problem in verify(tmp_path))
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.npy")}
    mend()
    run(tmp_path, batch_size=128)
    assert content(tmp_path) == undisturbed
    done = json.loads((tmp_path / "manifest.json").read_text())["shards"]
    assert len(done) == 4
    assert all(file.stat().st_mtime_ns == at for file, at in before.items())
    assert not [file for file in tmp_path.iterdir() if "tmp" in file.name]


def test_a_finished_job_is_left_alone(run, tmp_path, monkeypatch):
    run(tmp_path)
    monkeypatch.setattr(job_module.Job, "_write", lambda *_: pytest.fail("wrote again"))
    assert run(tmp_path).complete


def test_a_line_that_was_torn_in_the_log(run, tmp_path, undisturbed, fails_at):
    mend = fails_at(2)
    with pytest.raises(InterruptionError):
        run(tmp_path)
    mend()
    with (tmp_path / "log" / "process-00000.jsonl").open("a") as file:
        file.write('{"event": "shard", "number": 3, "st')
    run(tmp_path)
    assert content(tmp_path) == undisturbed


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n": 999}, "number of records was 1000, now it is 999"),
        ({"key": jax.random.key(1)}, "key was"),
        ({"outputs": "images"}, "content was"),
        ({"shard_size": 200}, "shard size was 300, now it is 200"),
        ({"format": "png"}, "format was npy, now it is png"),
        ({"decoder_id": "other"}, "decoder was"),
        ({"filter": lambda z: z[:, 0] > 0}, "filter was None"),
        ({"sampler": jl.BoxSampler.cube(1.0, 5)}, "sampler was"),
    ],
)
def test_other_records_are_refused(run, tmp_path, undisturbed, options, name):
    run(tmp_path)
    with pytest.raises(ValueError, match=name):
        run(tmp_path, **options)
    assert content(tmp_path) == undisturbed


def test_the_same_class_with_other_numbers_is_another_sampler(run, tmp_path, sampler):
    run(tmp_path)
    order = jl.PairwiseSampler(sampler.pca, sampler.body, "permutation")
    wider = jl.PairwiseSampler(sampler.pca, jl.EllipseBody(sampler.body.semi_axes * 1.001))
    for other in (order, wider):
        with pytest.raises(ValueError, match="sampler was"):
            run(tmp_path, sampler=other)


def test_force_sets_the_old_folder_aside(run, tmp_path, undisturbed, caplog):
    folder = tmp_path / "out"
    run(folder)
    run(folder, force=True)
    assert sorted(tmp_path.iterdir()) == [folder]
    run(folder, n=10, force=True)
    (aside,) = set(tmp_path.iterdir()) - {folder}
    assert content(aside) == undisturbed
    assert read(folder).shape == (10, 5)
    assert str(aside) in caplog.text


def test_folders_of_other_things_are_refused(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(ValueError, match=r"holds other things \(thesis\.tex\)"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["thesis.tex"]


def test_a_file_in_place_of_the_folder(run, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OSError, match="out"):
        run(tmp_path / "out")


def test_two_writers_at_once(run, tmp_path, sampler, key):
    refused = []

    def decode(z):
        z = np.array(z)
        if not refused:
            with pytest.raises(ValueError, match="another process is writing to it") as caught:
                generate_to(tmp_path, sampler, None, N, key=key, outputs="latents")
            refused.append(caught.value)
        return np.zeros((len(z), 4, 4, 3), np.float32)

    with job_module.lock(tmp_path), pytest.raises(ValueError, match="another process is writing"):
        run(tmp_path)
    run(tmp_path, outputs="images", decode=lambda z: decode(z) if (tmp_path / "log").exists() else still(z))
    assert refused


def still(z):
    return np.zeros((len(np.array(z)), 4, 4, 3), np.float32)


def test_a_full_disk(run, tmp_path, undisturbed, fails_at):
    mend = fails_at(2, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left on device; what is finished is kept: free some space"):
        run(tmp_path)
    mend()
    run(tmp_path)
    assert content(tmp_path) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_shards_be_finished(run, tmp_path, undisturbed, monkeypatch, number):
    whole = npy.NpyFormat.write

    def write(self, shard, arrays):
        if shard.number == 0:
            signal.raise_signal(number) if threading.current_thread() is threading.main_thread() else os.kill(
                os.getpid(), number
            )
        return whole(self, shard, arrays)

    monkeypatch.setattr(npy.NpyFormat, "write", write)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        run(tmp_path, n=100 * SHARD, batch_size=128)
    monkeypatch.undo()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    events = (tmp_path / "log" / "process-00000.jsonl").read_text()
    assert '"stopped"' in events
    done = content(tmp_path)
    assert 0 < len(done) < 200
    assert all(done[name] == undisturbed[name] for name in ("images-00000.npy", "latents-00000.npy"))
    assert not [p for p in verify(tmp_path) if p.name != "shards"]


class TestVerify:
    def test_damage_is_named_and_repaired(self, run, tmp_path, undisturbed, sampler, decode):
        run(tmp_path)
        (tmp_path / "images-00000.npy").unlink()
        truncated = tmp_path / "latents-00001.npy"
        truncated.write_bytes(truncated.read_bytes()[:-1])
        flipped = bytearray((tmp_path / "images-00003.npy").read_bytes())
        flipped[-7] ^= 1
        (tmp_path / "images-00003.npy").write_bytes(flipped)
        problems = verify(tmp_path)
        assert [(p.name, p.shard) for p in problems] == [
            ("images-00000.npy", 0),
            ("latents-00001.npy", 1),
            ("images-00003.npy", 3),
        ]
        reasons = [p.reason for p in problems]
        assert reasons[0] == "missing"
        assert "bytes instead of" in reasons[1]
        assert "SHA-256" in reasons[2]
        untouched = (tmp_path / "images-00002.npy").stat().st_mtime_ns
        assert repair(tmp_path, sampler, decode) == problems
        assert content(tmp_path) == undisturbed
        assert (tmp_path / "images-00002.npy").stat().st_mtime_ns == untouched
        assert verify(tmp_path) == []
        assert repair(tmp_path, sampler, decode) == []

    def test_an_unfinished_job_is_repaired_to_its_end(
        self, run, tmp_path, undisturbed, fails_at, sampler, decode
    ):
        mend = fails_at(1)
        with pytest.raises(InterruptionError):
            run(tmp_path)
        mend()
        assert "not written yet" in verify(tmp_path)[0].reason
        repair(tmp_path, sampler, decode)
        assert content(tmp_path) == undisturbed

    def test_the_wrong_model(self, run, tmp_path, sampler):
        weights = jnp.ones((5, 48), jnp.float32)

        def decoder(weights):
            return jax.tree_util.Partial(lambda w, z: jax.nn.sigmoid(z @ w).reshape(-1, 4, 4, 3), weights)

        run(tmp_path, decode=decoder(weights))
        with pytest.raises(ValueError, match="its decoder was"):
            repair(tmp_path, sampler, decoder(weights * 2))

    def test_folders_without_records(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"holds no generated records \(no manifest\.json\)"):
            verify(tmp_path)

    @pytest.mark.parametrize(
        "text", ["", "{}", "[]", '{"format": "other 1"}', '{"format": "jaxlatent records 9"}']
    )
    def test_a_damaged_manifest(self, tmp_path, text, run):
        (tmp_path / "manifest.json").write_text(text)
        for call in (verify, run):
            with pytest.raises(ValueError, match=r"manifest\.json: not a manifest"):
                call(tmp_path)


class TestFilter:
    def test_acceptance_is_reported(self, run, tmp_path, expected, key):
        manifest = run(tmp_path, filter=lambda z: z[:, 0] > 0)
        z = read(tmp_path)
        assert (z[:, 0] > 0).all()
        assert len(z) == N
        first = expected(key, N)[0]
        kept = first[:, 0] > 0
        np.testing.assert_array_equal(z[kept], first[kept])
        assert manifest.acceptance == pytest.approx(kept.mean(), abs=5 * np.sqrt(0.25 / N))

    def test_methods_of_pytrees_are_identified(self, run, tmp_path, sampler):
        body = jl.EllipseBody(sampler.body.semi_axes)

        def accept(pca, body, z):
            return body.contains(pca.transform(z))

        run(tmp_path, filter=partial(accept, sampler.pca, body))
        with pytest.raises(ValueError, match="filter was"):
            run(tmp_path, filter=partial(accept, sampler.pca, jl.EllipseBody(body.semi_axes * 2)))


def test_one_device_of_a_mesh(run, tmp_path, undisturbed):
    run(tmp_path, mesh=jax.sharding.Mesh(np.array(jax.devices()[:1]), ("x",)))
    assert content(tmp_path) == undisturbed


@pytest.mark.usefixtures("as_without_type_checks")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, "n: expected at least 1, got 0"),
        ({"n": 2**32 + 1}, ValueError, r"n: expected at most 2\^32"),
        ({"outputs": "sounds"}, ValueError, "outputs: expected one of images, latents, both, got 'sounds'"),
        ({"format": "gif"}, ValueError, "format: expected one of npy, webdataset"),
        ({"batch_size": 0}, ValueError, "batch_size: expected at least 1"),
        ({"shard_size": 0}, ValueError, "shard_size: expected at least 1"),
        ({"key": jax.random.PRNGKey(0)}, TypeError, r"jax\.random\.key"),
        ({"decode": None}, ValueError, "decode: needed for images"),
        ({"decode": 3}, TypeError, "decode: expected an Autoencoder or a function"),
    ],
)
def test_errors(run, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        run(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()

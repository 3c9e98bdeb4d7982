import dataclasses
import io
import json
import math
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any, Literal

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from jaxtyping import Array, Float, Shaped

import jaxlatent as jl
from jaxlatent import storage
from jaxlatent._pytree import CLASSES, pytree, static_field


@pytest.fixture
def pca():
    z = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    return jl.PCA.fit(z, n_components=3)


@pytest.fixture
def sampler(pca):
    return jl.PairwiseSampler(pca, jl.EllipseBody(jnp.arange(1.0, 4.0)), order="permutation")


@pytest.fixture
def saved(sampler, tmp_path):
    """The bytes of a file that is whole."""
    jl.save(tmp_path / "whole.npz", sampler)
    return (tmp_path / "whole.npz").read_bytes()


@pytest.fixture
def anything():
    """A class whose fields take whatever `save` does; known while the test runs."""

    @pytree
    class Anything:
        array: Shaped[Array, "..."] | None = None
        inner: Any = None
        fixed: Any = static_field(default=None)

    yield Anything
    del CLASSES["Anything"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.npz"


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert type(x) is type(y)
        if isinstance(x, jax.Array):
            assert (x.dtype, x.shape) == (y.dtype, y.shape)
            assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
        else:
            assert x == y or math.isnan(x)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def read_members(content):
    """The structure of a saved file and the bytes of its arrays, to be changed and written by `forge`."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    return json.loads(str(np.load(io.BytesIO(members.pop("structure"))))), members


def forge(path, structure, members, compression=zipfile.ZIP_STORED):
    text = structure if isinstance(structure, str) else json.dumps(structure)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in {"structure": npy(np.array(text)), **members}.items():
            archive.writestr(f"{name}.npy", content)


def refusal(path, peak=3_000_000):
    """The message with which `load` refuses a file, which takes one line and not much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"^{path}: ") as caught:
            jl.load(path)
        assert tracemalloc.get_traced_memory()[1] < peak
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < len(str(path)) + 320
    return message


def test_bit_for_bit_and_without_pickle(sampler, path):
    jl.save(path, sampler)
    again = jl.load(str(path))
    assert again.order == "permutation"
    assert_same(again, sampler)
    with np.load(path, allow_pickle=False) as file:
        assert {"structure", "pca.mean", "body.semi_axes"} <= set(file.files)
        np.testing.assert_array_equal(file["pca.mean"], sampler.pca.mean)
    content = path.read_bytes()
    jl.save(path, again)
    assert path.read_bytes() == content


@st.composite
def parts_of_samplers(draw):
    k = draw(st.integers(2, 6))
    d = draw(st.integers(k, 8))
    number = st.floats(width=32, allow_subnormal=False)
    positive = st.floats(2**-100, 2**100, width=32)
    frame = [draw(st_numpy.arrays(np.float32, shape, elements=number)) for shape in (d, (k, d), k, k)]
    axes = draw(st_numpy.arrays(np.float32, k, elements=positive))
    return frame, axes, draw(st.sampled_from(["round_robin", "permutation"]))


@hypothesis.settings(derandomize=True, deadline=None, max_examples=60)
@hypothesis.given(parts=parts_of_samplers())
def test_any_sampler_comes_back(parts, tmp_path_factory):
    frame, axes, order = parts
    sampler = jl.PairwiseSampler(jl.PCA(*map(jnp.asarray, frame)), jl.EllipseBody(jnp.asarray(axes)), order)
    path = tmp_path_factory.getbasetemp() / "any.npz"
    jl.save(path, sampler)
    assert_same(jl.load(path), sampler)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint32, np.int8, np.float16, np.float32, np.complex64])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 1)])
def test_arrays_of_any_number_type(anything, path, dtype, shape):
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    jl.save(path, anything(jnp.asarray(array), (jnp.asarray(array.T), None)))
    assert_same(jl.load(path), anything(jnp.asarray(array), (jnp.asarray(array.T), None)))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**70),
        0.1,
        -0.0,
        math.inf,
        math.nan,
        "",
        'ä "\n\x00',
        (),
        (1, (2.5, None), "x", (False,)),
    ],
)
def test_plain_values_and_tuples(anything, path, value):
    for obj in (anything(None, value), anything(fixed=value)):
        jl.save(path, obj)
        again = jl.load(path)
        for field in ("inner", "fixed"):
            assert repr(getattr(again, field)) == repr(getattr(obj, field))
            assert type(getattr(again, field)) is type(getattr(obj, field))


def test_objects_in_objects(anything, sampler, path):
    obj = anything(jnp.ones(2), (anything(jnp.zeros(3), sampler), sampler.pca), fixed=("a", (1, None)))
    jl.save(path, obj)
    assert_same(jl.load(path), obj)
    for number in (np.float64(0.1), np.float32(0.1), np.int64(3), np.bool_(True)):
        jl.save(path, anything(inner=number))
        assert jl.load(path).inner == number.item()


def test_float64_is_not_rounded_silently(anything, path):
    with jax.enable_x64(True):
        obj = anything(jnp.asarray(np.array([np.pi])))
        jl.save(path, obj)
        assert_same(jl.load(path), obj)
    assert "array is float64; load it under jax.enable_x64(True)" in refusal(path)


@pytest.mark.usefixtures("as_without_type_checks")
def test_what_cannot_be_saved(anything, pca, path):
    class Other:
        pass

    for bad in ({"a": 1}, [1], Other(), b"x", 1j, np.longdouble(1), jnp.ones, Literal["a"]):
        name = type(bad).__name__
        with pytest.raises(TypeError, match=rf"^obj: cannot save {name}; expected one of .*EllipseBody"):
            jl.save(path, bad)
        with pytest.raises(TypeError, match=rf"^inner\.1\.fixed: cannot save {name}; "):
            jl.save(path, anything(inner=(1, anything(fixed=bad))))
    for array in (jnp.ones(2, jnp.bfloat16), jax.random.key(0), np.array(["a"]), np.ones(2, ">f4")):
        with pytest.raises(TypeError, match=r"^array: cannot save an array of .*; use float32"):
            jl.save(path, anything(array))
    impostor = dataclasses.make_dataclass("PCA", ["mean"])(1)
    with pytest.raises(TypeError, match="obj: cannot save PCA"):
        jl.save(path, impostor)
    assert not path.exists()


def test_replaces_a_file_and_leaves_no_other(pca, tmp_path):
    path = tmp_path / "new" / "pca.npz"
    jl.save(path, pca.keep(1))
    jl.save(path, pca)
    assert jl.load(path).n_components == 3
    assert [p.name for p in path.parent.iterdir()] == ["pca.npz"]


def test_an_interrupted_write_keeps_the_old_file(pca, tmp_path, monkeypatch):
    path = tmp_path / "pca.npz"
    jl.save(path, pca)

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="disk full"):
        jl.save(path, pca.keep(1))
    monkeypatch.undo()
    assert jl.load(path).n_components == 3
    assert [p.name for p in tmp_path.iterdir()] == ["pca.npz"]


def assert_refused_or_same(path, content, sampler):
    path.write_bytes(content)
    try:
        found = jl.load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: this version of jaxlatent cannot load it (")  # noqa: PT017
        assert str(error).isprintable()  # noqa: PT017
        return False
    assert_same(found, sampler)
    return True


def test_truncated_files(saved, sampler, path):
    lengths = {*range(0, len(saved), 23), *range(40), *range(len(saved) - 60, len(saved))}
    assert not any(assert_refused_or_same(path, saved[:length], sampler) for length in lengths)
    assert assert_refused_or_same(path, saved, sampler)


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bits_and_overwritten_bytes(saved, sampler, path, seed):
    """The checksums of the archive find what is in the arrays; what they do not cover does not matter."""
    rng = np.random.default_rng(seed)
    # Half of the places in the last tenth, where the archive's own tables are.
    places = np.concatenate(
        [rng.integers(0, len(saved), 80), rng.integers(len(saved) * 9 // 10, len(saved), 80)]
    )
    same = 0
    for i, place in enumerate(places):
        damaged = bytearray(saved)
        if i % 2:
            damaged[place] ^= 1 << rng.integers(8)
        else:
            run = rng.bytes(rng.integers(1, 9))
            damaged[place : place + len(run)] = run
        same += assert_refused_or_same(path, bytes(damaged), sampler)
    assert same < len(places) / 2


def test_files_of_another_kind(path, saved):
    rng = np.random.default_rng(0)
    for content in (b"", b"\x00", b"no archive", rng.bytes(3000), b"PK\x05\x06" + bytes(18), npy(np.ones(3))):
        path.write_bytes(content)
        assert "cannot load it (" in refusal(path)
    np.savez(path, a=np.zeros(3))
    assert "it has no structure, so jaxlatent.save did not write it" in refusal(path)
    np.savez_compressed(path, structure=np.array("{}"))
    assert "structure is compressed" in refusal(path)
    structure, members = read_members(saved)
    forge(path, structure, {**members, "pca.mean": b""})
    refusal(path)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ({"format": 99, "object": {}}, "format 99, this version reads 1; update jaxlatent"),
        ({"format": 99, "object": 7, "more": []}, "update jaxlatent"),
        ({"format": 0, "object": {"value": 1}}, "unknown format 0"),
        ({"format": True, "object": {"value": 1}}, "unknown format True"),
        ({"format": "1", "object": {"value": 1}}, "unknown format '1'"),
        ({"object": {"value": 1}}, "KeyError: 'format'"),
        ({"format": 1}, "KeyError: 'object'"),
        ([1], "TypeError"),
        ("{", "JSONDecodeError"),
        ("[" * 100_000, "RecursionError"),
        ('{"format": 1' + "0" * 5000 + "}", "Exceeds the limit"),
        (
            {"format": 1, "object": {"class": "Popen", "fields": {}}},
            "unknown class 'Popen'; update jaxlatent",
        ),
        ({"format": 1, "object": {"class": "PCA", "fields": {}}}, "PCA.* is missing"),
        ({"format": 1, "object": {"class": "PCA"}}, "unknown entry"),
        ({"format": 1, "object": {"value": [1]}}, "unknown entry"),
        ({"format": 1, "object": {"array": "absent"}}, "the array absent is missing"),
        ({"format": 1, "object": 5}, "unknown entry 5"),
    ],
)
def test_forged_structures(path, structure, message):
    forge(path, structure, {})
    found = refusal(path, peak=20_000_000)
    assert all(part in found for part in message.split(".*"))


def changed(structure, at, value):
    """The structure with the field `at`, "pca.mean" say, replaced, or removed where `value` is None."""
    *parents, last = at.split(".")
    fields = structure["object"]["fields"]
    for parent in parents:
        fields = fields[parent]["fields"]
    fields.pop(last, None)
    if value is not None:
        fields[last] = value
    return structure


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        ("pca.mean", None, "PCA.mean is missing"),
        ("body", None, "PairwiseSampler.body is missing"),
        ("pca.colour", {"value": 1}, "PCA has no field colour; update jaxlatent if"),
        ("body", {"value": 3}, "PairwiseSampler.body does not fit its type or the other fields: 3"),
        ("pca.mean", {"value": None}, "PCA.mean does not fit"),
        ("pca.mean", {"tuple": []}, "PCA.mean does not fit"),
        ("order", {"value": "sorted"}, "order: expected one of round_robin, permutation, got 'sorted'"),
        ("order", {"value": True}, "PairwiseSampler.order does not fit"),
        ("pca.mean", {"array": "pca.components"}, "the array pca.components is missing"),
        ("order", {"array": "pca.mean"}, "is missing"),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_forged_fields(saved, path, at, value, message):
    structure, members = read_members(saved)
    forge(path, changed(structure, at, value), members)
    assert message in refusal(path)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("pca.mean", np.zeros(5, np.float32), "PCA.mean_rest does not fit its type or the other fields"),
        ("pca.mean", np.zeros((4, 1), np.float32), "PCA.mean_rest does not fit its type"),
        ("pca.components", np.zeros((2, 4), np.float32), "does not fit"),
        ("pca.mean", np.zeros(4, np.int32), "PCA.mean does not fit its type or the other fields: int32 (4,)"),
        ("pca.mean", np.zeros(4, ">f4"), "pca.mean is an array of >f4"),
        ("pca.mean", np.array(["a"] * 4), "pca.mean is an array of <U1"),
        ("pca.mean", np.zeros(4, "f4,f4"), "pca.mean is an array of"),
        ("body.semi_axes", np.array([1, -1, 1], np.float32), "semi_axes: expected positive"),
        ("body.semi_axes", np.ones(2, np.float32), "body: expected 3 components, got 2"),
        ("more", np.ones(2, np.float32), "no field holds its array more"),
    ],
)
@pytest.mark.usefixtures("as_without_type_checks")
def test_forged_arrays(saved, path, name, array, message):
    structure, members = read_members(saved)
    forge(path, structure, {**members, name: npy(array)})
    assert message in refusal(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<U100000000', 'fortran_order': False, 'shape': ()}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4L,)}",
        "{'descr': '<f4', 'shape': (4,)}",
        "{'descr': 'what', 'fortran_order': False, 'shape': (4,)}",
        "(" * 9000,
        "-" * 9000 + "1",
        "__import__('os').abort()",
        "{" + "'a': 1, " * 1200 + "}",
        "\xff",
    ],
)
def test_forged_headers(saved, path, header):
    """Each before 16 bytes, that is (4,) of float32."""
    structure, members = read_members(saved)
    text = header.encode("latin1") + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(16)
    for name in ("pca.mean", "structure"):
        forge(path, structure, {**members, name: content})
        refusal(path, peak=20_000_000)


def test_objects_are_never_unpickled(saved, path, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    structure, members = read_members(saved)
    pickled = np.empty(4, object)
    pickled[:] = [Payload()] * 4
    for name in ("pca.mean", "structure"):
        forge(path, structure, {**members, name: npy(pickled)})
        refusal(path)
    assert not (tmp_path / "ran").exists()


def test_members_cannot_expand_or_overlap(saved, path):
    structure, members = read_members(saved)
    huge = npy(np.zeros(5_000_000, np.float32))
    forge(path, structure, {**members, "more": huge}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    assert "is compressed, or larger than the file" in refusal(path)
    # All directory entries claim the bytes of one and the same member.
    forge(path, structure, {**members, "one": npy(np.zeros(100_000, np.float32))})
    with zipfile.ZipFile(path, "a") as archive:
        one = archive.getinfo("one.npy")
        for i in range(200):
            twin = zipfile.ZipInfo(f"twin{i}.npy")
            twin.file_size = twin.compress_size = one.file_size
            twin.header_offset, twin.CRC = one.header_offset, one.CRC
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    assert path.stat().st_size < 500_000
    refusal(path)


def test_fields_gained_since_get_their_defaults(saved, sampler, path):
    structure, members = read_members(saved)
    forge(path, changed(structure, "order", None), members)
    found = jl.load(path)
    assert found.order == "round_robin"
    assert_same(found.pca, sampler.pca)


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, 1, 1.5),
        (float, 1, "1"),
        (tuple[int, ...], (1, 2), [1, 2]),
        (Float[Array, " k"] | None, None, "a"),
        (Float[Array | np.ndarray, " k"] | None, jnp.ones(3), jnp.ones((3, 1))),
        (Literal["a", "b"], "a", 1),
        (Any, object(), None),
    ],
)
def test_annotations(hint, good, bad):
    assert isinstance(good, storage._types(hint))
    assert hint is Any or not isinstance(bad, storage._types(hint))


def test_errors_of_the_file_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        jl.load(tmp_path / "absent.npz")
    with pytest.raises(IsADirectoryError):
        jl.load(tmp_path)


def test_file_of_0_1_of_a_chain_that_moves_otherwise_now(key):
    sampler = jl.load(Path(__file__).with_name("files-0.1") / "tilted-normal.npz")
    assert sampler.density == "normal"
    assert sampler.body.contains(sampler.sample(key, 20)).all()


@pytest.mark.parametrize("name", ["exact-normal", "ellipsoid-normal"])
def test_files_of_0_1(name, key):
    """Of jaxlatent 0.1, with what is now derived from the other fields, beside vectors that it drew."""
    folder = Path(__file__).with_name("files-0.1")
    sampler = jl.load(folder / f"{name}.npz")
    expected = np.load(folder / f"{name}.npy")
    # The same law to the tables' resolution; since then vectors have been kept from the border by rounding.
    np.testing.assert_allclose(sampler.sample(key, 20), expected, rtol=0, atol=2e-3)


def test_that_jax_cannot_start_is_not_blamed_on_the_file(pca, path, monkeypatch):
    jl.save(path, pca)

    def fail():
        raise AssertionError

    monkeypatch.setattr(jax, "devices", fail)
    with pytest.raises(RuntimeError, match=r"^JAX_PLATFORMS: JAX cannot start on "):
        jl.load(path)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlatent as jl
from jaxlatent._pytree import pytree
from jaxlatent.autoencoder.network import make_autoencoder
from jaxlatent.generation import program as program_module, tiles
from jaxlatent.generation.decoder import Decoder
from jaxlatent.generation.formats import Item, Shard
from jaxlatent.generation.program import Program
from jaxlatent.generation.tiles import decode_tile, draw
from jaxlatent.sampling.words import uniforms

LATENTS = {"latents": Item((5,), np.dtype(np.float32))}
IMAGES = {"images": Item((4, 4, 3), np.dtype(np.uint8))}


def collect(program, *shards):
    """The records of shards, each put together."""
    parts = {}
    for shard, first, arrays in program.stream(shards):
        parts.setdefault(shard.number, []).append(arrays)
        assert first == shard.start + sum(len(a["tries"]) for a in parts[shard.number][:-1])
    names = program._items
    return [{name: np.concatenate([a[name] for a in p]) for name in names} for p in parts.values()]


@pytest.mark.parametrize("batch_size", [1, 300, 1000, None])
def test_records_do_not_depend_on_the_batch(sampler, decode, expected, key, batch_size):
    z, images = expected(key, 700)
    program = Program(sampler, key, Decoder.of(decode, (5,)), IMAGES | LATENTS, batch_size=batch_size)
    first, second = collect(program, Shard(0, 0, 333), Shard(1, 333, 367))
    np.testing.assert_array_equal(np.concatenate([first["latents"], second["latents"]]), z)
    found = np.concatenate([first["images"], second["images"]])
    np.testing.assert_allclose(found.astype(int), images.astype(int), atol=1)
    assert (found != images).mean() < 0.01


def test_images_of_an_autoencoder_are_the_same_bits_in_every_batch(key):
    config = jl.AutoencoderConfig(image_size=32, latent_dim=5, filters=(4, 8, 8, 8))
    model = make_autoencoder(key, config)
    sampler = jl.BoxSampler.cube(2.0, 5)
    items = {"images": Item((32, 32, 3), np.dtype(np.uint8))}

    def images(batch_size, *shards):
        program = Program(sampler, key, Decoder.of(model, (5,)), items, batch_size=batch_size)
        return np.concatenate([part["images"] for part in collect(program, *shards)])

    whole = images(512, Shard(0, 0, 512))
    assert len(np.unique(whole)) > 50
    np.testing.assert_array_equal(images(128, Shard(0, 0, 200), Shard(1, 200, 312)), whole)
    np.testing.assert_array_equal(images(128, Shard(3, 300, 100)), whole[300:400])
    live = np.rint(np.asarray(jl.decode(model, sampler.sample(key, 512))) * 255)
    assert np.abs(live - whole).max() <= 1


def test_one_compilation_whatever_the_number_of_shards(sampler, decode, key):
    traced = []

    def counted(z):
        traced.append(z.shape)
        return decode(z)

    program = Program(sampler, key, Decoder.of(counted, (5,)), IMAGES, batch_size=128)
    collect(program, Shard(0, 0, 100))
    assert traced[-1] == (decode_tile((4, 4, 3), "cpu"), 5)
    before = list(traced)
    collect(program, *(Shard(i, 100 * i, 100) for i in range(5)))
    assert traced == before


def test_the_last_index_is_reached(sampler, key):
    program = Program(sampler, key, None, LATENTS, batch_size=256)
    (found,) = collect(program, Shard(0, 2**32 - 100, 100))
    np.testing.assert_array_equal(found["latents"], sampler.sample(key, 100, start=2**32 - 100))


def test_functions_that_jax_cannot_trace_run_on_the_host(sampler, decode, expected, key):
    def foreign(z):
        return np.asarray(decode(np.array(z)))  # np.array refuses tracers

    decoder = Decoder.of(foreign, (5,))
    assert decoder.host
    program = Program(sampler, key, decoder, IMAGES, batch_size=128)
    (found,) = collect(program, Shard(0, 0, 200))
    assert np.abs(found["images"].astype(int) - expected(key, 200)[1]).max() <= 1
    (both,) = collect(Program(sampler, key, decoder, IMAGES | LATENTS), Shard(0, 0, 200))
    np.testing.assert_array_equal(both["latents"], expected(key, 200)[0])


def test_8_bit_images_pass_unchanged(sampler, key):
    def decode(z):
        return jnp.broadcast_to(jnp.uint8(7), (z.shape[0], 2, 2, 1))

    items = {"images": Item((2, 2, 1), np.dtype(np.uint8))}
    (found,) = collect(Program(sampler, key, Decoder.of(decode, (5,)), items), Shard(0, 0, 3))
    assert (found["images"] == 7).all()
    assert found["images"].shape == (3, 2, 2, 1)


class TestFilter:
    @staticmethod
    def accept(z):
        return z[:, 0] > 0.3

    def test_the_first_accepted_draw_counts(self, sampler, key):
        begins = jnp.zeros(1, jnp.uint32)
        z, tries = jax.jit(lambda begins: draw(sampler, self.accept, key, begins, 128))(begins)
        z, tries = np.asarray(z), np.asarray(tries)
        assert (z[:, 0] > 0.3).all()
        draws = [np.asarray(sampler.sample(key, 128))]
        draws += [
            np.asarray(sampler.sample(jax.random.fold_in(key, turn), 128)) for turn in range(1, tries.max())
        ]
        for i in range(128):
            refused = [d[i] for d in draws[: tries[i] - 1]]
            assert all(row[0] <= 0.3 for row in refused)
            np.testing.assert_array_equal(z[i], draws[tries[i] - 1][i])

    def test_the_index_contract_holds(self, sampler, key):
        def vectors(batch_size, *shards):
            program = Program(sampler, key, None, LATENTS, accept=self.accept, batch_size=batch_size)
            return np.concatenate([part["latents"] for part in collect(program, *shards)])

        whole = vectors(512, Shard(0, 0, 512))
        np.testing.assert_array_equal(vectors(128, Shard(0, 0, 77), Shard(1, 77, 435)), whole)

    @pytest.mark.parametrize("share", [0.5, 0.02])
    def test_no_more_is_drawn_than_was_refused(self, key, share):
        """Not whole tiles until the last vector has passed."""
        drawn = []

        @pytree
        class Counting(jl.Sampler):
            width: float = 1.0

            def _draw(self, seed, index):
                jax.debug.callback(lambda size: drawn.append(int(size)), index.shape[0])
                return self.width * uniforms(seed, index, 0, 5).T

        n = 4096
        program = Program(Counting(), key, None, LATENTS, accept=lambda z: z[:, 0] < share, batch_size=n)
        (found,) = collect(program, Shard(0, 0, n))
        jax.effects_barrier()
        assert (found["latents"][:, 0] < share).all()
        # By five standard errors of a geometric law, and what remains of the last tiles.
        expected = n / share
        assert sum(drawn) < expected + 5 * np.sqrt(n * (1 - share)) / share + 128 * np.log(128) / share

    def test_a_filter_that_nothing_passes(self, sampler, key, monkeypatch):
        monkeypatch.setattr(tiles, "MAX_TRIES", 20)
        monkeypatch.setattr(program_module, "MAX_TRIES", 20)
        program = Program(sampler, key, None, LATENTS, accept=lambda z: z[:, 0] > 1e9)
        with pytest.raises(ValueError, match="filter: refused vector 0 20 times in a row"):
            collect(program, Shard(0, 0, 3))


class TestMemory:
    def test_batches_halve_until_they_fit(self, sampler, key, expected, monkeypatch, caplog):
        whole = Program._batch
        tried = []

        def limited(self, begin, stop):
            tried.append(self.batch_size)
            if self.batch_size > 256:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 12 bytes")
            return whole(self, begin, stop)

        monkeypatch.setattr(Program, "_batch", limited)
        program = Program(sampler, key, None, LATENTS, batch_size=1024)
        first, second = collect(program, Shard(0, 0, 900), Shard(1, 900, 700))
        found = np.concatenate([first["latents"], second["latents"]])
        np.testing.assert_array_equal(found, expected(key, 1600)[0])
        assert set(tried) == {1024, 512, 256}
        assert "going on with batches of 256" in caplog.text

    def test_tiles_halve_last(self, sampler, decode, key, expected, caplog):
        def hungry(z):
            if z.shape[0] > 32:
                raise MemoryError("not enough")
            return np.asarray(decode(np.array(z)))

        program = Program(sampler, key, Decoder.of(hungry, (5,)), IMAGES, batch_size=512)
        (found,) = collect(program, Shard(0, 0, 300))
        assert np.abs(found["images"].astype(int) - expected(key, 300)[1]).max() <= 1
        assert "may differ by 1/255" in caplog.text

    @pytest.mark.slow
    def test_not_even_one_record(self, sampler, key):
        def hopeless(z):
            np.array(z)
            if calls:
                raise RuntimeError("CUDA out of memory")
            calls.append(z.shape)
            return np.zeros((2, 4, 4, 3), np.float32)

        calls = []
        program = Program(sampler, key, Decoder.of(hopeless, (5,)), IMAGES, batch_size=256)
        with pytest.raises(MemoryError, match="not even one record at a time fits"):
            collect(program, Shard(0, 0, 3))

    def test_other_errors_pass(self, sampler, key):
        def broken(z):
            np.array(z)
            if z.shape[0] != 2:
                raise RuntimeError("no such layer")
            return np.zeros((2, 4, 4, 3), np.float32)

        with pytest.raises(RuntimeError, match="no such layer"):
            collect(Program(sampler, key, Decoder.of(broken, (5,)), IMAGES), Shard(0, 0, 3))


def test_pixels_that_are_no_numbers(sampler, decode, key):
    def faulty(z):
        return jnp.where(jnp.arange(z.shape[0])[:, None, None, None] == 3, jnp.nan, decode(z))

    with pytest.raises(ValueError, match="decode: image 3 has pixels that are NaN or infinite"):
        collect(Program(sampler, key, Decoder.of(faulty, (5,)), IMAGES), Shard(0, 0, 10))


class TestDecoder:
    def test_of_a_model(self, key):
        config = jl.AutoencoderConfig(image_size=32, latent_dim=5, filters=(4, 4, 4, 4))
        decoder = Decoder.of(make_autoencoder(key, config), (5,))
        assert (decoder.shape, decoder.host) == ((32, 32, 3), False)
        assert sum(leaf.size for leaf in jax.tree.leaves(decoder.params)) > 1000

    @pytest.mark.parametrize(
        ("decode", "error", "message"),
        [
            (7, TypeError, "expected an Autoencoder or a function of latent vectors, got int"),
            (lambda z: z, ValueError, r"expected images \(2, h, w, c\) for 2 vectors, got \(2, 5\)"),
            (lambda z: None, ValueError, "for 2 vectors, got NoneType"),
            (
                lambda z: jnp.zeros((z.shape[0], 4, 4, 3), jnp.int32),
                ValueError,
                r"images in \[0, 1\] or uint8, got int32",
            ),
        ],
    )
    def test_errors(self, decode, error, message):
        with pytest.raises(error, match=message):
            Decoder.of(decode, (5,))

    def test_a_fault_of_the_function_itself_is_shown(self):
        def faulty(z):
            raise ValueError("no weights loaded")

        with pytest.raises(ValueError, match="no weights loaded"):
            Decoder.of(faulty, (5,))


def test_a_decoder_that_uses_its_memory_again(sampler, decode, key, expected):
    room = np.empty((128, 4, 4, 3), np.float32)

    def reusing(z):
        images = room[: z.shape[0]]
        images[:] = decode(np.array(z))
        return images

    (found,) = collect(
        Program(sampler, key, Decoder.of(reusing, (5,)), IMAGES, batch_size=512), Shard(0, 0, 500)
    )
    assert np.abs(found["images"].astype(int) - expected(key, 500)[1]).max() <= 1

"""Run by test_contract.py in a process with two CPU devices: prints the samplers named that pass."""

import importlib.util
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

spec = importlib.util.spec_from_file_location("contract", Path(__file__).with_name("test_contract.py"))
contract = importlib.util.module_from_spec(spec)
spec.loader.exec_module(contract)

first, second = jax.devices()
mesh = jax.make_mesh((2,), ("batch",))
sharded = NamedSharding(mesh, PartitionSpec("batch"))
z = jnp.asarray(np.random.default_rng(0).standard_normal((600, contract.D)), jnp.float32)
key = jax.random.key(1)
for name in sys.argv[1:]:
    sampler = contract.SAMPLERS[name](z)
    # As `sample_sharded` does, whose programs these then are.
    on_first, on_second = (jax.device_put((sampler, key), device) for device in (first, second))
    with jax.default_device(first):
        expected = np.asarray(on_first[0].sample(on_first[1], 256))
    with jax.default_device(second):
        drawn = on_second[0].sample(on_second[1], 256)
        # Many, which threads draw, where the context says.
        if name in contract.FEW:
            assert sampler.sample(jax.random.key(1), 5000).devices() == {second}, name
    assert drawn.devices() == {second}, name
    np.testing.assert_array_equal(drawn, expected, err_msg=name)
    both = jax.jit(lambda s, k: s.sample(k, 256), out_shardings=sharded)(sampler, key)
    assert len(both.devices()) == 2, name
    np.testing.assert_allclose(both, expected, rtol=1e-4, atol=1e-5, err_msg=name)
    # The same bits, whichever device draws a part.
    parts = sampler.sample(key, 256, out_sharding=sharded)
    assert parts.sharding == sharded, name
    np.testing.assert_array_equal(parts, expected, err_msg=name)
    print(name)

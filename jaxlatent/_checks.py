"""Checks of arguments at the public boundary; each error names the argument, what came, and the remedy."""

import jax
import jax.numpy as jnp
import numpy as np


def check_key(key: jax.Array) -> None:
    """Accepts one typed JAX key (`jax.random.key`); legacy uint32 keys and batches of keys are refused.

    Raises:
        TypeError: if `key` is not a typed key array.
        ValueError: if `key` holds more than one key.
    """
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        found = getattr(key, "dtype", type(key).__name__)
        raise TypeError(f"key: expected a typed key from jax.random.key(seed), got {found}")
    if key.shape:
        raise ValueError(f"key: expected a single key, got {key.shape}; take one with key[i]")


def check_count(name: str, n: int, minimum: int = 0) -> None:
    """Accepts an integer of at least `minimum`.

    Raises:
        TypeError: if `n` is not an integer.
        ValueError: if `n` is too small.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {n!r}")
    if n < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {n}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Accepts one of `choices`.

    Raises:
        ValueError: otherwise.
    """
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def check_vectors(name: str, z: jax.Array | np.ndarray, width: int | None = None) -> None:
    """Accepts a real floating-point array (n, d), with d = `width` where that is given.

    Raises:
        TypeError: if the dtype is not floating point.
        ValueError: if the shape does not fit.
    """
    shape, dtype = np.shape(z), getattr(z, "dtype", None)
    if len(shape) != 2 or (width is not None and shape[1] != width):
        wanted = "(n, d)" if width is None else f"(n, {width})"
        raise ValueError(f"{name}: expected an array of shape {wanted}, got {shape}")
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"{name}: expected floating-point numbers, got {dtype or type(z).__name__}")


def check_pair(a: jax.Array | np.ndarray, b: jax.Array | np.ndarray, least: int) -> None:
    """Accepts two sets of vectors, `a` (n, f) and `b` (m, f), floating point, with n and m >= `least`.

    Raises:
        TypeError, ValueError: as `check_vectors`, or if one has fewer.
    """
    check_vectors("a", a)
    check_vectors("b", b, a.shape[1])
    for name, vectors in (("a", a), ("b", b)):
        if vectors.shape[0] < least:
            raise ValueError(f"{name}: expected at least {least} vectors, got {vectors.shape[0]}")

"""The one place that turns what a user gives into what is used: an int, a float, a native array, a key.

Each function returns the converted value, or raises an error of one line that names the argument, what came,
and the remedy. A tracer passes wherever an array of its shape and dtype would.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent._blocks import images_at_once, spread_blocks
from jaxlatent._rows import Rows

# Of images outside [0, 1]: resizing and decoders overshoot a little.
_OVERSHOOT = 0.1


def is_traced(*values: Any) -> bool:
    """Whether a leaf of the values is a tracer, that is, whether its numbers are not known yet."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))


def as_key(key: Any) -> jax.Array:
    """One typed JAX key (`jax.random.key`); legacy uint32 keys and batches of keys are refused.

    Raises:
        TypeError: if `key` is not a typed key array.
        ValueError: if `key` holds more than one key.
    """
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        found = getattr(key, "dtype", type(key).__name__)
        raise TypeError(f"key: expected a typed key from jax.random.key(seed), got {found}")
    if key.shape:
        raise ValueError(f"key: expected a single key, got {key.shape}; take one with key[i]")
    return key


def as_count(name: str, n: Any, minimum: int = 0, maximum: int | None = None) -> int:
    """A Python integer in a range, from one or from an integer of NumPy or JAX.

    Raises:
        TypeError: if `n` is not an integer, or is a truth value.
        ValueError: if `n` is out of range.
    """
    if isinstance(n, (bool, np.bool_)) or getattr(n, "dtype", None) == np.bool_:
        raise TypeError(f"{name}: expected an integer, got {n!r}")
    try:
        count = operator.index(n)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {n!r}") from None
    if count < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {count}")
    if maximum is not None and count > maximum:
        raise ValueError(f"{name}: expected at most {maximum}, got {count}")
    return count


def as_counts(name: str, numbers: Any, minimum: int = 1) -> tuple[int, ...]:
    """A tuple of Python integers, from any sequence of integers.

    Raises:
        TypeError, ValueError: if it is none, or holds something else, see `as_count`.
    """
    return tuple(as_count(name, n, minimum) for n in _items(name, numbers))


def as_batch_size(size: Any, shape: Sequence[int]) -> int:
    """How many images of a shape (h, w, c) are worked on at once: `size`, or where None as many as fit.

    Raises:
        TypeError, ValueError: if it is no integer, or below 1.
    """
    return images_at_once(shape) if size is None else as_count("batch_size", size, 1)


#: Of an image: grey, or RGB.
CHANNELS = (1, 3)


def as_channels(name: str, count: Any) -> int:
    """The number of channels of images.

    Raises:
        TypeError, ValueError: if it is no integer, or none of `CHANNELS`.
    """
    count = as_count(name, count)
    if count not in CHANNELS:
        raise ValueError(f"{name}: expected 1 (grey) or 3 (RGB), got {count}")
    return count


def as_image_size(
    name: str, size: Any, minimum: int = 1, maximum: int | None = None
) -> int | tuple[int, int]:
    """The size of images in pixels: the side of squares, or (height, width) of others.

    Args:
        name: of the argument.
        size: an integer, or two of them.
        minimum: of each side.
        maximum: of each side.

    Raises:
        TypeError, ValueError: if it is neither, or a side is out of range.
    """
    sides = list(size) if np.iterable(size) and not isinstance(size, str) else [size]
    if not 1 <= len(sides) <= 2:
        raise ValueError(f"{name}: expected one side, or height and width, got {size!r}")
    height, width = (as_count(name, side, minimum, maximum) for side in (sides[0], sides[-1]))
    return height if height == width else (height, width)


def _items(name: str, numbers: Any) -> list[Any]:
    if isinstance(numbers, (str, bytes)) or not np.iterable(numbers):
        raise TypeError(f"{name}: expected several numbers, got {numbers!r}")
    return list(numbers)


def convert_fields(record: Any, convert: Callable[..., Any], *names: str, **limits: Any) -> None:
    """Puts what a function of this module makes of some fields of a frozen dataclass in their place."""
    for name in names:
        object.__setattr__(record, name, convert(name, getattr(record, name), **limits))


def as_number(name: str, x: Any) -> float:
    """A Python float from a real number of any library; NaN and infinities pass.

    Raises:
        TypeError: if `x` is not one number, or is a truth value.
    """
    kind = getattr(getattr(x, "dtype", None), "kind", "f")
    if isinstance(x, (bool, str, bytes, complex)) or kind in "bcmMSU" or np.ndim(x):
        raise TypeError(f"{name}: expected a number, got {x!r}")
    try:
        return float(x)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name}: expected a number, got {x!r}") from None


def as_positive(name: str, x: Any) -> float:
    """A positive, finite Python float.

    Raises:
        TypeError, ValueError: if `x` is not one number, or not a positive, finite one.
    """
    number = as_number(name, x)
    if not 0 < number < math.inf:
        raise ValueError(f"{name}: expected a positive, finite number, got {x}")
    return number


def as_numbers(name: str, numbers: Any) -> tuple[float, ...]:
    """A tuple of positive, finite Python floats, from any sequence of numbers.

    Raises:
        TypeError, ValueError: if it is none, or holds something else.
    """
    return tuple(as_positive(name, x) for x in _items(name, numbers))


def as_nonnegative(name: str, x: Any) -> float:
    """A Python float of at least 0, finite.

    Raises:
        TypeError, ValueError: if `x` is not one number, or not such a one.
    """
    number = as_number(name, x)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name}: expected a finite number of at least 0, got {x}")
    return number


def as_share(name: str, x: Any) -> float:
    """A Python float in (0, 1].

    Raises:
        TypeError, ValueError: if `x` is not one number, or not in that range.
    """
    number = as_number(name, x)
    if not 0 < number <= 1:
        raise ValueError(f"{name}: expected a share in (0, 1], got {x}")
    return number


def as_positive_leaf(name: str, x: Any) -> float | jax.Array:
    """A field of a sampler that holds one positive number: a Python float, or a JAX scalar as it is.

    Numbers of JAX stay on their device, and may be traced.

    Raises:
        TypeError, ValueError: if `x` is not one number, or is known and not a positive, finite one.
    """
    if not isinstance(x, jax.Array):
        return as_positive(name, x)
    if x.shape or not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name}: expected a number, got {x.dtype} of shape {x.shape}")
    if not is_traced(x):
        as_positive(name, x)
    return x


def as_flag(name: str, x: Any) -> bool:
    """A Python bool, from one or from a truth value of another library.

    Raises:
        TypeError: otherwise, for 0 and 1 too.
    """
    if not isinstance(x, (bool, np.bool_)) and (getattr(x, "dtype", None) != np.bool_ or np.ndim(x)):
        raise TypeError(f"{name}: expected True or False, got {x!r}")
    return bool(x)


def as_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of `choices`.

    Raises:
        ValueError: otherwise.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
    return str(value)


def detached(x: Any) -> Any:
    """A tensor of PyTorch as NumPy can take it, off its device and without gradient; else `x` itself."""
    if not hasattr(x, "detach"):
        return x
    x = x.detach().cpu()
    return x.float() if str(x.dtype) == "torch.bfloat16" else x  # which NumPy lacks


def as_array(name: str, x: Any) -> Any:
    """A JAX array, or a plain NumPy array in the machine's byte order, from an array of any library.

    A memory map of native numbers is not read, and shards (`jaxlatent.open_latents`) stay what they are.

    Raises:
        TypeError: if `x` is no array of real numbers or truth values.
        ValueError: if it is a masked array with masked entries.
    """
    if isinstance(x, jax.Array) or getattr(x, "is_sharded_vectors", False):
        return x
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.getmaskarray(x).any():
            raise ValueError(
                f"{name}: {np.ma.count_masked(x)} entries are masked; fill them, or leave those vectors out"
            )
        x = x.data
    try:
        x = np.asarray(detached(x))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name}: expected an array, got {type(x).__name__} ({' '.join(str(error).split())[:100]})"
        ) from None
    if x.dtype.kind not in "biuf" and not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name}: expected an array of real numbers, got {x.dtype}")
    native = x.dtype.newbyteorder("=")
    # JAX has nothing longer than float64.
    return x.astype(np.float64 if native == np.longdouble else native, copy=False)


def as_floats(name: str, x: Any, shape: tuple[int, ...] | None = None) -> Any:
    """As `as_array`, of floating-point numbers; Python numbers too.

    Raises:
        TypeError, ValueError: see `as_array`, or if they are no floating-point numbers or not of `shape`.
    """
    x = as_array(name, x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"{name}: expected floating-point numbers, got {x.dtype}; convert it with .astype('float32')"
        )
    if shape is not None and x.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {x.shape}")
    return x


def as_leaf(name: str, x: Any) -> jax.Array:
    """A field of a pytree that holds floating-point numbers, as a float32 JAX array; see `as_floats`."""
    return on_device(as_floats(name, x))


def on_device(x: Any, dtype: Any = np.float32) -> jax.Array:
    """An array of any library as a JAX array of its own memory.

    NumPy converts and copies: `jnp.asarray` compiles a program for each shape.
    """
    return x.astype(dtype) if isinstance(x, jax.Array) else jax.device_put(np.array(x, dtype))


def as_vectors(name: str, z: Any, width: int | None = None, *, least: int = 0) -> Any:
    """Vectors (n, d) of floating-point numbers, with d = `width` where that is given and n >= `least`.

    Those of more axes, such as (n, c, h, w), are taken as vectors of d = c h w numbers.

    Returns:
        (n, d): a JAX array, a plain NumPy array (a memory map stays one), or shards.

    Raises:
        TypeError: if it is no array of floating-point numbers.
        ValueError: if the shape does not fit, or entries are masked.
    """
    z = as_floats(name, z)
    size = math.prod(z.shape[1:])
    if z.ndim < 2 or (width is not None and size != width):
        wanted = "(n, d)" if width is None else f"(n, {width})"
        raise ValueError(f"{name}: expected an array of shape {wanted}, got {z.shape}")
    if z.ndim > 2:
        z = z.reshape(z.shape[0], size)
    _check_number(name, z, least, "vector")
    return z


def _check_number(name: str, rows: Any, least: int, what: str) -> None:
    if rows.shape[0] < least:
        what = what if least == 1 else f"{what}s"
        raise ValueError(f"{name}: expected at least {least} {what}, got {rows.shape[0]}")


def as_images(name: str, images: Any, shape: tuple[int, int, int] | None = None, *, least: int = 0) -> Any:
    """Images (n, h, w, c), RGB or grey, uint8 or floating point, n >= `least`; of a shape (h, w, c) if given.

    Raises:
        TypeError: if they are numbers of another kind.
        ValueError: if the shape does not fit, entries are masked, or floating-point ones are not in [0, 1].
    """
    if not isinstance(images, Rows):
        images = as_array(name, images)
    are_images = images.ndim == 4 and images.shape[3] in CHANNELS and 0 not in images.shape[1:]
    if not are_images or (shape is not None and images.shape[1:] != shape):
        wanted = "(n, h, w, 3) or (n, h, w, 1)" if shape is None else f"(n, {', '.join(map(str, shape))})"
        raise ValueError(f"{name}: expected shape {wanted}, got {images.shape}; {_shape_hint(images, shape)}")
    if images.dtype != np.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(
            f"{name}: expected uint8 or floating point in [0, 1], got {images.dtype}; "
            "convert pixels of 0 to 255 with .astype('uint8')"
        )
    _check_number(name, images, least, "image")
    if images.dtype != np.uint8 and not is_traced(images):
        _check_range(name, images)
    return images


def _shape_hint(images: Any, shape: tuple[int, int, int] | None) -> str:
    if images.ndim == 3 and (shape is None or (*images.shape[1:], 1) == shape):
        return "give grey images an axis of one channel with [..., None]"
    if images.ndim == 4 and images.shape[1] in CHANNELS and images.shape[3] not in CHANNELS:
        return "move the channels last with .transpose(0, 2, 3, 1)"
    if shape is None:
        return "load_images makes such images of any"
    height, width, channels = shape
    size = height if height == width else (height, width)
    return f"load_images makes such images of any, image_size={size}, channels={channels}"


def _check_range(name: str, images: Any) -> None:
    """NaN passes: the training and the features name it."""
    # Sliced on its device, each block would be a program; on a CPU this copies nothing.
    blocks = spread_blocks(np.asarray(images) if isinstance(images, jax.Array) else images)
    lows, highs = zip((math.nan, math.nan), *((float(x.min()), float(x.max())) for x in blocks), strict=True)
    low, high = np.fmin.reduce(lows), np.fmax.reduce(highs)
    if not (low < -_OVERSHOOT or high > 1 + _OVERSHOOT):
        return
    if low >= 0:
        remedy = "divide pixels of 0 to 255 by 255, or convert them with .astype('uint8')"
    else:
        remedy = "bring pixels of -1 to 1 there with (x + 1) / 2, and others with .clip(0, 1)"
    raise ValueError(f"{name}: expected floating point in [0, 1], found {low:g} to {high:g}; {remedy}")


def as_pair(a: Any, b: Any, least: int) -> tuple[Any, Any]:
    """Two sets of vectors, `a` (n, f) and `b` (m, f), with n and m >= `least`; see `as_vectors`."""
    a = as_vectors("a", a, least=least)
    return a, as_vectors("b", b, a.shape[1], least=least)


def as_mask(name: str, where: Any, count: int, *, least: int = 2) -> np.ndarray:
    """A mask over `count` vectors, on the host, that chooses at least `least` of them.

    Raises:
        TypeError: if `where` is not boolean.
        ValueError: if it has another length, or chooses fewer.
    """
    mask = np.asarray(as_array(name, where))
    if mask.dtype != np.bool_:
        raise TypeError(f"{name}: expected a boolean mask, got {mask.dtype}; use labels == 1 or the like")
    if mask.shape != (count,):
        raise ValueError(f"{name}: expected shape ({count},), one entry a vector of z, got {mask.shape}")
    if mask.sum() < least:
        raise ValueError(f"{name}: expected at least {least} chosen vectors, got {mask.sum()}")
    return mask

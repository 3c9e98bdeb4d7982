"""Starting JAX on its devices, apart from what is done there first."""

import jax


def start_backend() -> None:
    """Does what the first array would do; called where the error of that would be taken for another.

    Raises:
        RuntimeError: if JAX cannot start on the platforms that it is told to use.
    """
    try:
        jax.devices()
    except Exception as error:  # an AssertionError without a word where a platform's plugin is missing
        reason = str(error).partition("\n")[0] or "it is not installed, or has no device"
        platforms = getattr(jax.config, "jax_platforms", None) or "any platform"
        raise RuntimeError(
            f"JAX_PLATFORMS: JAX cannot start on {platforms} ({reason}); unset it, or set it to cpu"
        ) from error


def free_memory(device: jax.Device) -> int | None:
    """Bytes that JAX may still take on a device; None where it does not say, as on a CPU."""
    try:
        stats = device.memory_stats() or {}
    except (RuntimeError, NotImplementedError):  # a device that is only described
        return None
    if "bytes_limit" not in stats:
        return None
    return stats["bytes_limit"] - stats.get("bytes_in_use", 0)

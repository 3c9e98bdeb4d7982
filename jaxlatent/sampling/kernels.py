"""The switch for kernels: programs for one kind of accelerator, beside those that XLA compiles for any."""

import os

import jax

#: "1" takes them on TPUs and on NVIDIA GPUs, "0" nowhere. Where it is not set, TPUs take them: for an NVIDIA
#: GPU, no card has shown yet that they are right and faster.
SWITCH = "JAXLATENT_KERNELS"


def kernel_platforms() -> tuple[str, ...]:
    """The platforms, of "tpu" and "cuda", for which the program that is traced now may take kernels.

    Raises:
        ValueError: if the switch is neither "0" nor "1".
    """
    asked = os.environ.get(SWITCH, "")
    if asked not in ("", "0", "1"):
        raise ValueError(f"{SWITCH}: expected 0 or 1, got {asked!r}; unset it for the default of the device")
    if asked == "1":
        return "tpu", "cuda"
    return ("tpu",) if not asked and jax.default_backend() == "tpu" else ()

"""The networks that are measured."""

import jaxlatent as jl


def network(size: int, dtype: str = "float32", *, small: bool) -> jl.AutoencoderConfig:
    """The default network for images of some pixels; a tiny one to try things out."""
    if small:
        return jl.AutoencoderConfig(image_size=32, latent_dim=8, filters=(4, 4, 4, 4), dtype=dtype)
    return jl.AutoencoderConfig(image_size=size, dtype=dtype)


def networks(*, small: bool) -> list[jl.AutoencoderConfig]:
    """Those of 64 and 128 pixels in both types, the most important first."""
    if small:
        return [network(32, "bfloat16", small=True)]
    return [network(size, dtype, small=False) for size in (64, 128) for dtype in ("bfloat16", "float32")]

"""What an autoencoder looks like and how it is trained: two frozen records with checked fields."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from jaxlatent._boundary import (
    as_channels,
    as_choice,
    as_count,
    as_counts,
    as_flag,
    as_image_size,
    as_nonnegative,
    as_number,
    as_positive,
    convert_fields,
)

ACTIVATIONS = ("relu", "leaky_relu", "gelu", "silu", "elu")
NORMS = ("none", "batch", "group")
DTYPES = ("float32", "bfloat16")
LOSSES = ("mse", "bce", "mse+ssim", "mse+contrast", "mse+detail")
INITS = ("random", "pca")
KERNEL_SIZES = (3, 4, 5)

# Of the feature map from which the latent vector is made, where the number of stages is chosen for it.
_INNERMOST_SIDE = 4
_FEWEST, _MOST = 2, 6
_FIRST_FILTERS, _MOST_FILTERS = 32, 256

_SHARP = {"kernel_size": 4, "init": "pca", "loss": "mse+detail", "batch_size": 16, "learning_rate": 5e-4}
#: Fields of both records by the name of a preset; the others have their defaults.
PRESETS: dict[str, dict[str, Any]] = {"fast": {**_SHARP, "epochs": 1}, "sharp": {**_SHARP, "epochs": 3}}


_R = TypeVar("_R", bound="_Record")


class _Record:
    """A frozen dataclass of plain Python values: its conversion to and from what JSON can hold."""

    @classmethod
    def preset(cls: type[_R], name: str, **given: Any) -> _R:
        """Builds the record of a preset, `fast` or `sharp`, but for the fields that are given.

        Raises:
            ValueError, TypeError: if there is no such preset, or a field is out of range.
        """
        return cls(**{**preset_fields(cls, name), **given})

    def to_dict(self) -> dict[str, Any]:
        """Gives the fields as plain values; tuples become lists, as JSON would make them."""
        values = asdict(self)  # type: ignore[call-overload]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls: type[_R], values: dict[str, Any]) -> _R:
        """Builds the record from `to_dict`'s values; missing fields take their defaults.

        Raises:
            ValueError: if a key is no field of the record, or a value is out of range.
            TypeError: if a value has the wrong type.
        """
        names = {f.name for f in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - names)
        if unknown:
            raise ValueError(
                f"{cls.__name__}: unknown field {unknown[0]!r}; known are {', '.join(sorted(names))}"
            )
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


@dataclass(frozen=True)
class AutoencoderConfig(_Record):
    """The network's shape.

    Attributes:
        image_size: of the images in pixels, 16 to 512: the side of squares, or (height, width). Inside the
            network they are continued beyond their edges to a multiple of 2 to the number of filters.
        latent_dim: length of a latent vector, at least 1.
        filters: channels after each of two to six strided convolutions, which halve height and width; the
            decoder mirrors them. Where not given, they follow the size: 32, then twice as many each up to
            256, until about 4 pixels of the shorter side are left: 32,64,128,256 for 64 pixels.
        kernel_size: 3, 4 or 5 pixels. 4 takes about 1.5 times as long as 3.
        activation: relu, leaky_relu (slope 0.1), gelu, silu or elu.
        norm: none, batch (running averages are used outside training) or group (up to 8 channels each).
        dtype: float32 or bfloat16 (activations and products; parameters stay float32). bfloat16 is
            meant for accelerators: it is slower on most CPUs.
        channels: 3 for RGB images, 1 for grey ones.
        variational: the network is a VAE, to compare plain autoencoders with: its encoder also gives the
            spread of each number of a latent vector, and its training draws them.

    Raises:
        ValueError: if a field is out of range.
        TypeError: if a number is not an integer.
    """

    image_size: int | tuple[int, int] = 64
    latent_dim: int = 256
    filters: tuple[int, ...] = ()
    kernel_size: int = 3
    activation: str = "leaky_relu"
    norm: str = "none"
    dtype: str = "float32"
    channels: int = 3
    variational: bool = False

    def __post_init__(self) -> None:
        convert_fields(self, as_image_size, "image_size", minimum=16, maximum=512)
        convert_fields(self, as_count, "kernel_size")
        convert_fields(self, as_channels, "channels")
        convert_fields(self, as_count, "latent_dim", minimum=1)
        convert_fields(self, as_counts, "filters")
        convert_fields(self, as_choice, "activation", choices=ACTIVATIONS)
        convert_fields(self, as_choice, "norm", choices=NORMS)
        convert_fields(self, as_choice, "dtype", choices=DTYPES)
        convert_fields(self, as_flag, "variational")
        if self.kernel_size not in KERNEL_SIZES:
            raise ValueError(f"kernel_size: expected 3, 4 or 5, got {self.kernel_size}")
        side = min(self.image_shape[:2])
        if not self.filters:
            object.__setattr__(self, "filters", _filters(side))
        # One stage more would have nothing to halve.
        most = min(_MOST, math.ceil(math.log2(side)))
        if not _FEWEST <= len(self.filters) <= most:
            raise ValueError(
                f"filters: expected {_FEWEST} to {most} channel counts for images of {self.image_size} "
                f"pixels, got {self.filters}"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        size = self.image_size
        height, width = (size, size) if isinstance(size, int) else size
        return height, width, self.channels

    @property
    def innermost(self) -> tuple[int, int]:
        """Height and width of the feature map that the last strided convolution leaves."""
        factor = 2 ** len(self.filters)
        height, width, _ = self.image_shape
        return -(-height // factor), -(-width // factor)


def _filters(side: int) -> tuple[int, ...]:
    """The channels of each stage for images of this shorter side."""
    stages = min(_MOST, max(_FEWEST, round(math.log2(side / _INNERMOST_SIDE))))
    return tuple(min(_FIRST_FILTERS * 2**i, _MOST_FILTERS) for i in range(stages))


@dataclass(frozen=True)
class TrainConfig(_Record):
    """How the network is fitted.

    Attributes:
        epochs: passes over the images, at least 1.
        batch_size: images a step, at least 1; at most the number of images is used.
        learning_rate: AdamW's peak learning rate; warmed up linearly, then lowered along a cosine to 0.
        warmup: share of all steps spent on the warm-up, in [0, 1).
        weight_decay: AdamW's decoupled weight decay; 0 is Adam.
        loss: mse, bce (binary cross-entropy a pixel), mse+ssim, mse+contrast, which blurs less, or
            mse+detail, which is the sharpest.
        ssim_weight: with mse+ssim, the loss is mse + ssim_weight * (1 - SSIM) / 2.
        contrast_weight: with mse+contrast, the loss is mse + contrast_weight * the mean squared difference
            of the local standard deviations (Gaussian windows of 11 x 11 pixels, sigma 1.5).
        detail_weight: with mse+detail, the loss is mse + detail_weight * the mean squared difference of how
            strong details of each direction and of three finenesses are in each place (Haar wavelets).
        kl_weight: of a variational network, the loss has kl_weight times the divergence of the latent vectors
            from the prior N(0, I), in nats a value of the image. It is twice the variance of the noise that
            a Gaussian decoder supposes in its images: 0.01 is a noise of 0.07 of their range.
        mirror: show each image mirrored left to right with probability 1/2; None mirrors RGB images and no
            grey ones, many of which are writing or scans.
        gradient_clip: largest global norm of a gradient; None does not clip.
        patience: stop after this many epochs without a lower validation loss; None trains all epochs.
        init: random weights at first, or pca: those of a linear map close to the principal component analysis
            of the images, from which the training takes a fraction of the epochs. pca needs a network without
            norm, and another activation than elu.

    Raises:
        ValueError: if a field is out of range.
        TypeError: if a count is not an integer.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    loss: str = "mse"
    ssim_weight: float = 0.1
    contrast_weight: float = 5.0
    detail_weight: float = 5.0
    kl_weight: float = 0.01
    mirror: bool | None = None
    gradient_clip: float | None = 1.0
    patience: int | None = None
    init: str = "random"

    def __post_init__(self) -> None:
        convert_fields(self, as_choice, "init", choices=INITS)
        convert_fields(self, as_count, "epochs", "batch_size", minimum=1)
        convert_fields(self, as_positive, "learning_rate")
        convert_fields(self, as_number, "warmup")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup: expected a share of the steps in [0, 1), got {self.warmup}")
        convert_fields(
            self,
            as_nonnegative,
            "weight_decay",
            "ssim_weight",
            "contrast_weight",
            "detail_weight",
            "kl_weight",
        )
        convert_fields(self, as_choice, "loss", choices=LOSSES)
        if self.mirror is not None:
            convert_fields(self, as_flag, "mirror")
        if self.gradient_clip is not None:
            convert_fields(self, as_positive, "gradient_clip")
        if self.patience is not None:
            convert_fields(self, as_count, "patience", minimum=1)

    def mirrors(self, channels: int) -> bool:
        """Whether images of so many channels are mirrored."""
        return channels == 3 if self.mirror is None else self.mirror


def preset_fields(record: type[_Record], name: str) -> dict[str, Any]:
    """What a preset says of a record.

    Raises:
        ValueError: if there is no such preset.
    """
    values = PRESETS[as_choice("preset", name, choices=tuple(PRESETS))]
    names = {f.name for f in fields(record)}  # type: ignore[arg-type]
    return {field: value for field, value in values.items() if field in names}

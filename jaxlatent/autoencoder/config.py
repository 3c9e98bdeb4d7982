"""What an autoencoder looks like and how it is trained: two frozen records with checked fields."""

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from jaxlatent._boundary import (
    as_choice,
    as_count,
    as_counts,
    as_flag,
    as_nonnegative,
    as_number,
    as_positive,
    convert_fields,
)

ACTIVATIONS = ("relu", "leaky_relu", "gelu", "silu", "elu")
NORMS = ("none", "batch", "group")
DTYPES = ("float32", "bfloat16")
LOSSES = ("mse", "bce", "mse+ssim", "mse+contrast")
KERNEL_SIZES = (3, 4, 5)


_R = TypeVar("_R", bound="_Record")


class _Record:
    """A frozen dataclass of plain Python values: its conversion to and from what JSON can hold."""

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
        image_size: height and width of the square images in pixels; a multiple of 16 from 32 to 256.
        latent_dim: length of a latent vector, at least 1.
        filters: channels after each of the four strided convolutions; the decoder mirrors them.
        kernel_size: 3, 4 or 5 pixels. 4 takes about 1.5 times as long as 3.
        activation: relu, leaky_relu (slope 0.1), gelu, silu or elu.
        norm: none, batch (running averages are used outside training) or group (up to 8 channels each).
        dtype: float32 or bfloat16 (activations and products; parameters stay float32). bfloat16 is
            meant for accelerators: it is slower on most CPUs.

    Raises:
        ValueError: if a field is out of range.
        TypeError: if a number is not an integer.
    """

    image_size: int = 64
    latent_dim: int = 256
    filters: tuple[int, ...] = (32, 64, 128, 256)
    kernel_size: int = 3
    activation: str = "leaky_relu"
    norm: str = "none"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        convert_fields(self, as_count, "image_size", "kernel_size")
        convert_fields(self, as_count, "latent_dim", minimum=1)
        convert_fields(self, as_counts, "filters")
        convert_fields(self, as_choice, "activation", choices=ACTIVATIONS)
        convert_fields(self, as_choice, "norm", choices=NORMS)
        convert_fields(self, as_choice, "dtype", choices=DTYPES)
        if not 32 <= self.image_size <= 256 or self.image_size % 16:
            raise ValueError(f"image_size: expected a multiple of 16 from 32 to 256, got {self.image_size}")
        if len(self.filters) != 4:
            raise ValueError(f"filters: expected four channel counts, got {self.filters}")
        if self.kernel_size not in KERNEL_SIZES:
            raise ValueError(f"kernel_size: expected 3, 4 or 5, got {self.kernel_size}")


@dataclass(frozen=True)
class TrainConfig(_Record):
    """How the network is fitted.

    Attributes:
        epochs: passes over the images, at least 1.
        batch_size: images a step, at least 1; at most the number of images is used.
        learning_rate: AdamW's peak learning rate; warmed up linearly, then lowered along a cosine to 0.
        warmup: share of all steps spent on the warm-up, in [0, 1).
        weight_decay: AdamW's decoupled weight decay; 0 is Adam.
        loss: mse, bce (binary cross-entropy a pixel), mse+ssim or mse+contrast, which blurs less.
        ssim_weight: with mse+ssim, the loss is mse + ssim_weight * (1 - SSIM) / 2.
        contrast_weight: with mse+contrast, the loss is mse + contrast_weight * the mean squared difference
            of the local standard deviations (Gaussian windows of 11 x 11 pixels, sigma 1.5).
        mirror: show each image mirrored left to right with probability 1/2.
        gradient_clip: largest global norm of a gradient; None does not clip.
        patience: stop after this many epochs without a lower validation loss; None trains all epochs.

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
    mirror: bool = True
    gradient_clip: float | None = 1.0
    patience: int | None = None

    def __post_init__(self) -> None:
        convert_fields(self, as_count, "epochs", "batch_size", minimum=1)
        convert_fields(self, as_positive, "learning_rate")
        convert_fields(self, as_number, "warmup")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup: expected a share of the steps in [0, 1), got {self.warmup}")
        convert_fields(self, as_nonnegative, "weight_decay", "ssim_weight", "contrast_weight")
        convert_fields(self, as_choice, "loss", choices=LOSSES)
        convert_fields(self, as_flag, "mirror")
        if self.gradient_clip is not None:
            convert_fields(self, as_positive, "gradient_clip")
        if self.patience is not None:
            convert_fields(self, as_count, "patience", minimum=1)

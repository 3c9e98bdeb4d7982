import json

import pytest

from jaxlatent.autoencoder import AutoencoderConfig, TrainConfig


@pytest.mark.parametrize(
    "config",
    [
        AutoencoderConfig(),
        AutoencoderConfig(32, 8, (4, 4, 8, 8), 5, "gelu", "group", "bfloat16"),
        TrainConfig(),
        TrainConfig(gradient_clip=None, patience=3, loss="mse+ssim"),
        TrainConfig(loss="mse+contrast", contrast_weight=2.5),
    ],
)
def test_survives_json(config):
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_missing_fields_take_defaults_and_unknown_ones_are_named():
    assert AutoencoderConfig.from_dict({"latent_dim": 7}).filters == (32, 64, 128, 256)
    with pytest.raises(ValueError, match="unknown field 'depth'"):
        AutoencoderConfig.from_dict({"depth": 3})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_size", 16),
        ("image_size", 40),
        ("image_size", 272),
        ("latent_dim", 0),
        ("filters", (8, 8, 8)),
        ("filters", (8, 8, 8, 0)),
        ("kernel_size", 2),
        ("activation", "tanh"),
        ("norm", "layer"),
        ("dtype", "float16"),
    ],
)
def test_autoencoder_config_names_the_field_that_is_wrong(field, value):
    with pytest.raises(ValueError, match=f"^{field}: .*\\d|^{field}: .*'"):
        AutoencoderConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("warmup", 1.0),
        ("weight_decay", -1.0),
        ("loss", "l1"),
        ("ssim_weight", -0.1),
        ("contrast_weight", -1.0),
        ("contrast_weight", float("nan")),
        ("gradient_clip", 0.0),
        ("patience", 0),
    ],
)
def test_train_config_names_the_field_that_is_wrong(field, value):
    with pytest.raises(ValueError, match=f"^{field}: "):
        TrainConfig(**{field: value})


def test_counts_must_be_integers():
    with pytest.raises(TypeError, match="epochs"):
        TrainConfig.from_dict({"epochs": 2.5})
    with pytest.raises(TypeError, match="latent_dim"):
        AutoencoderConfig.from_dict({"latent_dim": "8"})

import json
from dataclasses import replace

import pytest

from jaxlatent.autoencoder import AutoencoderConfig, TrainConfig


@pytest.mark.parametrize(
    "config",
    [
        AutoencoderConfig(),
        AutoencoderConfig(32, 8, (4, 4, 8, 8), 5, "gelu", "group", "bfloat16"),
        AutoencoderConfig((17, 33), channels=1),
        TrainConfig(),
        TrainConfig(gradient_clip=None, patience=3, loss="mse+ssim"),
        TrainConfig(loss="mse+contrast", contrast_weight=2.5),
        TrainConfig.preset("sharp", detail_weight=2.0),
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
        ("image_size", 15),
        ("image_size", 513),
        ("image_size", (64, 8)),
        ("channels", 2),
        ("latent_dim", 0),
        ("filters", (8,)),
        ("filters", (8,) * 7),
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
        ("detail_weight", -1.0),
        ("init", "zeros"),
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


def test_the_size_of_images_is_a_side_or_two():
    assert AutoencoderConfig((48, 48)) == AutoencoderConfig(48)
    assert AutoencoderConfig((48, 64), channels=1).image_shape == (48, 64, 1)


@pytest.mark.parametrize(
    ("size", "stages", "innermost"),
    [
        (16, 2, (4, 4)),
        (28, 3, (4, 4)),
        (32, 3, (4, 4)),
        (64, 4, (4, 4)),
        (80, 4, (5, 5)),
        (128, 5, (4, 4)),
        (256, 6, (4, 4)),
        (512, 6, (8, 8)),
        ((33, 17), 2, (9, 5)),
        ((48, 64), 4, (3, 4)),
    ],
)
def test_the_number_of_stages_follows_the_size(size, stages, innermost):
    config = AutoencoderConfig(size)
    assert config.filters == (32, 64, 128, 256, 256, 256)[:stages]
    assert config.innermost == innermost


def test_a_stage_that_has_nothing_to_halve_is_refused():
    assert AutoencoderConfig(17, filters=(1,) * 5).innermost == (1, 1)
    with pytest.raises(ValueError, match=r"filters: expected 2 to 4 channel counts for images of 16 pixels"):
        AutoencoderConfig(16, filters=(1,) * 5)


def test_grey_images_are_mirrored_only_if_asked_for():
    assert [TrainConfig().mirrors(channels) for channels in (1, 3)] == [False, True]
    assert [TrainConfig(mirror=flag).mirrors(1) for flag in (False, True)] == [False, True]


def test_a_preset_gives_way_to_what_is_asked_for():
    fast = TrainConfig.preset("fast")
    assert (fast.init, fast.loss) == ("pca", "mse+detail")
    assert fast.epochs < TrainConfig.preset("sharp").epochs
    assert TrainConfig.preset("fast", loss="mse") == replace(fast, loss="mse")
    assert AutoencoderConfig.preset("fast", image_size=32) == AutoencoderConfig(32, kernel_size=4)
    with pytest.raises(ValueError, match="preset: expected one of fast, sharp, got 'best'"):
        TrainConfig.preset("best")
    with pytest.raises(ValueError, match="epochs: "):
        TrainConfig.preset("fast", epochs=0)

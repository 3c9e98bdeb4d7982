"""Shape checks on every annotated function, strict dtype promotion, and the folders that tests share."""

import os
import tempfile
from pathlib import Path

import jaxtyping
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
_hook = jaxtyping.install_import_hook("jaxlatent", "beartype.beartype")

import jax  # noqa: E402

import jaxlatent  # noqa: E402

for _name in jaxlatent.__all__:  # most are imported when they are first used
    getattr(jaxlatent, _name)
_hook.uninstall()
jax.config.update("jax_numpy_dtype_promotion", "strict")
# Many tests compile the same small programs.
_programs = tempfile.TemporaryDirectory(prefix="jaxlatent-programs-")
jax.config.update("jax_compilation_cache_dir", _programs.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@pytest.fixture(scope="session")
def celeba_dir() -> Path:
    """The folder of CelebA's official files: $JAXLATENT_CELEBA, or shared/data/celeba beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "celeba"
    folder = Path(os.environ.get("JAXLATENT_CELEBA", beside))
    if not folder.is_dir():
        pytest.skip(f"CelebA's files are not at {folder}; set JAXLATENT_CELEBA to their folder")
    return folder


@pytest.fixture
def as_without_type_checks():
    """Lets wrong arguments through to the checks that a user without beartype meets."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def key():
    """The fixed key of tests that need just one."""
    return jax.random.key(0)

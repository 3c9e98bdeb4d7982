"""What all tests share: compiled programs kept on disk, bounded memory, strict dtype promotion, their order.

CONTRIBUTING.md says which options and environment variables there are.
"""

import ctypes
import hashlib
import os
import platform
import random
import sys
from importlib.metadata import version
from pathlib import Path

import jaxtyping
import pytest

CHECKOUT = Path(__file__).parents[1]
# A compiled program holds 2 to 5 MB of memory as long as it can be called.
MOST_PROGRAMS = 100


def program_folder() -> Path:
    """Where compiled programs are kept: a folder for these versions and for this kind of processor.

    JAX names them by its version and its flags, but not by the processor, whose instructions they hold.
    """
    processor = [platform.machine(), platform.processor()]
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(errors="replace").splitlines()
        # x86 has "flags", ARM "Features"; every core repeats them.
        processor += sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    kind = hashlib.sha256("\n".join(processor).encode()).hexdigest()[:12]
    versions = "-".join(f"{name}-{version(name)}" for name in ("jaxlatent", "jax", "jaxlib"))
    return CHECKOUT / ".cache" / "programs" / f"{versions}-{kind}"


os.environ.setdefault("MPLBACKEND", "Agg")
# Before JAX is imported, and for the processes that tests start. Those read only: some of them are killed.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(program_folder()))
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "1e9"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

if os.environ.get("JAXLATENT_OPTIMIZED", "0") == "0":
    # Most programs run once or twice, and what XLA spends on optimizing them would be half of all CPU time.
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    if version("jaxlib").startswith(("0.8.", "0.9.", "0.10.")):  # later ones do not know it
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

TYPE_CHECKS = os.environ.get("JAXLATENT_TYPE_CHECKS", "0") != "0"
if TYPE_CHECKS:
    _hook = jaxtyping.install_import_hook("jaxlatent", "beartype.beartype")

import jax  # noqa: E402
from jax._src.lru_cache import LRUCache  # noqa: E402

import jaxlatent  # noqa: E402

for _name in jaxlatent.__all__:  # most are imported when they are first used
    getattr(jaxlatent, _name)
if TYPE_CHECKS:
    _hook.uninstall()
jax.config.update("jax_numpy_dtype_promotion", "strict")
# All of them: most are small, and there are thousands.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _put_whole(cache: LRUCache, key: str, value: bytes) -> None:
    """Keeps a program so that no other process can read half of it; JAX writes it in place."""
    path = Path(cache.path) / f"{key}-cache"
    if not path.exists():
        partial = path.with_name(f"{key}.{os.getpid()}.tmp")
        partial.write_bytes(value)
        partial.replace(path)


LRUCache.put = _put_whole

_compiled = 0


def _count_program(event: str, _: float, **__: object) -> None:
    global _compiled
    _compiled += event == "/jax/core/compile/backend_compile_duration"


jax.monitoring.register_event_duration_secs_listener(_count_program)


def pytest_addoption(parser):
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run modules, and the tests in each, in a random order"
    )


def pytest_collection_modifyitems(config, items):
    seed = config.getoption("shuffle")
    if seed is not None:
        numbers = random.Random(seed)
        modules: dict[str, list] = {}
        for item in items:
            modules.setdefault(item.nodeid.partition("::")[0], []).append(item)
        groups = list(modules.values())
        numbers.shuffle(groups)
        for group in groups:
            numbers.shuffle(group)
        items[:] = [item for group in groups for item in group]


def pytest_runtest_setup(item):
    quick = "JAX_DISABLE_MOST_OPTIMIZATIONS" in os.environ and not item.get_closest_marker("optimized")
    jax.config.update("jax_disable_most_optimizations", quick)


def pytest_runtest_teardown(item, nextitem):
    """Drops the compiled programs before they fill the memory; those needed again come back from the disk."""
    global _compiled
    if _compiled > MOST_PROGRAMS:
        jax.clear_caches()
        _compiled = 0
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps the memory for itself otherwise
        if trim is not None:
            trim(0)


def _used() -> str:
    """What this process took until now."""
    import resource

    here, started = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 2**30 if sys.platform == "darwin" else 2**20  # of bytes, and of KiB
    seconds = [usage.ru_utime + usage.ru_stime for usage in (here, started)]
    return (
        f"at most {here.ru_maxrss / unit:.2f} GiB of memory, {seconds[0]:.0f} s of CPU time "
        f"and {seconds[1]:.0f} s in processes it started"
    )


_workers: dict[str, str] = {}


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["used"] = _used()


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node, error):
    _workers[node.gateway.id] = getattr(node, "workeroutput", {}).get("used", "it crashed")


def pytest_terminal_summary(terminalreporter):
    for name, used in sorted(_workers.items()) or [("tests", _used())]:
        terminalreporter.write_line(f"{name}: {used}")


@pytest.fixture(scope="session")
def celeba_dir() -> Path:
    """The folder of CelebA's official files: $JAXLATENT_CELEBA, or shared/data/celeba beside the checkout."""
    beside = CHECKOUT.parent / "shared" / "data" / "celeba"
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

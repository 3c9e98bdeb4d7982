"""What loading images takes of memory, by a limit on a process of its own; file pages do not count to it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the memory of a process is limited as Linux does it"
)

_LIMITED = """
import resource, sys, warnings
import jax, numpy as np
import jaxlatent as jl
from jaxlatent.data.fingerprint import fingerprint
jax.devices()
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) for line in status if line.startswith("VmData:"))
limit = 1024 * used + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
warnings.simplefilter("ignore")
"""


def run(code, *arguments, cache):
    """What the code prints, with so many bytes more than are in use once the imports are done."""
    environment = os.environ | {"JAXLATENT_CACHE": str(cache), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def array(tmp_path):
    """614 MB of images, sparse on the disk."""
    path = tmp_path / "x.npy"
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(50_000, 64, 64, 3))
    images[::1000] = 7
    images.flush()
    return path


def test_a_split_of_an_array_stays_on_the_disk(tmp_path, array):
    code = (
        'x = jl.load_images(sys.argv[1], split="train")\n'
        "fingerprint(x)\n"
        "some = x[np.arange(0, len(x), 7)[:500]]\n"
        "print(len(x), some.shape[0])"
    )
    count, some = run(code, array, 2**28, cache=tmp_path / "cache")
    assert 44_000 < int(count) < 46_000
    assert int(some) == 500


def test_the_limit_would_show_an_array_in_memory(tmp_path, array):
    with pytest.raises(AssertionError, match=r"MemoryError|allocate"):
        run("np.array(np.load(sys.argv[1], mmap_mode='r'))", array, 2**28, cache=tmp_path / "cache")


def test_a_folder_with_an_unreadable_image_stays_in_the_cache(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(400):
        Image.new("RGB", (8, 8), (i % 256, 0, 0)).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no image")
    code = (
        "x = jl.load_images(sys.argv[1], image_size=512, split=None)\n"
        "print(len(x), x.nbytes, int(x[-1, 0, 0, 0]) >= 0)"
    )
    count, size, read = run(code, folder, 2**27 + 2**26, cache=tmp_path / "cache")
    assert (int(count), int(size), read) == (400, 400 * 512 * 512 * 3, "True")

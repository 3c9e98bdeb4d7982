"""Run by test_export.py: uses an exported model in a process that has no Flax, and prints what it finds."""

import json
import sys


class Absent:
    """Makes the import of these packages fail as if they were not installed."""

    names = (
        "flax",
        "optax",
        "orbax",
        "tensorflow_datasets",
        "sklearn",
        "safetensors",
        "PIL",
        "rich",
        "click",
    )

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())

import jax  # noqa: E402
import numpy as np  # noqa: E402

import jaxlatent as jl  # noqa: E402

model = jl.load_exported(sys.argv[1])
key = jax.random.key(0)
z = model.sample(key, 10, start=3)
images = model.generate(key, 10, start=3)
decoded = np.rint(np.asarray(model.decode(z)) * 255).astype(np.uint8)
try:
    absent = jl.Autoencoder.__name__
except ModuleNotFoundError as error:
    absent = error.name
print(json.dumps({"z": np.asarray(z).tobytes().hex(), "images": images.tobytes().hex(), "absent": absent}))
assert np.abs(decoded.astype(int) - images).max() <= 1

"""What `import jaxlatent` gives, in a process of its own."""

import subprocess
import sys


def test_what_the_readme_names_is_there_without_a_further_import():
    code = """
import sys
import jaxlatent as jl
loaded = set(sys.modules)
assert not {"flax", "optax", "matplotlib", "tensorflow_datasets", "orbax", "sklearn"} & loaded, loaded
assert jl.Run.evaluate and jl.evaluation.compare and jl.report.build and jl.Spec and jl.data.faces
assert "tensorflow_datasets" not in sys.modules
assert {"Run", "evaluation", "report"} <= set(dir(jl))
"""
    subprocess.run([sys.executable, "-c", code], check=True)

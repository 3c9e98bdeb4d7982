"""The documentation: every public name has a page, says what its arrays are, and examples run."""

import inspect
import re
import types
from pathlib import Path

import pytest

import jaxlatent as jl

DOCS = Path(__file__).parents[1] / "docs"
MODULES = {name: getattr(jl, name) for name in jl.__all__ if isinstance(getattr(jl, name), types.ModuleType)}
# Of models, functions and curves that a reader has: not to be run as they are.
EXAMPLES = ["first-hour", "guides/image-latents", "guides/outliers", "guides/conditional"]


def public_names():
    """The names of the package, and those that only its modules have."""
    names = set(jl.__all__) - MODULES.keys()
    known = [getattr(jl, name) for name in names]
    for module, content in MODULES.items():
        shown = getattr(content, "__all__", vars(content))
        for name in shown:
            each = getattr(content, name)
            own = getattr(each, "__module__", "").startswith("jaxlatent.") and not name.startswith("_")
            if own and not any(each is other for other in known):
                names.add(f"{module}.{name}")
    return sorted(names)


def listed():
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.glob("api/*.rst"))
    return re.findall(r"^(?:   |\.\. autoclass:: jaxlatent\.)([A-Za-z_][\w.]*)$", text, re.M)


def test_every_public_name_has_a_page():
    pages = listed()
    assert len(set(pages)) == len(pages)
    assert set(public_names()) - set(pages) == set()


@pytest.mark.parametrize("name", public_names())
def test_docstrings_say_what_arrays_are(name):
    found = jl
    for part in name.split("."):
        found = getattr(found, part)
    assert inspect.getdoc(found), name
    if not inspect.isfunction(found):
        return
    notes = " ".join(map(str, inspect.get_annotations(found).values()))
    if "jaxtyping" in notes:
        assert re.search(r"\([\w *+.{}]+,[^)]*\)", inspect.getdoc(found)), f"{name}: no shape"


@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_run(page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert blocks
    names = {}
    for block in blocks:
        exec(block, names)

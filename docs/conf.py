"""The documentation site: `scripts/docs.sh` builds it."""

import re
from importlib.metadata import version as version_of
from typing import Any

import jaxlatent

project = "jaxlatent"
author = "the jaxlatent developers"
project_copyright = "the jaxlatent developers, Apache-2.0"
version = release = version_of("jaxlatent")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# Notebooks are kept with their outputs; the tests execute them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"  # the docstrings have shapes and ranges
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
default_role = "py:obj"

html_theme = "furo"
html_title = "jaxlatent"
html_extra_path = ["explorer.html"]


def _as_rest(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: names of the package become links, all else between backticks is code."""

    def quoted(match: re.Match[str]) -> str:
        text = match[1]
        return match[0] if text.startswith("jaxlatent.") or text in jaxlatent.__all__ else f"``{text}``"

    text = re.sub(r"(?<!`)`([^`]+)`(?!`)", quoted, "\n".join(lines))
    text = re.sub(r"(?<![*`\w])(\*|\|)(?=\w)", r"\\\1", text)
    lines[:] = text.split("\n")


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _as_rest, priority=400)  # before napoleon

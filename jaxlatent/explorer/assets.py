"""The files of the page."""

from importlib.resources import files

#: Their media types.
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def page_files() -> dict[str, bytes]:
    """Their contents by their names."""
    folder = files("jaxlatent.explorer") / "page"
    found = sorted(folder.iterdir(), key=lambda each: each.name)
    return {each.name: each.read_bytes() for each in found if each.name.endswith(tuple(TYPES))}

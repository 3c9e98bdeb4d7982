"""The command that opens the explorer, or writes what it would show."""

import webbrowser
from pathlib import Path

import click

from jaxlatent._backend import start_backend
from jaxlatent.cli.console import open_log, open_run
from jaxlatent.cli.options import latents_option, moved_option, optional_run_argument, run_or_fit_option
from jaxlatent.sampling.spec import DEFAULT


@click.command()
@optional_run_argument
@latents_option(": map and numbers, without images.")
@run_or_fit_option(
    "Which fitted sampler of RUN comes first; all of them and the naive box can be chosen on the page. "
    "With --latents which one is fitted, as for `fit`."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default="any that is free", help="Port."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to bind. Only this machine reaches the default one; for any other, a random token in the "
    "address decides who may.",
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open a browser.")
@click.option(
    "--static",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    show_default="no file",
    help="Write one HTML file that needs no server, and end. It holds the decoder and some latent vectors.",
)
@click.option(
    "--state",
    default="",
    show_default="a new face",
    help="What is shown first, as the page's address has it behind the #.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    show_default="no file",
    help="Write the face of --state to this .png, its vector to a .npy beside it, and end.",
)
@moved_option
def explore(
    run: Path | None,
    latents: Path | None,
    sampler: str | None,
    port: int,
    host: str,
    browser: bool,
    static: Path | None,
    state: str,
    out: Path | None,
    data: str | None,
) -> None:
    """Opens a page on which a person moves through the latent space of RUN and sees faces, live.

    Samplers and their dials, sliders, attributes, a map of the z-points, neighbours, grids, paths, an image
    of one's own. The server runs until Ctrl-C.
    """
    if static is not None and out is not None:
        raise click.UsageError("--static, --out: each ends the command; leave one of them out")
    if (run is None) == (latents is None):
        raise click.UsageError("give a run folder, or a file of latents with --latents")
    if latents is not None and (static is not None or out is not None):
        raise click.UsageError("--static, --out: show images, and latents alone have no decoder")
    from jaxlatent.explorer import Explorer, Recipe, open_latents, open_run as open_space
    from jaxlatent.explorer.files import write_face, write_page

    recipe = Recipe.parse(state)
    if run is None:
        assert latents is not None
        start_backend()
        open_log()
        space = open_latents(latents, sampler or DEFAULT)
    else:
        opened = open_run(run, data)
        space = open_space(opened, sampler)
    if static is not None:
        # Faces that were drawn by a formula are nobody's.
        public = opened.config()["data"].startswith("synthetic:")
        page = write_page(static, space, opened.model(), public=public)
        click.echo(f"Wrote {page}: {page.stat().st_size / 1e6:.1f} MB; open it in a browser, offline too.")
        return
    if out is not None:
        image, vector = write_face(out, space, recipe)
        click.echo(f"Wrote {image} and {vector}.")
        return
    space.turned(recipe)  # or what is wrong with the state would only be seen in the browser
    explorer = Explorer(space, host=host, port=port)
    url = f"{explorer.url}#{state.lstrip('#')}" if state else explorer.url
    click.echo(f"Exploring {run or latents} at {url} (Ctrl-C ends it).")
    if browser:
        webbrowser.open(url)
    explorer.wait()

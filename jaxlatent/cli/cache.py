"""The decoded images that loading keeps."""

import click

from jaxlatent.data.cache import cache_folder, clear, entries, size_limit


@click.command()
@click.option("--clear", "remove", is_flag=True, help="Remove them all; they are decoded again when needed.")
def cache(remove: bool) -> None:
    """Lists the decoded images that are kept on disk, the longest unused first.

    They lie in $JAXLATENT_CACHE, else $XDG_CACHE_HOME/jaxlatent, else ~/.cache/jaxlatent. Beyond
    $JAXLATENT_CACHE_GB gigabytes, 50 where not given, what was unused for longest is removed.
    """
    folder = cache_folder(None)
    assert folder is not None
    there = entries(folder)
    for entry in there:
        what = "of an earlier version"
        if entry.image_shape is not None:
            height, width, channels = entry.image_shape
            kind = "RGB" if channels == 3 else "grey"
            what = f"{entry.decoded:,} of {entry.images:,} images, {height} x {width} pixels, {kind}"
        click.echo(f"{entry.used:%Y-%m-%d}  {entry.size / 1e6:10,.1f} MB  {entry.source}: {what}")
    total = f"{sum(entry.size for entry in there) / 1e6:,.1f} MB"
    if remove:
        clear(folder)
        click.echo(f"removed {total} from {folder}")
    else:
        click.echo(f"{total} of at most {size_limit() / 1e9:g} GB in {folder}; --clear removes all")

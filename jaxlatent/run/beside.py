"""What the images of a sampler are shown beside: those of the source's method and of the recommended one."""

from jaxlatent.run.folder import RunFolder, sampler_result, sampler_title
from jaxlatent.run.origin import StaleError
from jaxlatent.sampling import Sampler, Spec
from jaxlatent.sampling.fitting.region import fit_frame
from jaxlatent.sampling.spec import DEFAULT, SOURCE

_SOURCE = Spec.parse(SOURCE)
_WORDS = {
    _SOURCE.name: "The source's method, inside every pair's ellipse",
    DEFAULT: "The recommended sampler, z-points of a cluster recombined",
}


def plain_title(run: RunFolder, name: str) -> str:
    """What a fitted sampler is, for people who do not know its name."""
    return _plain(_kind(run, name), sampler_title(name))


def beside(run: RunFolder, name: str) -> dict[str, Sampler]:
    """By such titles, the source's method and the recommended sampler, but for what `name` is one of.

    Those of the run are taken; the source's method is fitted where it has none.
    """
    fitted = {_kind(run, each): each for each in run.samplers() if _is_fresh(run, each)}
    shown: dict[str, Sampler] = {}
    for kind in _WORDS:
        if kind == _kind(run, name):
            continue
        if kind in fitted:
            shown[plain_title(run, fitted[kind])] = run.sampler(fitted[kind])
        elif kind == _SOURCE.name:
            z = run.latents()
            # A pair needs two components.
            if (most := fit_frame(z).n_components) > 1:
                spec = _SOURCE.within(most)
                shown[_plain(kind, spec.title)] = spec.fit(z)
    return shown


def _plain(kind: str, title: str) -> str:
    return f"{_WORDS.get(kind, 'The sampler asked for')}: {title}"


def _is_fresh(run: RunFolder, name: str) -> bool:
    try:
        run.check(sampler_result(name))
    except StaleError:
        return False
    return True


def _kind(run: RunFolder, name: str) -> str:
    """The sampler's name among `SAMPLERS`; its own in the run where nothing says what it was fitted by."""
    origin = run.origin(sampler_result(name))
    spec = origin.options.get("sampler") if origin else None
    return str(spec or name).partition(":")[0]

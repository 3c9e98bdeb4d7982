"""Fidelity against diversity: precision and recall as the dials of a sampler are turned."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxlatent._boundary import as_counts, as_key, as_numbers, as_vectors
from jaxlatent._progress import progress_bar
from jaxlatent.evaluation.frechet import frechet_distance
from jaxlatent.evaluation.manifold import Manifold
from jaxlatent.evaluation.references import References
from jaxlatent.evaluation.rows import TradeoffPoint
from jaxlatent.latent.moments import moments
from jaxlatent.sampling.spec import Spec

# Semi-axes so long that the temperature decides, not the region.
_COOLED = ("gaussian", "exact:density=normal:fact=2.0")


def tradeoff(
    references: References,
    z: Float[Array | np.ndarray, "t d"],
    key: jax.Array,
    components: Sequence[int],
    *,
    facts: Sequence[float] = (0.6, 0.7, 0.8, 0.9, 1.0),
    temperatures: Sequence[float] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    note: Callable[[TradeoffPoint, int], None] | None = None,
    progress: bool = False,
) -> list[TradeoffPoint]:
    """Fidelity against diversity: what the dials of some samplers trade one for the other.

    The pairwise sampler's half-widths are scaled for several numbers of components; the Gaussian and the
    exact normal sampler are drawn at several temperatures, each with `references.n` vectors.

    Args:
        references: from `References.of`.
        z: z-points that the samplers are fitted to, (t, d).
        key: as in `compare`, whose precision and recall these can be compared with.
        components: numbers of components of the pairwise sampler.
        facts: scales of the half-widths, > 0.
        temperatures: > 0.
        note: called with each point once it is measured, and the number of those that are left.
        progress: show a bar where standard error is a terminal.

    Raises:
        TypeError, ValueError: if an argument is out of range; the message names it.
    """
    key, z = as_key(key), as_vectors("z", z)
    components = as_counts("components", components)
    facts, temperatures = as_numbers("facts", facts), as_numbers("temperatures", temperatures)
    draw, _ = jax.random.split(key)
    target, n = references.rebuilt.features, references.n
    manifold, law = Manifold(target), moments(target)
    asked = [(f"pairwise:n_components={k}", "fact", fact) for k in components for fact in facts]
    asked += [(text, "temperature", each) for text in _COOLED for each in temperatures]
    points = []
    with progress_bar("trade-off", len(asked), "settings", enabled=progress) as advance:
        for text, dial, value in asked:
            sampler = Spec.parse(f"{text}:{dial}={value}").fit(z)
            seen = references.look(sampler.sample(draw, n))
            found = manifold.compare(seen.features)
            points.append(
                TradeoffPoint(
                    series=Spec.parse(text).title,
                    dial=dial,
                    setting=value,
                    n=n,
                    frechet=frechet_distance(seen.features, law),
                    precision=found.precision,
                    recall=found.recall,
                )
            )
            if note is not None:
                note(points[-1], len(asked) - len(points))
            advance(1)
    return points

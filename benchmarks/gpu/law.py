"""The law of the pairwise sampler in both orders against the method taken literally, by five statistics."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pairwise_law import deviations

from gpu.rows import Row, arguments, emit

# Vectors of each number of components.
COUNTS = {
    "round_robin": {2: 400_000, 3: 400_000, 4: 400_000, 5: 400_000, 8: 400_000, 33: 200_000, 105: 100_000},
    "permutation": {3: 400_000, 4: 400_000, 8: 200_000, 16: 100_000},
}
MOST = 5.0  # standard errors
# Of more components, the law with rounds is another, by less than these shares.
ROUNDS = {256: 100_000}
ALLOWED = {"P(second > 0.6)": 0.02, "E u^2": 0.006, "E u^4": 0.01, "P(|u_i| > 0.6, |u_j| > 0.4)": 0.02}


def same_law(order: str, item: tuple[int, int]) -> None:
    """Checks one number of components where the law is the same."""
    k, n = item
    found = deviations(k, order, n)
    worst = max(found, key=lambda name: abs(found[name].z))
    z = found[worst].z
    note = f"the largest of five differences from the literal method, of {worst}; {n:,} vectors"
    emit(Row(f"{order}, k = {k}", z, "standard errors", passed=abs(z) < MOST, note=note))


def law_with_rounds(k: int, n: int) -> None:
    """Checks the statistics of many components, whose small differences are known."""
    found = deviations(k, "round_robin", n)
    for name, most in ALLOWED.items():
        relative = found[name].mean / found[name].expected - 1
        note = f"of the literal method's, {found[name].z:+.1f} standard errors; {n:,} vectors"
        emit(Row(f"rounds, k = {k}: {name}", relative, "", passed=abs(relative) < most, note=note))


def main() -> None:
    options = arguments(__doc__)
    with ThreadPoolExecutor(4) as pool:
        for order, counts in COUNTS.items():
            chosen = {3: 2000} if options.small else counts
            list(pool.map(partial(same_law, order), chosen.items()))
    if not options.small:
        for k, n in ROUNDS.items():
            law_with_rounds(k, n)


if __name__ == "__main__":
    main()

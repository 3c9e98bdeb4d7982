"""The package's own tests of the contract and of the pairwise sampler, on the device."""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from gpu.rows import Row, arguments, emit

SAMPLING = Path("tests") / "sampling"
FILES = ("test_contract.py", "test_pairwise.py")
# What is not asked elsewhere, by law.py and contract.py, and does not compile for long.
CHOSEN = (
    "depends_on_key or repeats or shapes_batches or latent_vectors_are_inside or components_are_the_same or "
    "log_prob_or or saved_and_loaded or inside_every_ellipse or inside_a_larger_program or shuffled_alike or "
    "scramble or rounds_redraw or rounds_leave or violated_pairs or random_labels or same_law"
)
SMALL = "depends_on_key and 128-box- or rounds_leave or scramble"
WORKERS = 6


class Outcomes:
    """Counts the tests, and tells of those that fail at once, should the rest be cut off."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("passed", "failed", "skipped"), 0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest with each test's set-up, call and tear-down, of its workers too."""
        if report.when == "call" or not report.passed:
            self.counts[report.outcome] += 1
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = str(crash.message if crash else report.longrepr).strip().partition("\n")[0]
            emit(Row(report.nodeid, passed=False, note=reason[:300]))


def main() -> None:
    options = arguments(__doc__)
    outcomes = Outcomes()
    chosen = [*(str(SAMPLING / name) for name in FILES), "-k", SMALL if options.small else CHOSEN]
    # A warning of the device's libraries is no fault of the package.
    chosen += ["-p", "no:cacheprovider", "-W", "default", "-q", "--no-header"]
    if not options.small:
        os.environ["JAXLATENT_OPTIMIZED"] = "1"
        if find_spec("xdist"):
            chosen += ["--numprocesses", str(WORKERS), "--dist", "worksteal"]
    with tempfile.TemporaryDirectory() as folder:
        # Programs for this device are of no use to tests elsewhere.
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)
        pytest.main(chosen, plugins=[outcomes])
    note = f"{outcomes.counts['failed']} failed, {outcomes.counts['skipped']} skipped"
    passed = outcomes.counts["passed"]
    is_good = passed > 0 and not outcomes.counts["failed"]
    emit(Row("tests passed", passed, "tests", passed=is_good, note=note))


if __name__ == "__main__":
    main()

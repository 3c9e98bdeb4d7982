"""Whether what is drawn is any good: measures of generated vectors against the z-points."""

from jaxlatent.evaluation.sweep import SweepCell as SweepCell
from jaxlatent.evaluation.sweep import sweep as sweep
from jaxlatent.evaluation.sweep import write_csv as write_csv

"""Whether what is drawn is any good: measures of generated vectors and images against real ones."""

from jaxlatent.evaluation.copies import copies as copies
from jaxlatent.evaluation.copies import duplicates as duplicates
from jaxlatent.evaluation.frechet import frechet_distance as frechet_distance
from jaxlatent.evaluation.frechet import frechet_infinity as frechet_infinity
from jaxlatent.evaluation.kernel_distance import kernel_distance as kernel_distance
from jaxlatent.evaluation.kernel_distance import subset_kernel_distances as subset_kernel_distances
from jaxlatent.evaluation.latent_statistics import latent_statistics as latent_statistics
from jaxlatent.evaluation.manifold import manifold_metrics as manifold_metrics
from jaxlatent.evaluation.neighbours import nearest_distances as nearest_distances
from jaxlatent.evaluation.sweep import SweepCell as SweepCell
from jaxlatent.evaluation.sweep import sweep as sweep
from jaxlatent.evaluation.sweep import write_csv as write_csv
from jaxlatent.evaluation.two_sample import classifier_two_sample_test as classifier_two_sample_test
from jaxlatent.evaluation.two_sample import energy_distance as energy_distance
from jaxlatent.evaluation.two_sample import energy_test as energy_test

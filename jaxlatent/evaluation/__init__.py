"""Whether what is drawn is any good: measures of generated vectors and images against real ones."""

from jaxlatent._records import read_records as read_records, write_records as write_records
from jaxlatent.evaluation.classifier import (
    ClassifierFeatures as ClassifierFeatures,
    load_classifier as load_classifier,
)
from jaxlatent.evaluation.classifier_training import (
    ClassifierConfig as ClassifierConfig,
    cached_features as cached_features,
    fit_features as fit_features,
)
from jaxlatent.evaluation.comparison import compare as compare
from jaxlatent.evaluation.copy_test import copies as copies, duplicates as duplicates
from jaxlatent.evaluation.detection import face_rate as face_rate
from jaxlatent.evaluation.features import EncoderFeatures as EncoderFeatures, extract as extract
from jaxlatent.evaluation.frechet import (
    frechet_distance as frechet_distance,
    frechet_infinity as frechet_infinity,
)
from jaxlatent.evaluation.kernel import (
    kernel_distance as kernel_distance,
    subset_kernel_distances as subset_kernel_distances,
)
from jaxlatent.evaluation.latents import latent_statistics as latent_statistics
from jaxlatent.evaluation.manifold import manifold_metrics as manifold_metrics
from jaxlatent.evaluation.neighbours import nearest_distances as nearest_distances
from jaxlatent.evaluation.random_features import random_features as random_features
from jaxlatent.evaluation.references import References as References
from jaxlatent.evaluation.rows import Row as Row, TradeoffPoint as TradeoffPoint
from jaxlatent.evaluation.sweep import SweepCell as SweepCell, sweep as sweep
from jaxlatent.evaluation.tradeoff import tradeoff as tradeoff
from jaxlatent.evaluation.two_sample import (
    classifier_two_sample_test as classifier_two_sample_test,
    energy_distance as energy_distance,
    energy_test as energy_test,
)

"""Whether what is drawn is any good: measures of generated vectors and images against real ones."""

from jaxlatent.evaluation.classifier import ClassifierFeatures as ClassifierFeatures
from jaxlatent.evaluation.classifier import load_classifier as load_classifier
from jaxlatent.evaluation.classifier_training import ClassifierConfig as ClassifierConfig
from jaxlatent.evaluation.classifier_training import cached_features as cached_features
from jaxlatent.evaluation.classifier_training import fit_features as fit_features
from jaxlatent.evaluation.copy_test import copies as copies
from jaxlatent.evaluation.copy_test import duplicates as duplicates
from jaxlatent.evaluation.detection import face_rate as face_rate
from jaxlatent.evaluation.features import EncoderFeatures as EncoderFeatures
from jaxlatent.evaluation.features import extract as extract
from jaxlatent.evaluation.frechet import frechet_distance as frechet_distance
from jaxlatent.evaluation.frechet import frechet_infinity as frechet_infinity
from jaxlatent.evaluation.kernel import kernel_distance as kernel_distance
from jaxlatent.evaluation.kernel import subset_kernel_distances as subset_kernel_distances
from jaxlatent.evaluation.latents import latent_statistics as latent_statistics
from jaxlatent.evaluation.manifold import manifold_metrics as manifold_metrics
from jaxlatent.evaluation.neighbours import nearest_distances as nearest_distances
from jaxlatent.evaluation.sweep import SweepCell as SweepCell
from jaxlatent.evaluation.sweep import sweep as sweep
from jaxlatent.evaluation.sweep import write_csv as write_csv
from jaxlatent.evaluation.two_sample import classifier_two_sample_test as classifier_two_sample_test
from jaxlatent.evaluation.two_sample import energy_distance as energy_distance
from jaxlatent.evaluation.two_sample import energy_test as energy_test

"""The public names, each imported when it is first used; `jaxlatent/__init__.py` reads this file."""

from . import (
    autoencoder as autoencoder,
    data as data,
    evaluation as evaluation,
    explorer as explorer,
    generation as generation,
    latent as latent,
    report as report,
    run as run,
    sampling as sampling,
)
from .autoencoder import (
    Autoencoder as Autoencoder,
    AutoencoderConfig as AutoencoderConfig,
    DivergenceError as DivergenceError,
    History as History,
    TrainConfig as TrainConfig,
    decode as decode,
    encode as encode,
    fit_autoencoder as fit_autoencoder,
    load_model as load_model,
    save_model as save_model,
)
from .data import (
    Labels as Labels,
    load_images as load_images,
    load_labelled as load_labelled,
)
from .explorer import (
    Explorer as Explorer,
    explore as explore,
)
from .exported import (
    Exported as Exported,
    load_exported as load_exported,
)
from .generation.bulk import (
    generate_to as generate_to,
)
from .generation.encode import (
    encode_to as encode_to,
)
from .generation.export import (
    export as export,
    load_safetensors as load_safetensors,
    save_safetensors as save_safetensors,
)
from .generation.generate import (
    generate as generate,
)
from .generation.verification import (
    repair as repair,
    verify as verify,
)
from .latent import (
    PCA as PCA,
    attribute_direction as attribute_direction,
    half_width as half_width,
    open_latents as open_latents,
)
from .run import (
    Run as Run,
)
from .sampling import (
    BodyUnion as BodyUnion,
    BootstrapSampler as BootstrapSampler,
    BoxSampler as BoxSampler,
    ClusterMixtureSampler as ClusterMixtureSampler,
    ClusterRecombinationSampler as ClusterRecombinationSampler,
    EllipseBody as EllipseBody,
    EllipsoidSampler as EllipsoidSampler,
    ExactSampler as ExactSampler,
    GaussianMixtureSampler as GaussianMixtureSampler,
    GaussianSampler as GaussianSampler,
    InterpolationSampler as InterpolationSampler,
    PairwiseSampler as PairwiseSampler,
    PathSampler as PathSampler,
    RecombinationSampler as RecombinationSampler,
    Sampler as Sampler,
    Scores as Scores,
    Spec as Spec,
    Threshold as Threshold,
    TiltedBody as TiltedBody,
    TiltedSampler as TiltedSampler,
    edit as edit,
)
from .storage import (
    load as load,
    save as save,
)

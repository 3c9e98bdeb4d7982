"""What bfloat16 costs in quality: validation error of the same training in float32 and in bfloat16.

Both take the same first weights, images and order, so that what differs is rounding. Prints the mean squared
error over the validation images after the last epoch, for each seed, and the ratio, which should stay below
1.03. Run `python benchmarks/bfloat16.py --data celeba:DIR`.
"""

import argparse

import jax
import numpy as np
from common import machine

import jaxlatent as jl
from jaxlatent.autoencoder.config import DTYPES, NORMS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="synthetic:9000", help="as of `jaxlatent train` (synthetic:9000)")
    parser.add_argument("--image-size", type=int, default=64, help="pixels (default 64)")
    parser.add_argument("--images", type=int, default=9000, help="to train on, at most (default 9000)")
    parser.add_argument("--epochs", type=int, default=4, help="passes over them (default 4)")
    parser.add_argument("--norm", choices=NORMS, default="none", help="of the network (default none)")
    parser.add_argument("--seeds", type=int, default=2, help="trainings in each dtype (default 2)")
    args = parser.parse_args()
    images = jl.load_images(args.data, image_size=args.image_size, limit=args.images)
    validation = jl.load_images(args.data, image_size=args.image_size, split="validation", limit=1000)
    train = jl.TrainConfig(epochs=args.epochs)
    print(machine())
    print(
        f"# {args.data}: {len(images)} images of {args.image_size} px, {args.epochs} epochs, norm {args.norm}"
    )
    print("| seed | float32 | bfloat16 | ratio |")
    print("|---|---|---|---|")
    ratios = []
    for seed in range(args.seeds):
        errors = []
        for dtype in DTYPES:
            config = jl.AutoencoderConfig(image_size=args.image_size, norm=args.norm, dtype=dtype)
            _, history = jl.fit_autoencoder(
                jax.random.key(seed), images, config, train, validation=validation
            )
            errors.append(history[-1].val_mse)
        ratios.append(errors[1] / errors[0])
        print(f"| {seed} | {errors[0]:.6f} | {errors[1]:.6f} | {ratios[-1]:.4f} |", flush=True)
    print(f"# ratio {np.mean(ratios):.4f}, from {min(ratios):.4f} to {max(ratios):.4f}")


if __name__ == "__main__":
    main()

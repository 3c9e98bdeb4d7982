#!/usr/bin/env bash
# Checks and measures the package on the GPU of this machine, in at most 8 minutes; nothing is installed:
#   scripts/on_gpu.sh [--out DIR] [--only NAME,...] [--small]
# $PYTHON names the interpreter that has jax with CUDA, flax, optax, orbax-checkpoint, jaxtyping, scipy,
# scikit-learn and pytest; PyTorch and CuPy are compared with where it has them. See benchmarks/gpu.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH=$PWD:$PWD/benchmarks${PYTHONPATH:+:$PYTHONPATH}
exec "${PYTHON:-python3}" -m gpu "$@"

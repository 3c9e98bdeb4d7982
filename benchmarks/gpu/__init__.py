"""Checks and measurements on one GPU, which `scripts/on_gpu.sh` starts, each section in its own process."""

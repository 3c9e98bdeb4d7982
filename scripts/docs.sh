#!/usr/bin/env bash
# Builds the documentation site into docs/_build/html: scripts/docs.sh [OPTIONS OF sphinx-build]; a warning is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh docs
exec .venv/bin/sphinx-build -W --keep-going -b html docs docs/_build/html "$@"

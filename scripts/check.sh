#!/usr/bin/env bash
# All that is checked beside the tests: style, types, the documentation, in which a warning is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh dev
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
scripts/docs.sh -q

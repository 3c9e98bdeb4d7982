#!/usr/bin/env bash
# Sets up and runs the tests: scripts/test.sh [OPTIONS OF pytest]
set -euo pipefail
"$(dirname "${BASH_SOURCE[0]}")/setup.sh" test
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec .venv/bin/python -m pytest --numprocesses auto "$@"

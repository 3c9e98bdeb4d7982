#!/usr/bin/env bash
# The main job on the embedded procedural faces: scripts/demo.sh [OPTIONS OF jaxlatent demo]
set -euo pipefail
"$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$(dirname "${BASH_SOURCE[0]}")/../.venv/bin/jaxlatent" demo "$@"

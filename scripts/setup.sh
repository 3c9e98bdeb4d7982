#!/usr/bin/env bash
# Makes the virtual environment .venv with the package in it: scripts/setup.sh [EXTRA,...]
# Run again, it only brings the package up to date. $PYTHON names the interpreter (3.11 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compile=--compile
if [ ! -x .venv/bin/python ]; then
    compile=--no-compile  # below, on all cores at once
    python=${PYTHON:-}
    for candidate in python3 python3.13 python3.12 python3.11; do
        [ -n "$python" ] && break
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
        fi
    done
    [ -n "$python" ] || { echo "setup: no Python 3.11 or newer found; set PYTHON to one" >&2; exit 1; }
    "$python" -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check "$compile" --editable ".${1:+[$1]}"
if [ "$compile" = --no-compile ]; then
    # Some packages hold templates and samples that are no Python of this version.
    .venv/bin/python -m compileall -qq -j 0 .venv/lib || true
fi

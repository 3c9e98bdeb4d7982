#!/usr/bin/env bash
# Makes the virtual environment .venv with the package in it: scripts/setup.sh [EXTRA,...]
# Run again, it only brings the package up to date. $PYTHON names the interpreter (3.11 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -x .venv/bin/python ]; then
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
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${1:+[$1]}"

#!/usr/bin/env bash
# Sets up and runs the tests: scripts/test.sh [--all] [--type-checks] [OPTIONS OF pytest]
#   --all          also the tests marked slow
#   --optimized    compile the programs as a user's are; the tests take twice as long
#   --type-checks  compare the shape and type of every argument and result with the annotations, by beartype
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
which=()
options=()
for option in "$@"; do
    case $option in
        --all) which=(-m "") ;;
        --optimized) export JAXLATENT_OPTIMIZED=1 ;;
        --type-checks) export JAXLATENT_TYPE_CHECKS=1 ;;
        *) options+=("$option") ;;
    esac
done
scripts/setup.sh test
# The tests of a file share what they make, so they run in one process. A process takes up to 1.5 GB.
exec .venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
    ${which[@]+"${which[@]}"} ${options[@]+"${options[@]}"}

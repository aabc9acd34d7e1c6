#!/usr/bin/env bash
# Set up, then run the tests, on two processes; arguments go to pytest (./scripts/test.sh -k taylor).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./scripts/setup.sh
# Two processes with two BLAS threads each would fight over two cores.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec .venv/bin/python -m pytest -n 2 "$@"

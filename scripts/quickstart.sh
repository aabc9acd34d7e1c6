#!/usr/bin/env bash
# Set up, then optimize a beam and write its convergence report.
#
#   ./scripts/quickstart.sh           the MBB beam on 300 x 100 elements
#   ./scripts/quickstart.sh --small   a coarse one, in seconds
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case $* in
  "") out=out/mbb options=(--nelx 300 --nely 100 --filter density) ;;
  --small) out=out/mbb-small options=(--small) ;;
  *)
    echo "unknown option: $*; usage: ./scripts/quickstart.sh [--small]" >&2
    exit 2
    ;;
esac

./scripts/setup.sh
.venv/bin/python -m scripts.examples.topology "${options[@]}" --out "$out"
printf '\nThe report, for a browser: %s\n' "$(pwd)/$out/report.html"

#!/usr/bin/env bash
# Make .venv ready: the Python packages, and the system packages that CHOLMOD is compiled with.
# Run it as often as you like: where nothing has changed since the last time, it takes a second.
#
#   ./scripts/setup.sh [--again] [--with-pardiso]
#
#   --again          redo every step, as after a download or a build that failed
#   --with-pardiso   also install Intel's Pardiso (MKL, about 700 MB)
#
#   PYTHON=python3.12                                the interpreter, where python3 is not the one to use
#   SPARSE_ADJOINT_SKSPARSE='scikit-sparse==0.5.*'   another scikit-sparse than pyproject.toml names; none: SuperLU only
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$(pwd -P)
venv=$root/.venv
log=$root/.setup.log
stamp=$venv/setup-stamp     # what it was set up from, then what there was to say
halfway=$venv/setup-halfway # there while pip writes: an interrupted run leaves it behind
notices=()
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off
exec 3>&1
trap 'printf "\n[setup] interrupted; the next run starts over.\n" >&3; exit 130' INT TERM

say() { printf '[setup] %s\n' "$@"; }

# Said now, and again by every later run that finds nothing to do.
notice() {
  say "$@"
  notices+=("$@")
}

stop() {
  say "$@" >&2
  exit 1
}

# step LABEL COMMAND...: run it; one line with its seconds, and the end of its output if it fails.
step() {
  local label=$1 started=$SECONDS from status=0
  shift
  printf '[setup] %-60s ' "$label"
  printf -- '--- %s\n' "$label" >>"$log"
  from=$(wc -l <"$log")
  "$@" >>"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -eq 0 ]; then
    printf '%4d s\n' $((SECONDS - started))
  else
    printf 'failed, %d s\n' $((SECONDS - started))
    tail -n +$((from + 1)) "$log" | grep -v 'Location .* is ignored' | tail -n 15 | cut -c 1-160 | sed 's/^/    | /' || true
    printf '    | (all of it: .setup.log)\n'
  fi
  return "$status"
}

again=no with_pardiso=no
for argument in "$@"; do
  case $argument in
    --again) again=yes ;;
    --with-pardiso) with_pardiso=yes ;;
    *) stop "unknown option $argument; usage: ./scripts/setup.sh [--again] [--with-pardiso]" ;;
  esac
done

# --- The interpreter ------------------------------------------------------------------------------------------------

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate candidates=(python3 python3.14 python3.13 python3.12 python3.11)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    new_enough "$candidate" && command -v "$candidate" && return
  done
  return 1
}

python=$(find_python) || stop \
  "Python 3.11 or newer is needed; ${PYTHON:-python3} is: $({ "${PYTHON:-python3}" --version || true; } 2>&1 | head -n 1)" \
  "Debian 12, Ubuntu 24.04 and later have it as python3. If yours goes by another name, say so:" \
  "    PYTHON=/path/to/python3.12 ./scripts/setup.sh"
version=$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))')

# --- What the system lacks, by looking for the thing, not for the package -------------------------------------------

# The folder of the BLAS that SuiteSparse calls: openblas-pthread, blas (the reference, slow), ...
system_blas() {
  local library
  for library in /usr/lib/*/libblas.so.3 /usr/lib64/libblas.so.3 /usr/lib/libblas.so.3; do
    [ -e "$library" ] && basename "$(dirname "$(readlink -f "$library")")" && return
  done
  echo none
}

have_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }
have_headers() {
  "$python" -c 'import os, sys, sysconfig as s; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))'
}
have_suitesparse() {
  [ -e /usr/include/suitesparse/cholmod.h ] || [ -e "${SUITESPARSE_INCLUDE_DIR:-/usr/local/include}/cholmod.h" ]
}
can_compile() { command -v gcc >/dev/null && have_headers && have_suitesparse; }

# The Debian packages that would mend it.
lacking() {
  local name=python3
  [ "$(/usr/bin/python3 -c 'import sys; print("{}.{}".format(*sys.version_info))' 2>/dev/null)" = "$version" ] ||
    name=python$version
  have_venv || echo "$name-venv"
  [ "${SPARSE_ADJOINT_SKSPARSE:-}" != none ] || return 0
  have_headers || echo "$name-dev"
  command -v gcc >/dev/null || echo gcc
  command -v g++ >/dev/null || echo g++
  have_suitesparse || echo libsuitesparse-dev
  case $(system_blas) in blas | none) echo libopenblas0-pthread ;; esac
}

# --- Is there anything to do? ---------------------------------------------------------------------------------------

in_venv() { "$venv/bin/python" "$@"; }
has_pardiso() { in_venv -c 'import pypardiso' 2>/dev/null; }

# Whole, made for this place (a copy still points to the old one) and for this Python.
venv_is_sound() {
  [ -x "$venv/bin/python" ] && [ ! -e "$halfway" ] &&
    [[ $(grep '^command = ' "$venv/pyvenv.cfg") == *" $venv" ]] &&
    [[ $(grep '^version = ' "$venv/pyvenv.cfg") == "version = $version."* ]] &&
    in_venv -c "import sys, pip; sys.exit('{}.{}'.format(*sys.version_info) != '$version')"
} 2>/dev/null

key() {
  {
    cat pyproject.toml scripts/setup.sh
    echo "$venv" "$("$python" -VV)" "${SPARSE_ADJOINT_SKSPARSE:-}" "$(system_blas)"
    lacking
  } | sha256sum | cut -d ' ' -f 1
}

if [ "$again" = no ] && venv_is_sound && [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$(key)" ] &&
  { [ "$with_pardiso" = no ] || has_pardiso; }; then
  tail -n +2 "$stamp"
  exit
fi
{ : >"$log"; } 2>/dev/null || stop "cannot write in $root: clone the repository to a place of your own."
started=$SECONDS

# --- System packages ------------------------------------------------------------------------------------------------

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

apt_install() {
  as_root apt-get update -q || true # One broken source of many need not matter.
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

mapfile -t packages < <(lacking)
if [ ${#packages[@]} -gt 0 ] && command -v apt-get >/dev/null && as_root true 2>/dev/null; then
  say "to install by apt: ${packages[*]}"
  step "system packages" apt_install "${packages[@]}" || true
  mapfile -t packages < <(lacking)
fi
shell="su -c"
! command -v sudo >/dev/null || shell="sudo sh -c"
remedy="    $shell 'apt-get update && apt-get install -y ${packages[*]}'"
command -v apt-get >/dev/null ||
  remedy="    (no apt-get here: install what goes by these names on Debian: ${packages[*]})"

# --- Python packages ------------------------------------------------------------------------------------------------

# marked COMMAND...: run one that fills .venv; what it leaves behind when killed is marked, and not trusted again.
marked() {
  local status=0
  touch "$halfway"
  "$@" || status=$?
  [ "$status" -gt 128 ] || rm "$halfway"
  return "$status"
}
pip() { marked in_venv -m pip "$@"; }

if ! venv_is_sound; then
  have_venv || stop "$python cannot make a virtual environment, and there are no root rights to mend that." \
    "Have this one command run, then start again:" "$remedy"
  [ ! -e "$venv" ] || say "the .venv found here is incomplete, or made for another place or Python: making it anew"
  rm -rf "$venv"
  mkdir "$venv"
  step ".venv with Python $version" marked "$python" -m venv "$venv" || stop "no virtual environment could be made."
fi
rm -f "$stamp"
step "sparse-adjoint, its tools and pyamg" pip install -e '.[dev,amg]' ||
  stop "pip could not install the packages; is there a network? When mended, start again."

requirement=${SPARSE_ADJOINT_SKSPARSE:-$(in_venv -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["project"]["optional-dependencies"]["cholmod"])')}

install_cholmod() { pip install "$requirement" && in_venv -c 'import sksparse.cholmod'; }

if [ "$requirement" = none ]; then
  notice "Without scikit-sparse, as asked: factoring with SuperLU only."
  ! in_venv -c 'import sksparse' 2>/dev/null || step "scikit-sparse removed" pip uninstall -y scikit-sparse
elif ! can_compile; then
  notice "CHOLMOD, the fast Cholesky, cannot be compiled here; going on with SuperLU only. To have it:" \
    "$remedy" "then start again."
elif ! step "$requirement (CHOLMOD), compiled" install_cholmod; then
  notice "CHOLMOD, the fast Cholesky, could not be compiled; going on with SuperLU only." \
    "To try again: ./scripts/setup.sh --again"
elif [ ${#packages[@]} -gt 0 ]; then
  notice "CHOLMOD runs on the reference BLAS here, 4-10 times slower than on OpenBLAS. To mend it:" "$remedy"
fi

if [ "$with_pardiso" = yes ]; then
  step "pypardiso and MKL (about 700 MB)" pip install -e '.[pardiso]' || stop "Pardiso could not be installed."
fi

{
  key
  [ ${#notices[@]} -eq 0 ] || say "${notices[@]}"
} >"$stamp"
say "ready in $((SECONDS - started)) s; what was found: .venv/bin/python -m adjoint doctor"

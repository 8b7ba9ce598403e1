#!/usr/bin/env bash
# Make .venv and install the project into it, with one extra if given: setup_venv.sh [dev|bench|...]
# A stamp makes a second call cheap: pip runs again only when pyproject.toml or the extra changed.
set -euo pipefail
cd "$(dirname "$0")/.."

extra=${1:-}
python=${PYTHON:-python3}
stamp=.venv/.installed${extra:+-$extra}

fail() {
    echo "setup: $1" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

command -v "$python" >/dev/null || fail "no '$python' here: install Python 3.11 or newer, or name one with PYTHON=..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" -V) is too old: Python 3.11 or newer is needed; name one with PYTHON=..."

if [ ! -x .venv/bin/python ]; then
    # Debian splits venv from Python, and python -m venv then leaves half a folder behind.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        as_root true 2>/dev/null && as_root apt-get update -qq && as_root apt-get install -y -qq python3-venv ||
            fail "$python has no venv module: apt-get install python3-venv (as root), then try again"
    fi
    echo "setup: making .venv"
    rm -rf .venv
    "$python" -m venv .venv
fi

key=$(cat pyproject.toml - <<<"$PWD" | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$key" ]; then
    echo "setup: installing the project and what it needs into .venv (some minutes the first time)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${extra:+[$extra]}"
    echo "$key" >"$stamp"
fi

#!/bin/sh
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# scripts/venv.sh base|test
#
# Brings .venv to the state of requirements/base.txt (what the demo needs) or requirements/test.txt
# (all of it). Says nothing and takes no time when there is nothing to do. Inside it
# .venv/collections/ansible_collections/baileys/resilience is the repository itself, on Python's path
# and for ANSIBLE_COLLECTIONS_PATH.
set -eu
cd "$(dirname "$0")/.."

wanted=${1:?usage: scripts/venv.sh base|test}
mkdir -p .cache/log

# Two runs of make at once must not both build the environment.
exec 9>.cache/venv.lock
flock 9

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# A pyenv shim is found on PATH and yet does not run: ask the interpreter itself.
runs() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null
}

# Debian ships Python without the parts that make an environment.
makes_environments() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Every pinned package has wheels for 3.11 to 3.14; 3.14 comes late because ansible-core 2.19, which
# most users run, does not support it.
find_python() {
    usable=
    for candidate in python3.13 python3.12 python3.11 python3 python3.14; do
        runs "$candidate" || continue
        if makes_environments "$candidate"; then
            echo "$candidate"
            return
        fi
        : "${usable:=$candidate}"
    done
    [ -n "$usable" ] || fail "No Python 3.11, 3.12, 3.13 or 3.14 was found on PATH." \
        "Install one (Debian, Ubuntu: apt-get install python3 python3-venv) and run make again."
    package=$("$usable" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    sh scripts/debian_packages.sh "$package" >&2 || return 1
    makes_environments "$usable" || fail "$usable still cannot import ensurepip and venv after $package was installed." \
        "Put a complete Python 3.11 or newer first on PATH and run make again."
    echo "$usable"
}

digest() {
    sha256sum "requirements/$1.txt" scripts/venv.sh | sha256sum | cut -d' ' -f1
}

installed() {
    [ -f ".venv/$1.installed" ] && [ "$(cat ".venv/$1.installed")" = "$(digest "$1")" ]
}

# test.txt contains base.txt, so either of them will do for the demo.
if .venv/bin/python -c '' 2>/dev/null; then
    installed "$wanted" && exit 0
    [ "$wanted" = base ] && installed test && exit 0
else
    python=$(find_python)
    echo "venv: creating .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi

echo "venv: installing requirements/$wanted.txt"
rm -f ".venv/$wanted.installed"
# Wheels only: nothing is compiled, nothing in a package is run while it is installed.
if ! .venv/bin/python -m pip install --disable-pip-version-check --only-binary :all: --require-hashes \
    --requirement "requirements/$wanted.txt" >.cache/log/venv.log 2>&1; then
    cat .cache/log/venv.log >&2
    fail "venv: pip could not install requirements/$wanted.txt (above; also in .cache/log/venv.log)."
fi

mkdir -p .venv/collections/ansible_collections/baileys
ln -sfn ../../../.. .venv/collections/ansible_collections/baileys/resilience
# Relative to site-packages, so the environment survives a move of the repository.
for packages in .venv/lib/python3.*/site-packages; do
    echo ../../../collections >"$packages/baileys_resilience.pth"
done
digest "$wanted" >".venv/$wanted.installed"

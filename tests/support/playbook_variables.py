# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables the playbooks read, their defaults, and the module options they set.

The templates are parsed by Jinja itself, so whatever way a playbook is rewritten, what it reads is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import jinja2.nodes
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted((ROOT / "playbooks").rglob("*.yml"))
COLLECTION = "baileys.resilience."
# The variable that holds one entry of backup_sources.
SOURCE = "backup_source"
# Ansible's own.
MAGIC = {"ansible_check_mode", "ansible_play_hosts_all", "hostvars", "inventory_hostname", "lookup", "omit", "query"}
# Keys of a task or play whose value is an expression without braces.
_EXPRESSIONS = {"when", "that", "failed_when", "changed_when", "until"}
_OMITTED = "omitted: the module's own default"

# Undefined at any depth is undefined, as for Ansible's `default`.
_JINJA = jinja2.Environment(undefined=jinja2.ChainableUndefined)  # noqa: S701 - what is rendered is no web page


@dataclass(frozen=True)
class Option:
    """How a playbook sets one option of a module.

    `keys` are those of a source, `variables` those of the inventory. `default` is what the option is set
    to when neither is given, None where the module's own default holds.
    """

    module: str
    name: str
    keys: tuple[str, ...]
    variables: tuple[str, ...]
    default: str | None


@cache
def options() -> tuple[Option, ...]:
    """Every option that some task sets of a module of this collection, once for each way it is set."""
    found: dict[Option, None] = {}
    for task in _mappings(_content()):
        for key, arguments in task.items():
            if str(key).startswith(COLLECTION) and isinstance(arguments, dict):
                for name, template in arguments.items():
                    for chosen in _resolved(str(template)):
                        found[_option(str(key).removeprefix(COLLECTION), name, chosen)] = None
    return tuple(found)


@cache
def variables() -> dict[str, str | None]:
    """Every variable a user may set, with the default a playbook itself gives it as a literal (else None)."""
    read = {name for template in _templates(_content()) for name in _names(template)}
    found: dict[str, str | None] = dict.fromkeys(sorted(read - set(_assigned()) - MAGIC))
    for template in _templates(_content()):
        for name, default in _literal_defaults(template):
            if name in found and default is not None:
                found[name] = default
    return found


@cache
def source_keys() -> frozenset[str]:
    """Every key of an entry of backup_sources that a playbook reads."""
    keys = {key for template in _templates(_content()) for key in _keys(template)}
    # The one filter that reads a key by its name.
    return frozenset(keys | {"name"})


@cache
def _content() -> list[Any]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in PLAYBOOKS]


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(item)


def _templates(value: Any, expression: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _templates(item, key in _EXPRESSIONS)
    elif isinstance(value, list):
        for item in value:
            yield from _templates(item, expression)
    elif isinstance(value, str):
        yield "{{ %s }}" % value if expression else value


@cache
def _assigned() -> dict[str, tuple[str, ...]]:
    """What the playbooks set themselves, with the templates it is set to; not for a user to set."""
    found: dict[str, tuple[str, ...]] = {}
    for mapping in _mappings(_content()):
        for name, template in (mapping.get("vars") or {}).items():
            found[name] = (*found.get(name, ()), str(template))
        for key in ("register", "loop_var"):
            if isinstance(mapping.get(key), str):
                found.setdefault(mapping[key], ())
    return found


def _resolved(template: str) -> Iterator[str]:
    """The template, or those that stand behind it where it is nothing but a variable the playbooks set."""
    name = template.strip("{} ")
    if _assigned().get(name):
        for behind in _assigned()[name]:
            yield from _resolved(behind)
    else:
        yield template


def _option(module: str, name: str, template: str) -> Option:
    rendered = _JINJA.from_string(template).render({SOURCE: {"name": "<name>"}, "omit": _OMITTED})
    return Option(
        module=module,
        name=name,
        keys=tuple(sorted(_keys(template))),
        variables=tuple(sorted(_names(template) - set(_assigned()) - MAGIC)),
        default=None if rendered == _OMITTED else rendered,
    )


def _names(template: str) -> set[str]:
    # Not jinja2.meta: it wants Ansible's filters to be there.
    found = list(_JINJA.parse(template).find_all(jinja2.nodes.Name))
    return {node.name for node in found if node.ctx == "load"} - {node.name for node in found if node.ctx == "store"}


def _keys(template: str) -> set[str]:
    """The keys of a source that a template reads: `source.key`, `source['key']`, `source.get('key')`."""
    tree = _JINJA.parse(template)
    found: list[tuple[jinja2.nodes.Node, str]] = []
    found += [(node.node, node.attr) for node in tree.find_all(jinja2.nodes.Getattr) if node.attr != "get"]
    found += [(node.node, node.arg.as_const()) for node in tree.find_all(jinja2.nodes.Getitem)]
    for call in tree.find_all(jinja2.nodes.Call):
        if isinstance(call.node, jinja2.nodes.Getattr) and call.node.attr == "get":
            found.append((call.node.node, call.args[0].as_const()))
    return {key for node, key in found if isinstance(node, jinja2.nodes.Name) and node.name == SOURCE}


def _literal_defaults(template: str) -> Iterator[tuple[str, str | None]]:
    for node in _JINJA.parse(template).find_all(jinja2.nodes.Filter):
        if node.name == "default" and isinstance(node.node, jinja2.nodes.Name) and node.args:
            literal = node.args[0]
            yield node.node.name, str(literal.value) if isinstance(literal, jinja2.nodes.Const) else None

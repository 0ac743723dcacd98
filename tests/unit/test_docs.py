# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README, the guides and the example inventory say is so.

That the commands of the README work is shown in tests/integration/test_readme.py.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.baileys.resilience.plugins.module_utils.backup import describe
from ansible_collections.baileys.resilience.plugins.module_utils.reporting import status
from tests.support import documents, playbook_variables
from tests.support.documents import DOCUMENTS, ROOT, Document, literals

README = documents.read(ROOT / "README.md")
SETTINGS = documents.read(ROOT / "docs/settings.md")
MANIFEST = documents.read(ROOT / "docs/manifest.md")
REPORTING = documents.read(ROOT / "docs/reporting.md")
EXAMPLE = ROOT / "inventories/example"
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
DOCUMENT_IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
# Modules that are not about a source, whatever their options are called.
NO_SOURCE = (
    "apt_packages",
    "dotenv",
    "pm2_app",
    "pm2_app_info",
    "private_directories",
    "runner_release",
    "session_standby_info",
)
# What the playbooks set by themselves, to what the run is about.
NOT_A_SETTING = {("notify", "job"), ("notify", "results"), ("notify", "host")}


class CalledError(Exception):
    """Carries the argument specification out of a module."""


@cache
def specification(module: str) -> dict[str, dict[str, Any]]:
    """The options of a module as it declares them to Ansible."""

    def declare(**keywords: Any) -> None:
        raise CalledError(keywords["argument_spec"])

    code = importlib.import_module(f"ansible_collections.baileys.resilience.plugins.modules.{module}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "AnsibleModule", declare)
        try:
            code.main()
        except CalledError as called:
            found: dict[str, dict[str, Any]] = called.args[0]
            return found
    raise AssertionError(f"{module} did not call AnsibleModule")


@cache
def documented_options(module: str) -> frozenset[str]:
    """The options in the module's own documentation and in the fragments it extends."""
    described = _documentation(ROOT / f"plugins/modules/{module}.py")
    fragments = described.get("extends_documentation_fragment", [])
    parts = [_documentation(ROOT / f"plugins/doc_fragments/{name.rpartition('.')[2]}.py") for name in fragments]
    return frozenset(name for part in [described, *parts] for name in part.get("options") or {})


def _documentation(path: Path) -> dict[str, Any]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            described: dict[str, Any] = yaml.safe_load(ast.literal_eval(node.value))
            return described
    raise AssertionError(f"{path} has no DOCUMENTATION")


@cache
def settings() -> dict[str, tuple[list[str], str, str]]:
    """The tables of docs/settings.md: name -> (its variables, default, module option).

    The name is `source.<key>` for a key of a source, else that of the variable.
    """
    found: dict[str, tuple[list[str], str, str]] = {}
    for key, variable, default, meaning, option in SETTINGS.rows("A source"):
        assert meaning, key
        found["source." + literals(key)[0]] = (literals(variable), default, option)
    for section in ("What a run is about", "A host", "A restore", "An emergency", "Reporting"):
        for variable, default, meaning, option in SETTINGS.rows(section):
            assert meaning, variable
            found[literals(variable)[0]] = (literals(variable), default, option)
    return found


def test_every_variable_of_the_playbooks_is_in_the_settings_and_no_other() -> None:
    described = [name for variables, _default, _option in settings().values() for name in variables]
    assert sorted(described) == sorted(playbook_variables.variables())


def test_every_key_of_a_source_is_in_the_settings_and_no_other() -> None:
    described = {name.removeprefix("source.") for name in settings() if name.startswith("source.")}
    assert described == playbook_variables.source_keys()


def set_options() -> Iterator[tuple[str, list[playbook_variables.Option]]]:
    """Each name in the settings with the options the playbooks set from it."""
    for name, (variables, _default, _option) in settings().items():
        key = name.removeprefix("source.") if name.startswith("source.") else None
        yield (
            name,
            [
                option
                for option in playbook_variables.options()
                # An option that may be made of two keys (backup_root of name) is that of its own name.
                if (key is not None and (option.keys == (key,) or (key in option.keys and key == option.name)))
                or (key is None and set(variables) & set(option.variables))
            ],
        )


@pytest.mark.parametrize(("name", "options"), [pytest.param(*pair, id=pair[0]) for pair in set_options()])
def test_a_setting_sets_the_option_it_says_with_the_default_it_says(
    name: str, options: list[playbook_variables.Option]
) -> None:
    variables, default, option_cell = settings()[name]
    if not options:
        assert not re.fullmatch("`[a-z_]+`", option_cell), "no task sets such an option from it"
        literal = playbook_variables.variables()[name]
        # Jinja and YAML write a Boolean each in their own way.
        assert literal is None or default.casefold() == f"`{literal}`".casefold()
        return
    assert {option.name for option in options} == {option_cell.strip("`")}
    if name.startswith("source."):
        assert {option.variables for option in options} == {tuple(variables)}
    expected: list[str] = []
    for option in options:
        own = specification(option.module)[option.name].get("default")
        value = option.default if option.default is not None else own
        if value is not None:
            text = json.dumps(value) if isinstance(value, (bool, dict)) else str(value)
            expected += [text] if text not in expected else []
    if expected and name != "source.name":
        assert literals(default) == expected
    else:
        # There is no value to quote: the cell says in words where it comes from.
        assert not re.fullmatch("`[^`]+`", default)


@pytest.mark.parametrize("module", MODULES)
def test_every_option_of_a_module_is_documented(module: str) -> None:
    assert documented_options(module) == set(specification(module))


def test_the_options_that_no_variable_sets_are_listed() -> None:
    listed = {
        literals(module)[0]: set(literals(options))
        for module, options in SETTINGS.rows("Options that no variable sets")
    }
    assert set(listed) == set(MODULES)
    for module in MODULES:
        by_playbook = {option.name for option in playbook_variables.options() if option.module == module}
        rest = set(specification(module)) - by_playbook
        if not by_playbook and module not in NO_SOURCE:
            # The row refers to the table of a source for those it has in common with pg_backup.
            for fragment in ("connection", "session_store", "state"):
                rest -= set(_documentation(ROOT / f"plugins/doc_fragments/{fragment}.py")["options"])
        assert listed[module] == rest, module
    for option in playbook_variables.options():
        # What a task sets is set from a setting, or is the task's own affair.
        assert option.keys or option.variables or (option.module, option.name) in NOT_A_SETTING, option


@pytest.mark.parametrize("path", DOCUMENTS, ids=DOCUMENT_IDS)
def test_links_lead_somewhere(path: Path) -> None:
    document = documents.read(path)
    for link in document.links():
        if link.startswith("https://"):
            continue
        target, _, fragment = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{path}: {link}"
        assert there.is_relative_to(ROOT), f"{path}: {link} leaves the repository"
        if fragment:
            anchors = [documents.anchor(heading) for heading in documents.read(there).headings]
            assert fragment in anchors, f"{path}: {link}"


def test_every_guide_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in README.links()}
    guides = {str(path.relative_to(ROOT)) for path in DOCUMENTS if path != README.path}
    assert guides <= linked


@pytest.mark.parametrize("path", DOCUMENTS, ids=DOCUMENT_IDS)
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert "demo" in targets
    used = {name for code in documents.all_code(documents.read(path)) for name in re.findall(r"\bmake ([a-z-]+)", code)}
    assert used <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=DOCUMENT_IDS)
def test_names_of_the_collection_exist(path: Path) -> None:
    playbooks = {playbook.stem for playbook in (ROOT / "playbooks").glob("*.yml")}
    filters = {described.stem for described in (ROOT / "plugins/filter").glob("*.yml")}
    used = {
        name
        for code in documents.all_code(documents.read(path))
        for name in re.findall(r"\bbaileys\.resilience\.(\w+)", code)
    }
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert used <= playbooks | filters | set(MODULES) | roles


def test_the_readme_lists_every_playbook_and_module() -> None:
    listed = {
        name.removeprefix("baileys.resilience.") for row in README.rows("What is in it") for name in literals(row[0])
    }
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert listed == playbooks | set(MODULES) | roles


@pytest.mark.parametrize("path", DOCUMENTS, ids=DOCUMENT_IDS)
def test_commands_are_well_formed(path: Path) -> None:
    for text in documents.read(path).code("sh"):
        checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, text + checked.stderr


def test_error_messages_name_sections_that_exist() -> None:
    named = [
        section
        for directory in ("playbooks", "plugins")
        for path in (ROOT / directory).rglob("*.*")
        if path.suffix in (".yml", ".py")
        for section in re.findall(r'README, "([^"]+)"', path.read_text(encoding="utf-8"))
    ]
    assert named, "the message of playbooks/tasks/sources.yml names one"
    assert set(named) <= set(README.headings)


@cache
def role_variables() -> frozenset[str]:
    """The variables that the roles say they take."""
    specifications = [yaml.safe_load(path.read_text()) for path in ROOT.glob("roles/*/meta/argument_specs.yml")]
    return frozenset(name for role in specifications for name in role["argument_specs"]["main"]["options"])


def known_variables(host: dict[str, Any]) -> None:
    """Every variable of a host is Ansible's own or one that the playbooks read; so is every key of a source."""
    names = {name for name in host if not name.startswith("ansible_")}
    assert names <= set(playbook_variables.variables()) | role_variables()
    assert host["backup_sources"]
    for source in host["backup_sources"]:
        assert "name" in source
        assert set(source) <= playbook_variables.source_keys()


def test_the_first_inventory_holds_what_the_playbooks_read() -> None:
    (first, *others) = README.code("yaml", "The first inventory")
    inventory = yaml.safe_load(first)
    assert len(first.splitlines()) <= 20
    (host,) = inventory["all"]["hosts"].values()
    known_variables(host)
    # The other blocks go into it, or beside it.
    vault, env_file = others
    assert "!unsafe" in vault
    assert host["backup_sources"][0]["login_password"] == "{{ %s }}" % vault.partition(":")[0]
    assert set(yaml.safe_load(env_file)) <= playbook_variables.source_keys()


@cache
def example_hosts() -> dict[str, dict[str, Any]]:
    listed = subprocess.run(
        [Path(sys.prefix) / "bin" / "ansible-inventory", "-i", EXAMPLE, "--list"],
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, "ANSIBLE_HOME": "/nonexistent", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    assert "WARNING" not in listed.stderr, listed.stderr
    hosts: dict[str, dict[str, Any]] = json.loads(listed.stdout)["_meta"]["hostvars"]
    return hosts


def test_the_example_inventory_holds_what_the_playbooks_read() -> None:
    assert sorted(example_hosts()) == ["app1", "keeper1"]
    for host in example_hosts().values():
        known_variables(host)


def test_the_secrets_of_the_example_are_in_its_vault_and_nothing_else() -> None:
    used = set(re.findall(r"\bvault_\w+", json.dumps(example_hosts())))
    vault = (EXAMPLE / "group_vars/all/vault.yml.example").read_text(encoding="utf-8")
    given = set(re.findall(r"^(vault_\w+): !unsafe '", vault, re.MULTILINE))
    assert used == given
    assert len(given) == len(re.findall(r"^\w", vault, re.MULTILINE)), "every value is marked !unsafe"
    for host in example_hosts().values():
        for name, value in _pairs(host):
            if re.search(r"(password|token|dsn)\Z", name):
                assert re.fullmatch(r"{{ vault_\w+ }}", str(value)), name


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield name, item
            yield from _pairs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _pairs(item)


def test_the_manifest_of_the_guide_is_one() -> None:
    (text,) = MANIFEST.code("json")
    manifest = json.loads(text)
    assert describe.seal(manifest) == manifest
    assert list(manifest) == [key for row in MANIFEST.rows("Keys") for key in literals(row[0])]


def test_the_states_of_the_guide_are_all() -> None:
    assert [literals(row[0])[0] for row in MANIFEST.rows("States")] == [*describe.STATES, "foreign"]


def test_the_status_file_of_the_guide_is_one(tmp_path: Path) -> None:
    (text,) = REPORTING.code("json")
    (tmp_path / "status").mkdir()
    (tmp_path / "status" / "backup.json").write_text(text, encoding="utf-8")
    assert status.read(str(tmp_path), "backup")["whatsapp"].level == "warning"


def headline(document: Document) -> str:
    return document.headings[0]


@pytest.mark.parametrize("path", DOCUMENTS, ids=DOCUMENT_IDS)
def test_a_document_has_one_title_and_no_heading_twice(path: Path) -> None:
    document = documents.read(path)
    titles = [line for _section, line in document.prose if line.startswith("# ")]
    assert titles == [f"# {headline(document)}"]
    assert len(set(document.headings)) == len(document.headings)

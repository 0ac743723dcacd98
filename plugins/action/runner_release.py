# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of this name, and sends it the collection's files if the host does not have them yet."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from ansible_collections.baileys.resilience.plugins.plugin_utils.packed_collection import (
    PackedCollection,
    collection_directory,
    pack_collection,
)


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible publishes no types
    """The module is asked first with the digest alone."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> Any:
        """Of the module's results the last one."""
        result = super().run(tmp, task_vars)
        try:
            packed = pack_collection(collection_directory())
        except ResilienceError as error:
            raise AnsibleActionFail(error.message) from error
        try:
            answer = self._ask(packed, None, task_vars)
            if answer.pop("needs_collection", False):
                answer = self._ask(packed, self._send(packed), task_vars)
                answer.pop("needs_collection", None)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return {**result, **answer}

    def _ask(self, packed: PackedCollection, archive: str | None, task_vars: Any) -> dict[str, Any]:
        arguments = {
            **self._task.args,
            "collection_digest": packed.digest,
            **({"collection_archive": archive} if archive else {}),
        }
        answer: dict[str, Any] = self._execute_module(
            module_name="baileys.resilience.runner_release", module_args=arguments, task_vars=task_vars
        )
        return answer

    def _send(self, packed: PackedCollection) -> str:
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        path: str = shell.join_path(shell.tmpdir, "collection.tar.gz")
        self._transfer_data(path, packed.archive)
        self._fixup_perms2((shell.tmpdir, path))
        return path

#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: notify
short_description: Tell the team what jobs did, through Telegram and Sentry
version_added: 0.1.0
description:
  - Sends the reports of the collection's modules to a Telegram chat and to Sentry, and enters them into the status
    and metrics files of the host.
  - A task that failed without a report of its own, because its module crashed or its host was unreachable, becomes a
    fatal report.
  - Telegram gets one message for the whole list, failures first; a list that does not fit into 4,096 UTF-16 units
    gets up to four. A message with successes only makes no sound.
  - Sentry gets an event for each report with its level, its numbers as metrics, and a check-in of a cron monitor if
    O(monitor_schedule) is given.
  - Both are told at the same time. Neither can fail the play or delay it by more than O(timeout); what was not
    delivered is a warning, unless O(strict) is set.
  - Secrets are taken out of everything that is sent, returned or kept. This covers the tokens given here, values under
    names such as C(login_password) anywhere in O(results) and O(reports), and whatever has the shape of a secret.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.state
  - baileys.resilience.attributes
requirements:
  - requests
  - sentry-sdk 2.44 or newer, for Sentry
options:
  job:
    description:
      - Name of the job, for example V(backup). It names the Sentry monitor, and the job in reports made of failures.
      - Lower-case letters, digits, V(_) and V(-).
    type: str
    required: true
  results:
    description:
      - Results of the tasks to report, as registered. Of a loop that is the list C(results) of the registered variable;
        of a single task a list with the variable.
      - Results that were skipped, or went well without a report, are left out.
      - The values are treated as secrets, since the items of a loop often hold passwords. They are neither logged nor
        shown.
    type: list
    elements: dict
    default: []
  reports:
    description:
      - Reports as the modules return them under C(report), or written by hand. Needed are C(job), C(subject), C(level)
        (V(info), V(warning), V(error) or V(fatal)) and C(title).
      - C(facts) (a dictionary of texts), C(remedy), C(measurements) (a dictionary of numbers), C(duration) (seconds) and
        C(at) (time in ISO 8601) are optional.
      - Treated as secrets like O(results).
    type: list
    elements: dict
    default: []
  host:
    description:
      - Name of the host in messages, tags and the Sentry monitor. The inventory's name is a good one.
      - The default is the host's own name.
    type: str
  telegram_token:
    description:
      - Token of the Telegram bot. Without it nothing is sent to Telegram.
      - If not given, the environment variable E(TELEGRAM_BOT_TOKEN) is used.
    type: str
  telegram_chat_id:
    description:
      - Chat, group or channel that gets the messages. The identifier of a group is negative.
      - If not given, the environment variable E(TELEGRAM_CHAT_ID) is used.
    type: str
  telegram_api_url:
    description:
      - Address of the Bot API, for a server of your own.
    type: str
    default: https://api.telegram.org
  telegram_min_level:
    description:
      - Lowest level that is sent to Telegram.
    type: str
    choices: [info, warning, error, fatal]
    default: info
  sentry_dsn:
    description:
      - DSN of the Sentry project. Without it nothing is sent to Sentry.
      - If not given, the environment variable E(SENTRY_DSN) is used.
    type: str
  sentry_environment:
    description:
      - Environment in Sentry. If not given, it is the environment variable E(SENTRY_ENVIRONMENT), else C(production).
    type: str
  monitor_schedule:
    description:
      - When the job is due, as a crontab line in UTC, for example V(0 3 * * *). With it, a check-in of the Sentry cron
        monitor C(<job>-<host>) is sent, which creates and updates the monitor. Sentry then raises an alarm when the
        job has not been heard of, whatever the reason.
      - Without it there is no check-in.
    type: str
  monitor_margin:
    description:
      - Minutes after the scheduled time within which the check-in must arrive. It is sent when the job is over, so this
        covers the job's duration.
    type: int
    default: 60
  timeout:
    description:
      - Seconds that sending may take in all, repetitions and waiting included.
    type: float
    default: 10.0
  strict:
    description:
      - Whether the module fails when something could not be delivered or kept.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    details:
      - Nothing is sent or kept; RV(messages) and RV(reports) are what would be.
  diff_mode:
    support: N/A
notes:
  - The module never reports a change. A message changes nothing on the host, and the status and metrics files are a
    record of what happened, as a log is.
seealso:
  - module: baileys.resilience.pg_backup
  - module: baileys.resilience.pg_backup_verify
"""

EXAMPLES = r"""
- name: Back up every database, and report whatever comes of it
  block:
    - name: Back up
      baileys.resilience.pg_backup:
        source: "{{ item.name }}"
        backup_root: "/var/backups/postgresql/{{ item.name }}"
        env_file: "{{ item.env_file }}"
      loop: "{{ backup_sources }}"
      register: run
  always:
    - name: Tell the team
      baileys.resilience.notify:
        job: backup
        host: "{{ inventory_hostname }}"
        results: "{{ run.results | default([run]) }}"
        telegram_token: "{{ telegram_token }}"
        telegram_chat_id: "{{ telegram_chat_id }}"
        sentry_dsn: "{{ sentry_dsn }}"
        monitor_schedule: "0 3 * * *"

- name: Report something of your own, and fail if nobody hears of it
  baileys.resilience.notify:
    job: maintenance
    reports:
      - job: maintenance
        subject: app
        level: warning
        title: the certificate of the database ends in ten days
        remedy: Ask the provider for a new one.
    telegram_token: "{{ telegram_token }}"
    telegram_chat_id: "{{ telegram_chat_id }}"
    strict: true
"""

RETURN = r"""
level:
  description: The worst level among the reports.
  returned: success
  type: str
  sample: info
reports:
  description: The reports without secrets, as they were sent and kept.
  returned: success
  type: list
  elements: dict
  sample:
    - job: backup
      subject: app
      level: info
      title: backup made and verified
      facts:
        - label: Size
          value: 353.2 kB
      remedy: null
      measurements:
        archive_bytes: 353187.0
      at: "2026-01-31T03:00:02Z"
      duration: 1.1
messages:
  description: The Telegram messages as a reader sees them; in check mode those that would be sent.
  returned: success
  type: list
  elements: str
  sample:
    - "backup on db1: 1 ok\n🟢 app: backup made and verified\nSize: 353.2 kB"
sent:
  description: How many messages (C(telegram)) and items (C(sentry)) were accepted, for each channel that was tried.
  returned: success
  type: dict
  sample:
    telegram: 1
    sentry: 3
delivery_warnings:
  description: What could not be delivered or kept, and why.
  returned: success
  type: list
  elements: str
  sample:
    - "Telegram: message 1 of 1 was not delivered: connection refused."
seconds:
  description: How long sending took.
  returned: success
  type: float
  sample: 0.412
"""

import platform
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    default_state_directory,
    run_module,
    state_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.notification import gather, notify
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.redact import find_secrets
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import LEVELS
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.settings import (
    DEFAULT_TIMEOUT_SECONDS,
    TELEGRAM_API_URL,
    delivery_settings,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError


def arguments() -> dict[str, Any]:
    return dict(
        state_options(),
        job={"type": "str", "required": True},
        results={"type": "list", "elements": "dict", "default": [], "no_log": True},
        reports={"type": "list", "elements": "dict", "default": [], "no_log": True},
        host={"type": "str"},
        telegram_token={"type": "str", "no_log": True, "fallback": (env_fallback, ["TELEGRAM_BOT_TOKEN"])},
        telegram_chat_id={"type": "str", "fallback": (env_fallback, ["TELEGRAM_CHAT_ID"])},
        telegram_api_url={"type": "str", "default": TELEGRAM_API_URL},
        telegram_min_level={"type": "str", "choices": list(LEVELS), "default": "info"},
        sentry_dsn={"type": "str", "no_log": True, "fallback": (env_fallback, ["SENTRY_DSN"])},
        sentry_environment={"type": "str"},
        monitor_schedule={"type": "str"},
        monitor_margin={"type": "int", "default": 60},
        timeout={"type": "float", "default": DEFAULT_TIMEOUT_SECONDS},
        strict={"type": "bool", "default": False},
    )


def take_data(module: AnsibleModule) -> tuple[list[dict[str, Any]], frozenset[str]]:
    """Take the reports and results out of the module's arguments; return them and the secrets they hold.

    Ansible would hide every text of theirs ("info", a source's name) wherever it stands in the module's result.
    It is told what the secrets are instead, and gets nothing to print as arguments.
    """
    data = [*module.params["reports"], *module.params["results"]]
    module.params.update(reports=[], results=[])
    channels = (module.params["telegram_token"], module.params["sentry_dsn"])
    secrets = find_secrets(data) | {secret for secret in channels if secret}
    module.no_log_values.clear()
    module.no_log_values.update(secrets)
    return data, secrets


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(), supports_check_mode=True)
    data, secrets = take_data(module)

    def work() -> dict[str, Any]:
        given = module.params
        host = given["host"] or platform.node()
        settings, advice = delivery_settings(given, host, tuple(secrets))
        state_directory = given["state_directory"] or default_state_directory()
        result = notify(gather(given["job"], host, data), settings, state_directory, module.check_mode)
        result["delivery_warnings"] = [*advice, *result["delivery_warnings"]]
        if given["strict"] and result["delivery_warnings"]:
            raise ResilienceError(
                "Not everything was delivered: " + " ".join(result["delivery_warnings"]), stage="report"
            )
        return dict(result, warnings_=result["delivery_warnings"])

    run_module(module, work)


if __name__ == "__main__":
    main()

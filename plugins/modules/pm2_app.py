#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pm2_app
short_description: A Node.js service or a scheduled job under PM2
version_added: 0.1.0
description:
  - Brings one app of PM2 to the state and the settings that the task says, and changes nothing when it is so already.
  - An app with O(cron_restart) and without O(autorestart) is a job. It is registered without being run, which C(pm2 start)
    cannot do, and runs at its hours only.
  - A setting that is not given has PM2's default. What PM2 can be told besides and this module has no option for, such
    as C(max_restarts), stays as it is.
  - The app's environment is what O(env) says, with E(HOME), E(PATH) and E(PM2_HOME); nothing of the environment of
    whoever runs the task. An app whose settings differ is deleted and entered anew, since no restart of PM2 drops a
    variable. If it does not come up, it is put back as it was.
  - It is tested with PM2 7.0.4.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.pm2
  - baileys.resilience.attributes
options:
  name:
    description:
      - Name of the app. A number and V(all) are refused, since PM2 takes them for something else.
    type: str
    required: true
  state:
    description:
      - V(present) registers the app without running it. One that runs is left running, with the settings of the task.
      - V(started) has it run. It is refused for a job, which would run with every play.
      - V(stopped) has it registered and not running. A schedule remains, and runs it at its next tick.
      - V(restarted) ends and starts it, with every run of the task; a job is run now.
      - V(reloaded) replaces the instances of a cluster one after the other, without a gap unless its settings differ.
      - V(absent) stops it and takes it off PM2's list, with its schedule.
    type: str
    choices: [present, started, stopped, restarted, reloaded, absent]
    default: started
  script:
    description:
      - The program, absolute or below O(cwd). Required unless O(state=absent).
    type: path
  args:
    description:
      - Its arguments, each as it is. They are visible to everybody on the host; secrets belong into O(env).
    type: list
    elements: str
    default: []
  interpreter:
    description:
      - The program that runs the script; V(none) executes it as it is.
      - The default goes by the extension (C(.js), C(.cjs), C(.mjs), C(.py), C(.sh), C(.rb), C(.php), C(.pl)) and is
        V(none) for any other.
    type: str
  interpreter_args:
    description:
      - Arguments of the interpreter.
    type: list
    elements: str
    default: []
  cwd:
    description:
      - The working directory. The default is the directory of the script.
    type: path
  namespace:
    description:
      - PM2's namespace.
    type: str
    default: default
  env:
    description:
      - The app's variables. Values are never shown. A variable that PM2 has and that is not given is dropped.
      - Names that PM2 gives a meaning to, such as V(name) or V(status), are refused.
    type: dict
    default: {}
  cron_restart:
    description:
      - When to run the app, or to run it anew, as a cron pattern. It follows the time zone of PM2's daemon; a warning says
        so when that is not UTC.
      - At a tick PM2 ends what still runs (see O(kill_timeout)).
    type: str
  autorestart:
    description:
      - Whether PM2 starts the app again when it ends.
    type: bool
    default: true
  instances:
    description:
      - Number of processes; V(0) for one for each processor. As with PM2, giving it for a script of Node.js makes
        a cluster unless O(exec_mode) says otherwise.
    type: int
  exec_mode:
    description:
      - V(fork) or V(cluster). The default is V(cluster) when O(instances) is given for a script of Node.js.
    type: str
    choices: [fork, cluster]
  max_memory_restart:
    description:
      - Restart the app when it uses more memory than this, such as V(300M).
    type: str
  kill_timeout:
    description:
      - Milliseconds between SIGINT and SIGKILL when the app is ended, at a tick too. The default is PM2's, 1600.
    type: int
  wait_ready:
    description:
      - Whether the app says itself that it is ready (C(process.send('ready'))). If it has not within O(listen_timeout),
        the task fails, though PM2 has it as online.
    type: bool
    default: false
  listen_timeout:
    description:
      - Milliseconds to wait for that, and for a reload. The default is PM2's, 3000.
    type: int
  out_log:
    description:
      - File for the standard output. The default is C(<name>-out.log) in PM2's directory of logs.
    type: path
  err_log:
    description:
      - File for the standard error. The default is C(<name>-error.log) in PM2's directory of logs.
    type: path
  log:
    description:
      - File for both, besides the two.
    type: path
  merge_logs:
    description:
      - Whether the instances share their files. If not, PM2 puts a number before C(.log). The default is V(true) for
        an app of one process in fork mode.
    type: bool
  time:
    description:
      - Whether each line of the logs begins with the time.
    type: bool
    default: false
  save:
    description:
      - Whether the app is brought back at boot (C(pm2 resurrect)) as it is now. Only this app is changed in the saved
        list. A job is always saved as not running, so that a boot does not run it.
      - The saved list gets the mode 0600. It holds the environment of every app.
    type: bool
    default: true
  settle_time:
    description:
      - How many seconds an app must stay up to count as started.
    type: float
    default: 2
  stop_timeout:
    description:
      - How many seconds to wait, after PM2 says that the app has ended, until none of its processes lives. The default
        is O(kill_timeout) and a second.
    type: float
  job_timeout:
    description:
      - How many seconds O(state=present) waits for a job that runs before it changes its settings.
    type: float
    default: 60
  lock_timeout:
    description:
      - How many seconds to wait for another run on the same PM2.
    type: float
    default: 60
attributes:
  check_mode:
    support: full
    details:
      - It asks PM2 and looks at the files, starts no daemon, and returns what it would do.
  diff_mode:
    support: full
    details:
      - The settings that differ. Of variables the names, and which of them change.
seealso:
  - module: baileys.resilience.pm2_app_info
"""

EXAMPLES = r"""
- name: The service
  baileys.resilience.pm2_app:
    name: whatsapp
    script: dist/main.js
    cwd: /opt/app
    env:
      NODE_ENV: production
    max_memory_restart: 600M
    kill_timeout: 8000
    user: app

- name: A job at 03:00, which does not run now
  baileys.resilience.pm2_app:
    name: nightly-backup
    state: present
    script: /usr/local/bin/nightly-backup
    cron_restart: "0 3 * * *"
    autorestart: false
    kill_timeout: 60000

- name: Run that job now
  baileys.resilience.pm2_app:
    name: nightly-backup
    state: restarted
    script: /usr/local/bin/nightly-backup
    cron_restart: "0 3 * * *"
    autorestart: false
    kill_timeout: 60000

- name: It is no longer needed
  baileys.resilience.pm2_app:
    name: worker
    state: absent
"""

RETURN = r"""
action:
  description:
    - What was done, or in check mode would be; V(nothing), V(register), V(start), V(wake), V(stop), V(restart),
      V(reload), V(replace), V(replace without running it) or V(delete).
  returned: success
  type: str
  sample: replace
msg:
  description: The same in words.
  returned: always
  type: str
  sample: "whatsapp: replace (it differs in env)"
app:
  description: The settings of the app. Of its environment the names only.
  returned: success, unless O(state=absent)
  type: dict
  sample: {"name": "whatsapp", "script": "/opt/app/dist/main.js", "env": ["HOME", "NODE_ENV", "PATH", "PM2_HOME"]}
differences:
  description: The settings in which the app differed from the task.
  returned: success
  type: list
  elements: str
  sample: [env]
processes:
  description: What PM2 has of the app now.
  returned: success
  type: list
  elements: dict
  contains:
    pm_id:
      description: PM2's number of the process.
      type: int
      returned: always
      sample: 0
    pid:
      description: Its process id; null when it does not run.
      type: int
      returned: always
      sample: 4711
    status:
      description: PM2's word for how it is.
      type: str
      returned: always
      sample: online
    restarts:
      description: How often PM2 has started it again.
      type: int
      returned: always
      sample: 0
    uptime_seconds:
      description: How long it has been running; null when it does not.
      type: float
      returned: always
      sample: 2.1
    exit_code:
      description: With what status it ended last; null when it has not.
      type: int
      returned: always
      sample: 0
    out_log:
      description: The file with its standard output.
      type: str
      returned: always
      sample: /home/app/.pm2/logs/whatsapp-out.log
    err_log:
      description: The file with its standard error.
      type: str
      returned: always
      sample: /home/app/.pm2/logs/whatsapp-error.log
saved:
  description: Whether what PM2 brings back at boot was changed, or in check mode would be.
  returned: success
  type: bool
  sample: true
stage:
  description: The stage that was reached.
  returned: failure, where it is known
  type: str
  sample: start
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: See /home/app/.pm2/logs/whatsapp-error.log.
"""

import re
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import run_module
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import find_pm2
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_app import (
    STATES,
    AppRequest,
    bring,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_spec import AppSpec
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_tell import outcome_dict, outcome_diff
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError

# Those that PM2 takes as they are.
PLAIN = {
    "interpreter": {"type": "str"},
    "cwd": {"type": "path"},
    "namespace": {"type": "str", "default": "default"},
    "cron_restart": {"type": "str"},
    "autorestart": {"type": "bool", "default": True},
    "instances": {"type": "int"},
    "exec_mode": {"type": "str", "choices": ["fork", "cluster"]},
    "kill_timeout": {"type": "int"},
    "wait_ready": {"type": "bool", "default": False},
    "listen_timeout": {"type": "int"},
    "out_log": {"type": "path"},
    "err_log": {"type": "path"},
    "log": {"type": "path"},
    "merge_logs": {"type": "bool"},
    "time": {"type": "bool", "default": False},
}
OPTIONS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": list(STATES), "default": "started"},
    "script": {"type": "path"},
    "args": {"type": "list", "elements": "str", "default": []},
    "interpreter_args": {"type": "list", "elements": "str", "default": []},
    "env": {"type": "dict", "default": {}, "no_log": True},
    "max_memory_restart": {"type": "str"},
    "save": {"type": "bool", "default": True},
    "settle_time": {"type": "float", "default": 2},
    "stop_timeout": {"type": "float"},
    "job_timeout": {"type": "float", "default": 60},
    "lock_timeout": {"type": "float", "default": 60},
    "user": {"type": "str"},
    "pm2_home": {"type": "path"},
    "program": {"type": "path"},
}
SIZE_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
# A shorter value would be blotted out wherever these letters stand in the result, and is not to be found there anyway.
LEAST_SECRET_LENGTH = 8


def keep_secret(module: Any) -> dict[str, str]:
    """The app's variables as texts; the values leave the arguments, which Ansible returns with verbose output."""
    given: Mapping[str, Any] = module.params["env"]
    module.params["env"] = dict.fromkeys(given, "********")
    module.no_log_values = {value for value in module.no_log_values if len(str(value)) >= LEAST_SECRET_LENGTH}
    return {str(name): variable(str(name), value) for name, value in given.items()}


def variable(name: str, value: Any) -> str:
    """The text of one variable. Raises SettingsError for what has none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise SettingsError(
        f"The variable {name} in env is neither a text nor a number",
        stage="settings",
        remedy="Write it as a text, with to_json for instance.",
    )


def size(text: str | None) -> int | None:
    """Bytes of a size as PM2 writes it: 300M. Raises SettingsError."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    if match is None:
        raise SettingsError(
            f"max_memory_restart is {text}", stage="settings", remedy="Give a number of bytes, or with K, M or G: 300M."
        )
    return int(match.group(1)) * SIZE_UNITS[match.group(2)]


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(PLAIN, **OPTIONS),
        required_if=[("state", state, ["script"]) for state in STATES if state != "absent"],
        supports_check_mode=True,
    )
    options = module.params

    def work() -> dict[str, Any]:
        env = keep_secret(module)
        spec = AppSpec(
            name=options["name"],
            script=options["script"] or "",
            args=tuple(options["args"]),
            interpreter_args=tuple(options["interpreter_args"]),
            env=env,
            max_memory_restart=size(options["max_memory_restart"]),
            **{name: options[name] for name in PLAIN},
        )
        request = AppRequest(
            name=options["name"],
            state=options["state"],
            spec=None if options["state"] == "absent" else spec,
            save=options["save"],
            dry_run=module.check_mode,
            settle=options["settle_time"],
            lock_timeout=options["lock_timeout"],
            job_timeout=options["job_timeout"],
            stop_timeout=options["stop_timeout"],
        )
        outcome = bring(find_pm2(options["user"], options["pm2_home"], options["program"]), request)
        answer = outcome_dict(outcome)
        if module._diff:
            answer["diff"] = outcome_diff(outcome)
        return dict(answer, warnings_=outcome.warnings)

    run_module(module, work)


if __name__ == "__main__":
    main()

# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a ``.env`` file exactly as the application does, that is, as Node's dotenv does.

A password that the application reads one way and the backup another is an outage with a good backup
script in it. The grammar below is that of dotenv 16 and 17 (its ``LINE`` expression and ``parse``).
"""

from __future__ import annotations

import re

from .errors import SettingsError
from .files import explain_os_error

# What JavaScript takes for white space and for line ends. Python's own idea of them differs: a byte order
# mark before the first name, or a space pasted from a web page, would make a variable vanish.
BLANKS = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_BLANK = f"[{BLANKS}]"
_START = "(?:^|(?<=[\u2028\u2029]))"
_END = "(?:$|(?=[\u2028\u2029]))"

# One assignment. It may begin with blank lines and end in a comment of a later line.
ASSIGNMENT = re.compile(
    rf"""
    {_START}{_BLANK}*(?:export{_BLANK}+)?(?P<name>[\w.-]+)
    (?P<separator>{_BLANK}*={_BLANK}*?|:{_BLANK}+?)     # "=" or ": "
    (?P<value>{_BLANK}*'(?:\\'|[^'])*'      # 'as it stands'
     |{_BLANK}*"(?:\\"|[^"])*"              # "with \n and \r expanded"
     |{_BLANK}*`(?:\\`|[^`])*`              # `as it stands`
     |[^\#\r\n]+)?                          # bare, up to a "#"
    {_BLANK}*(?:\#[^\n\u2028\u2029]*)?{_END}""",
    re.MULTILINE | re.VERBOSE | re.ASCII,
)
_QUOTED = re.compile(rf"{_START}(['\"`])([\s\S]*)\1{_END}", re.MULTILINE)


def unify_line_ends(text: str) -> str:
    """The text with the line ends that ``ASSIGNMENT`` expects."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def assignments(text: str) -> list[tuple[str, str]]:
    """Names and values of a ``.env`` text, in order; a name may be there twice."""
    return [(match["name"], _value_of(match["value"] or "")) for match in ASSIGNMENT.finditer(unify_line_ends(text))]


def parse_env(text: str) -> dict[str, str]:
    """The variables of a ``.env`` text; of a name given twice the last one stands."""
    return dict(assignments(text))


def _value_of(written: str) -> str:
    trimmed = written.strip(BLANKS)
    value = _QUOTED.sub(r"\2", trimmed)
    return value.replace("\\n", "\n").replace("\\r", "\r") if trimmed.startswith('"') else value


def read_env_file(path: str) -> dict[str, str]:
    """Read the file at ``path``. Raises ResilienceError if it cannot be read or is not UTF-8 text."""
    try:
        with open(path, encoding="utf-8") as stream:
            return parse_env(stream.read())
    except OSError as error:
        raise explain_os_error(error, path, "read the env_file").at_stage("settings") from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            "The env_file %s is not UTF-8 text (byte %d)" % (path, error.start),
            stage="settings",
            remedy="Save it as UTF-8.",
        ) from error

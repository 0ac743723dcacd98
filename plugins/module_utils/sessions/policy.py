# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which keys may be deleted by their age, and what it costs to delete one of each type."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ..system.env_file import read_env_file
from ..system.errors import SettingsError
from .layout import KEY_TYPES

SAFE = "safe"
EVERYTHING_BY_AGE = "everything_by_age"
MODES = (SAFE, EVERYTHING_BY_AGE)

RETENTION_VARIABLE = "DB_CLEANUP_RETENTION_DAYS"
DEFAULT_RETENTION_DAYS = 30
# A session or sender key that was silent for so long is of a device that has most likely gone.
OPT_IN_DAYS = 180
# Baileys takes a token for expired after 21 to 28 days (TC_TOKEN_NUM_BUCKETS in its tc-token-utils).
TCTOKEN_DAYS = 28
# A hundred years: what is meant by more is "never".
MOST_DAYS = 36500
# The list of all tokens that Baileys keeps among them.
TCTOKEN_INDEX = "__index"

# Made again by Baileys whenever they are missing.
SAFE_TYPES = ("device-list", "sender-key-memory", "tctoken")
# What is lost with a key, as it was seen with the real signal repository of Baileys 7.
EFFECTS = {
    "device-list": "nothing: asked of WhatsApp again when it is needed",
    "sender-key-memory": "nothing: the group's members are sent our sender key once more",
    "tctoken": "nothing: expired for WhatsApp, and asked for again",
    "session": 'nothing can be sent to that device ("No sessions") or read from it ("No session record") until it is set up anew',
    "sender-key": 'what that member sends to the group cannot be read ("No session found to decrypt message")',
    "pre-key": 'a first message that uses it is lost ("Invalid PreKey ID"); Baileys deletes a pre-key when it was used',
    "app-state-sync-key": "chats, contacts and settings can no longer be synchronised until the phone is paired again",
    "app-state-sync-version": "the whole application state is fetched and decrypted again",
    "lid-mapping": 'the session of a known contact is not found ("No session record", "No sessions")',
    "identity-key": "a changed identity of that contact goes unnoticed",
}


@dataclass(frozen=True)
class Policy:
    """What may go by age. ``session_days`` and ``sender_key_days`` are None where these types stay.

    ``everything_by_age`` is the rule "whatever is older goes", which breaks sessions.
    """

    mode: str = SAFE
    retention_days: int = DEFAULT_RETENTION_DAYS
    session_days: int | None = None
    sender_key_days: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise _wrong(f"policy is {self.mode}", "Choose among {}.".format(", ".join(MODES)))
        if not 1 <= self.retention_days <= MOST_DAYS:
            raise _wrong("retention is %d days" % self.retention_days, "Give 1 to %d days." % MOST_DAYS)
        for name in ("session_days", "sender_key_days"):
            days: int | None = getattr(self, name)
            if days is not None and not OPT_IN_DAYS <= days <= MOST_DAYS:
                raise _wrong(f"{name} is {days}", f"Leave it out, or give {OPT_IN_DAYS} to {MOST_DAYS} days.")
            if days is not None and self.mode == EVERYTHING_BY_AGE:
                raise _wrong(f"{name} is given with policy {self.mode}", "Leave one of the two out.")

    def days(self, key_type: str) -> int | None:
        """Age in days beyond which keys of this type go; None for a type whose keys stay, as those of unknown types do.

        What else must hold for a key to go (a token's own timestamp, whose sender key it is) is said by deletable.py.
        """
        if key_type not in KEY_TYPES:
            return None
        if self.mode == EVERYTHING_BY_AGE:
            return self.retention_days
        if key_type == "tctoken":
            return max(self.retention_days, TCTOKEN_DAYS)
        if key_type in SAFE_TYPES:
            return self.retention_days
        return {"session": self.session_days, "sender-key": self.sender_key_days}.get(key_type)

    def words(self, key_type: str) -> str:
        """The rule for a type, for people."""
        days = self.days(key_type)
        if days is None:
            return "stays, whatever its age" if key_type in KEY_TYPES else "stays: not a type that is known here"
        words = "goes when older than %d days" % days
        if self.mode == SAFE and key_type == "tctoken":
            return f"{words} by its own timestamp as well; never {TCTOKEN_INDEX}"
        if self.mode == SAFE and key_type == "sender-key":
            return f"{words}, if it is not our own; the group's sender-key-memory goes with it"
        return words


def retention_from(given: int | None, env_file: str | None, environment: Mapping[str, str] | None = None) -> int:
    """Days of retention: as given, else ``DB_CLEANUP_RETENTION_DAYS`` of the env_file, else of the environment, else 30.

    Raises SettingsError for a text that is no number.
    """
    if given is not None:
        return given
    environment = os.environ if environment is None else environment
    places = [(env_file, read_env_file(env_file))] if env_file else []
    for place, variables in [*places, ("the environment", environment)]:
        text = variables.get(RETENTION_VARIABLE, "").strip()
        if text:
            if not text.isdecimal() or not text.isascii() or len(text) > 6:
                raise _wrong(f"{RETENTION_VARIABLE} in {place} is {text!r}", "Give a whole number of days.")
            return int(text)
    return DEFAULT_RETENTION_DAYS


def _wrong(what: str, remedy: str) -> SettingsError:
    return SettingsError(f"The cleanup's {what}", stage="settings", remedy=remedy)

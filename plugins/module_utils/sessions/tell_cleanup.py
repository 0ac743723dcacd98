# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a census and a cleanup say: the module's result, the diff a person reads, the warnings, the report for the team."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..reporting.report import Report
from ..system.errors import ResilienceError
from ..system.units import human_duration, human_size
from .census import NO_AGE, Census, ListedKey
from .cleanup import CleanupResult
from .keys_table import Sizes
from .policy import EFFECTS, EVERYTHING_BY_AGE, SAFE_TYPES, Policy

CLEANUP_JOB = "cleanup"
CENSUS_JOB = "expired_keys"
# What the space is called wherever it is named: nobody is to look for smaller files.
REUSABLE = "reusable by the table once it is vacuumed; its files do not get smaller"

_AGE_MEASUREMENTS = {
    "<1d": "age_under_1d_count",
    "1-7d": "age_1d_to_7d_count",
    "7-14d": "age_7d_to_14d_count",
    "14-30d": "age_14d_to_30d_count",
    ">30d": "age_over_30d_count",
    NO_AGE: "age_unknown_count",
}


def census_result(census: Census, policy: Policy, listed: Sequence[ListedKey]) -> dict[str, Any]:
    """A census as plain data."""
    return {
        "at": census.at,
        "keys": census.keys,
        "deletable": census.deletable,
        "deletable_bytes": census.deletable_bytes,
        "oldest": census.oldest,
        "newest": census.newest,
        "ages": census.ages(),
        "types": {
            key_type: dict(
                dataclasses.asdict(count), rule=policy.words(key_type), when_deleted=EFFECTS.get(key_type, "unknown")
            )
            for key_type, count in census.types.items()
        },
        "sizes": dataclasses.asdict(census.sizes),
        "policy": dataclasses.asdict(policy),
        "overview": overview(census, listed),
        "listed_keys": [dataclasses.asdict(key) for key in listed],
    }


def cleanup_result(result: CleanupResult, policy: Policy) -> dict[str, Any]:
    """The result of ``session_keys_cleanup`` as plain data; the census is of before the deletion."""
    return {
        **census_result(result.before, policy, result.listed),
        "msg": summary(result),
        "overview": overview(result.before, result.listed, None if result.dry_run else result.deleted),
        "dry_run": result.dry_run,
        "deleted": dict(sorted(result.deleted.items())),
        "deleted_keys": result.deleted_keys,
        "reusable_bytes": result.deleted_bytes,
        "held_keys": result.held,
        "refreshed_keys": result.refreshed,
        "kept_keys": result.kept,
        "sizes_after": dataclasses.asdict(result.sizes_after),
        "obstacles": list(result.obstacles),
        "batches": result.batches,
        "duration_seconds": round(result.seconds, 3),
    }


def overview(census: Census, listed: Sequence[ListedKey], deleted: Mapping[str, int] | None = None) -> list[str]:
    """A line for each type of key, then ages and sizes; then the keys that were listed."""
    lines = []
    for key_type, count in census.types.items():
        done = f"{count.deletable:,} could go" if deleted is None else f"{deleted.get(key_type, 0):,} deleted"
        lines.append(f"{key_type}: {count.keys:,} keys, {done}; oldest {count.oldest}, newest {count.newest}")
    lines += [f"{label}: {value}" for label, value in _census_facts(census)]
    lines += [f"{key.tenant} {key.key_type} {key.key_id}: {human_duration(key.age_seconds)} old" for key in listed]
    if 0 < len(listed) < census.deletable:
        lines.append(f"and {census.deletable - len(listed):,} more")
    return lines


def summary(result: CleanupResult) -> str:
    """One sentence: what was deleted, or would be."""
    if result.dry_run:
        return "Dry run: {:,} of {:,} keys would be deleted. Nothing was.".format(
            result.before.deletable, result.before.keys
        )
    words = f"{result.deleted_keys:,} of {result.before.keys:,} keys were deleted"
    return "{}{}.".format(words, "".join(f"; {part}" for part in _left(result)))


def _left(result: CleanupResult) -> list[str]:
    """What became of keys that were to go and did not."""
    return [
        f"{number:,} {words}"
        for number, words in (
            (result.held, "are held by the application and stay until the next run"),
            (result.refreshed, "were written or deleted by others meanwhile"),
            (result.kept, "are still there though nobody holds them (a trigger or rule of the table?)"),
        )
        if number
    ]


def warnings(policy: Policy, census: Census, obstacles: Sequence[str] = ()) -> list[str]:
    """What a person should read even of a run that ends well."""
    found = []
    if policy.mode == EVERYTHING_BY_AGE:
        lost = {
            key_type: count.deletable
            for key_type, count in census.types.items()
            if count.deletable and key_type not in SAFE_TYPES
        }
        found.append(
            f"policy={EVERYTHING_BY_AGE} DELETES KEYS THAT BAILEYS STILL NEEDS, whatever is older than "
            f"{policy.retention_days} days. It breaks sessions; policy=safe does not. "
            + (_losses(lost) or "This time there is none of them.")
        )
    elif policy.session_days or policy.sender_key_days:
        chosen = [name for name in ("session", "sender-key") if policy.days(name) is not None]
        found.append("By choice, keys go that Baileys may still need: {}".format(_losses(dict.fromkeys(chosen, 0))))
    unknown = {key_type: count.keys for key_type, count in census.types.items() if key_type not in EFFECTS}
    if unknown:
        found.append(
            "Types that are not known here stay, whatever the policy: {}".format(
                ", ".join(f"{key_type} ({keys:,})" for key_type, keys in unknown.items())
            )
        )
    found += [f"A real run would be refused: {obstacle}" for obstacle in obstacles]
    return found


def _losses(keys: Mapping[str, int]) -> str:
    counted = [
        "{}{}: {}".format(f"{number:,} " if number else "", key_type, EFFECTS[key_type])
        for key_type, number in keys.items()
    ]
    return "; ".join(counted) + "." if counted else ""


def too_many_deletable(census: Census, max_deletable_warning: int) -> str | None:
    """Why so many keys that may go are worth a warning, None if they are not."""
    if census.deletable <= max_deletable_warning:
        return None
    return (
        f"{census.deletable:,} keys could be deleted, more than {max_deletable_warning:,}: "
        "the cleanup (playbook cleanup_keys) does not run, or only as a dry run"
    )


def counts_diff(census: Census, deleted: Mapping[str, int]) -> dict[str, str]:
    """Keys by type before and after, as Ansible's diff mode shows them."""
    after = {key_type: count.keys - deleted.get(key_type, 0) for key_type, count in census.types.items()}
    before = {key_type: count.keys for key_type, count in census.types.items()}
    return {"before": _lines(before), "after": _lines(after), "before_header": "keys", "after_header": "keys"}


def _lines(counts: Mapping[str, int]) -> str:
    lines = [f"{name}: {number}\n" for name, number in [*counts.items(), ("total", sum(counts.values()))]]
    return "".join(lines)


def census_report(source: str, census: Census, policy: Policy, max_deletable_warning: int, duration: float) -> Report:
    """The report of a census; too many keys that may go make it a warning."""
    problem = too_many_deletable(census, max_deletable_warning)
    return Report(
        job=CENSUS_JOB,
        subject=source,
        level="warning" if problem else "info",
        title=problem or f"{census.deletable:,} of {census.keys:,} keys could be deleted",
        facts=tuple(_census_facts(census) + [("Policy", _policy_words(policy))]),
        remedy="See that the cleanup runs, and with cleanup_dry_run=false." if problem else None,
        measurements={
            **_measurements(census, census.sizes),
            **{_AGE_MEASUREMENTS[bucket]: float(keys) for bucket, keys in census.ages().items()},
        },
        duration=round(duration, 3),
    )


def cleanup_report(
    source: str, result: CleanupResult, policy: Policy, max_deletions_warning: int, backup: str | None
) -> Report:
    """The report of a cleanup that ended well. Many deletions make it a warning, and so does the unsafe policy."""
    many = result.deleted_keys > max_deletions_warning
    facts = [("Deleted", _by_type(result.deleted) or "nothing")]
    facts += [("Left", part) for part in _left(result)]
    if result.deleted_keys:
        facts.append(("Freed", f"about {human_size(result.deleted_bytes)}, {REUSABLE}"))
    facts += _census_facts(result.before, result.sizes_after)
    facts.append(("Policy", _policy_words(policy)))
    if backup:
        facts.append(("Backup", backup))
    facts.append(("Took", human_duration(result.seconds)))
    facts += [("Warning", warning) for warning in warnings(policy, result.before)]
    if many:
        facts.append(("Warning", f"more than {max_deletions_warning:,} keys were deleted"))
    return Report(
        job=CLEANUP_JOB,
        subject=source,
        level="warning" if many or result.kept or policy.mode == EVERYTHING_BY_AGE else "info",
        title=summary(result).rstrip("."),
        facts=tuple(facts),
        measurements={
            "deleted_count": float(result.deleted_keys),
            "reusable_bytes": float(result.deleted_bytes),
            **_measurements(result.before, result.sizes_after, result.deleted_keys),
        },
        duration=round(result.seconds, 3),
    )


def failure_report(job: str, source: str, error: ResilienceError, duration: float) -> Report:
    """The report of a run that failed."""
    return Report(
        job=job,
        subject=source,
        level="fatal",
        title=error.message,
        facts=(("Stage", error.stage),) if error.stage else (),
        remedy=error.remedy,
        duration=round(duration, 3),
    )


def _census_facts(census: Census, after: Sizes | None = None) -> list[tuple[str, str]]:
    facts = [
        ("Keys before" if after else "Keys", f"{census.keys:,}, {census.deletable:,} of them could go"),
        ("Ages", ", ".join(f"{bucket}: {keys:,}" for bucket, keys in census.ages().items() if keys) or "no keys"),
    ]
    for label, name in (("Table", "table_bytes"), ("Indexes", "index_bytes"), ("Total", "total_bytes")):
        sizes = [getattr(one, name) for one in (census.sizes, after) if one is not None]
        facts.append((label, " before, ".join(map(human_size, sizes)) + (" after" if after else "")))
    if census.oldest and census.newest:
        facts += [("Oldest key", census.oldest), ("Newest key", census.newest)]
    return facts


def _policy_words(policy: Policy) -> str:
    kept = [
        "%s after %d days" % (name, days)
        for name, days in (("session", policy.session_days), ("sender-key", policy.sender_key_days))
        if days is not None
    ]
    return ", ".join(["%s, %d days" % (policy.mode, policy.retention_days), *kept])


def _by_type(deleted: Mapping[str, int]) -> str:
    return ", ".join(f"{key_type} {keys:,}" for key_type, keys in sorted(deleted.items()))


def _measurements(census: Census, sizes: Sizes, deleted: int = 0) -> dict[str, float]:
    return {
        "keys_count": float(census.keys - deleted),
        "deletable_count": float(max(0, census.deletable - deleted)),
        "table_bytes": float(sizes.table_bytes),
        "index_bytes": float(sizes.index_bytes),
        "total_bytes": float(sizes.total_bytes),
    }

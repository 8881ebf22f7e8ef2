"""Offline as the config says and as libraries will read it from the environment."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.doctor.finding import Finding, Level, fine
from workbench.offline import FLAGS, QUIET


def judge_offline(*, wanted: bool, guarded: bool, environment: Mapping[str, str]) -> list[Finding]:
    """Judge guard, flags and telemetry.

    Args:
        wanted: `offline` of the config.
        guarded: whether this process refuses connections that leave the machine.
    """
    if not wanted:
        found = "the config has offline: false, so libraries may reach other machines"
        first = Finding("offline", Level.WARN, found, "remove offline: false from the config")
    else:
        unset = [flag for flag in FLAGS if environment.get(flag) != "1"]
        if unset or not guarded:
            what = f"not set: {', '.join(unset)}" if unset else "the guard is off"
            first = Finding("offline", Level.BLOCKER, what, f"unset WORKBENCH_ONLINE; export {' '.join(FLAGS)}=1")
        else:
            first = fine(
                "offline", "flags set, connections that leave this machine are refused; prove it: scripts/prove_offline"
            )
    loud = [name for name, value in QUIET.items() if environment.get(name) != value]
    second = (
        Finding("telemetry", Level.WARN, f"may be sent: {', '.join(loud)} are not as set", "start workbench anew")
        if loud
        else fine("telemetry", "off in every library that has one")
    )
    return [first, second]

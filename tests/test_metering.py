"""Joules from counters that wrap or cannot be read; cores that other processes keep busy."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.metering import Counter, Meter, rapl_counters


def package(root: Path, number: int, name: str, microjoules: int) -> Path:
    folder = root / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("5000000\n")
    return folder


def test_packages_are_read_and_their_parts_are_not_counted_twice(tmp_path: Path) -> None:
    first = package(tmp_path, 0, "package-0", 1_000_000)
    second = package(tmp_path, 1, "package-1", 4_500_000)
    package(tmp_path, 2, "psys", 9)
    package(tmp_path, 3, "package-2", 1).joinpath("energy_uj").write_text("?")  # not readable as a number
    counters = tuple(rapl_counters(tmp_path))
    assert [counter.name for counter in counters] == ["RAPL package-0", "RAPL package-1"]
    with Meter(counters) as meter:
        (first / "energy_uj").write_text("1250000\n")
        (second / "energy_uj").write_text("500000\n")  # wrapped at 5 J
    assert meter.joules == pytest.approx(0.25 + 1.0)


def test_a_machine_that_does_not_tell_has_no_joules(tmp_path: Path) -> None:
    with Meter(()) as meter:
        pass
    assert meter.joules is None and meter.cores_elsewhere is None  # too short to tell
    assert rapl_counters(tmp_path / "nothing") == []

    def lost() -> float:
        raise OSError("gone")

    with Meter((Counter("lost", lost),)) as meter:
        pass
    assert meter.joules is None


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs the kernel's processor times")
def test_work_of_others_is_seen_and_own_work_is_not() -> None:
    def spin(seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    def measure(other: bool) -> float:
        code = "import time; e = time.time() + 5\nwhile time.time() < e: pass"
        rival = subprocess.Popen([sys.executable, "-c", code]) if other else None
        try:
            time.sleep(0.3 if rival else 0.0)
            with Meter(()) as meter:
                spin(0.7)
        finally:
            if rival:
                rival.kill()
                rival.wait()
        assert meter.cores_elsewhere is not None
        return meter.cores_elsewhere

    # Other tests run beside this one, so only the difference is known, and only if a core is left.
    quiet = min(measure(other=False) for _ in range(3))
    loud = max(measure(other=True) for _ in range(3))
    assert loud > 0.3 and loud >= quiet - 0.2

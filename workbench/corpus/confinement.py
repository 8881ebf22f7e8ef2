"""What a parsing child may not do, put on by the child itself before it sees a file: memory, CPU, writing, network.

Not a jail for hostile machine code: it bounds what a parser does that a file has led astray. On Linux (x86-64, ARM64)
the kernel refuses the calls (seccomp); elsewhere Python's audit hook does, which native libraries are not bound by.
Limits on wall time and output are kept by the parent, since a child that hangs cannot keep them.
Source: seccomp(2), setrlimit(2), prctl(2); include/uapi/linux/seccomp.h for the layout of the filter's input.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys

from workbench.config import Limits

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Linux gives each architecture its own numbers: network, programs, every change to a folder, signals to others, and
# io_uring, which could do all of it unseen. `open` maps a call to the place of its flags among its arguments.
# fmt: off
_REFUSED = {
    "x86_64": (
        41, 57, 58, 59, 62, 76, 82, 83, 84, 85, 86, 87, 88, 90, 101, 258, 263, 264, 265, 266, 268, 316, 322, 425, 437,
    ),
    "aarch64": (34, 35, 36, 37, 38, 45, 53, 117, 129, 198, 221, 276, 281, 425, 437),
}
# fmt: on
_OPENS = {"x86_64": {2: 1, 257: 2}, "aarch64": {56: 2}}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_FIRST_X32 = 0x40000000  # x86-64's second set of numbers for the same calls
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF instructions
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 38, 22, 2
# Prefixes of audit events; `open` is looked at more closely.
_AUDITED = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.remove", "os.rename")
_AUDITED_TOO = ("os.truncate", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.kill")


def die_with(parent: int) -> None:
    """End this process when `parent` ends, however it ends. Off Linux the closed pipe ends it, between files."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        raise SystemExit(0)


def confine(limits: Limits) -> None:
    """Bound this process for the rest of its life: memory, no core dump, no file written, no network, no program.

    Memory counts private pages only (RLIMIT_DATA): address space would count every mapped library as well.
    """
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),  # Python ignores SIGXFSZ: a write is an OSError, not a death
        (resource.RLIMIT_DATA, limits.memory_bytes),
    ):
        resource.setrlimit(kind, (value, value))
    if not _refuse_by_kernel():
        sys.addaudithook(_refuse_by_audit)


def allow_cpu(seconds: float) -> None:
    """Kill this process by SIGXCPU once it has used `seconds` more of CPU time, all threads together."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1  # whole seconds only
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def peak_memory() -> int:
    """Return the most resident memory this process ever had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _refuse_by_kernel() -> bool:
    """Install the filter; False where this system has none."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _REFUSED:
        return False
    program = ctypes.create_string_buffer(_filter_program(machine))
    header = struct.pack("@HxxxxxxP", (len(program) - 1) // 8, ctypes.addressof(program))
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1) and _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header)


def _filter_program(machine: str) -> bytes:
    """Return the BPF program: (code, skip if true, skip if false, operand) an instruction."""
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _AUDIT_ARCH[machine]), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, 0)]
    if machine == "x86_64":
        steps += [(_AT_LEAST, 0, 1, _FIRST_X32), (_RETURN, 0, 0, _REFUSE)]
    for number in _REFUSED[machine]:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    for number, place in _OPENS[machine].items():
        # The low half of argument `place`: six 64-bit arguments begin at byte 16.
        steps += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 16 + 8 * place), (_ANY_BIT, 0, 1, _WRITING)]
        steps += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in (*steps, (_RETURN, 0, 0, _ALLOW)))


def _prctl(option: int, value: int, pointer: bytes | None = None) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(option, ctypes.c_ulong(value), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0)


def _refuse_by_audit(event: str, arguments: tuple[object, ...]) -> None:
    flags = arguments[2] if event == "open" else 0
    if event.startswith((*_AUDITED, *_AUDITED_TOO)) or (isinstance(flags, int) and flags & _WRITING):
        raise PermissionError(errno.EPERM, f"a parser may not do {event}")

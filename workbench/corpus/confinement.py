"""What a parsing child may not do, put on by the child itself before it sees a file: memory, CPU, writing, network.

Not a jail for hostile machine code: it bounds what a parser does that a file has led astray. On Linux (x86-64, ARM64)
the kernel refuses the calls (seccomp), and a kernel that takes no filter is an error: nothing is parsed without it.
Elsewhere Python's audit hook refuses what Python reports to it: native libraries are not bound by it, and a few calls
of Python's own (os.mknod, memory shared with nobody) are not reported.
Limits on wall time and output are kept by the parent, since a child that hangs cannot keep them.
Source: seccomp(2), setrlimit(2), prctl(2); include/uapi/linux/seccomp.h for the layout of the filter's input; Linux's
arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (ARM64) for the numbers of the calls.
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

_MACHINES = ("x86_64", "aarch64")
# Network, programs and processes; every change to a folder, to a file's attributes and to other processes; memory that
# RLIMIT_DATA does not count and objects that outlive the child; io_uring, which could do all of it unseen.
# fmt: off
REFUSED: dict[str, tuple[int | None, int | None]] = {  # call → its number on each of _MACHINES, where it is there
    "socket": (41, 198), "io_uring_setup": (425, 425),
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "creat": (85, None), "openat2": (437, 437), "open_by_handle_at": (304, 265), "truncate": (76, 45),
    "mknod": (133, None), "mknodat": (259, 33), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
    "unlink": (87, None), "unlinkat": (263, 35),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "shmget": (29, 194), "shmat": (30, 196), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
}
# fmt: on
JUDGED = {  # calls refused for what one argument says; see _judge
    "open": (2, None),
    "openat": (257, 56),
    "ioctl": (16, 29),
    "clone": (56, 220),
    "clone3": (435, 435),
    "mmap": (9, 222),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
}
_SECCOMP = (317, 277)
_AUDIT_ARCH = (0xC000003E, 0xC00000B7)
_FIRST_X32 = 0x40000000  # x86-64's second set of numbers for the same calls
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF instructions
_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_IOC_WRITE = 1 << 30  # a request that hands data in, such as a file's flags, for which an open to read is enough
_CLONE_THREAD = 0x10000
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_GROWSDOWN = 0x01, 0x20, 0x100  # the last: stacks, which RLIMIT_DATA does not count
# fmt: off
_AUDITED = (  # prefixes of audit events; `open` is looked at more closely
    "socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "os.remove",
    "os.rename", "os.truncate", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.chflags",
    "os.utime", "os.setxattr",
)
# fmt: on

_Step = tuple[int, int, int, int]  # a BPF instruction: code, skip if true, skip if false, operand


def die_with(parent: int) -> None:
    """End this process when `parent` ends, however it ends. Off Linux the closed pipe ends it, between files."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        raise SystemExit(0)


def confine(limits: Limits) -> None:
    """Bound this process for the rest of its life: memory, no core dump, no file written, no network, no program.

    Memory counts private pages only (RLIMIT_DATA): address space would count every mapped library as well. What is
    shared with nobody, and so not counted, the kernel's filter refuses.

    Raises:
        RuntimeError: Linux on a machine we know takes no filter: this installation cannot parse safely.
        ValueError: the user's own hard limit is below `limits.memory_bytes`.
    """
    if not _refuse_by_kernel():
        sys.addaudithook(_refuse_by_audit)
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),  # Python ignores SIGXFSZ: a write is an OSError. Last: errors may go to a file
    ):
        resource.setrlimit(kind, (value, value))


def allow_cpu(seconds: float) -> None:
    """Kill this process by SIGXCPU once it has used `seconds` more of CPU time, all threads together."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1  # whole seconds only
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def peak_memory() -> int:
    """Return the most resident memory this program ever had, in bytes.

    On Linux not from `getrusage`: that figure outlives exec, so a child would begin with what its parent had.
    """
    if sys.platform == "linux":
        with open("/proc/self/status", "rb") as status:  # noqa: PTH123  (once a file read)
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(b"VmHWM:"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _refuse_by_kernel() -> bool:
    """Install the filter on all threads; False where this system has none. Raises RuntimeError: it should, but failed.

    Refused calls fail with EPERM.
    """
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    column = _MACHINES.index(platform.machine())
    program = ctypes.create_string_buffer(_filter_program(column))
    header = struct.pack("@HxxxxxxP", (len(program) - 1) // 8, ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    asked = (_SECCOMP[column], _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC)
    if not _prctl(_PR_SET_NO_NEW_PRIVS, 1) or libc.syscall(*map(ctypes.c_long, asked), header) != 0:
        why = os.strerror(ctypes.get_errno())
        message = f"the kernel takes no filter of system calls (seccomp): {why}; this installation cannot parse safely"
        raise RuntimeError(f"{message}: let its container or service use seccomp(2)")
    return True


def _filter_program(column: int) -> bytes:
    """Return the BPF program for one of _MACHINES."""
    steps: list[_Step] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _AUDIT_ARCH[column]), (_RETURN, 0, 0, _REFUSE)]
    steps += [(_LOAD, 0, 0, 0)]
    if _MACHINES[column] == "x86_64":
        steps += [(_AT_LEAST, 0, 1, _FIRST_X32), (_RETURN, 0, 0, _REFUSE)]
    for numbers in REFUSED.values():
        if (number := numbers[column]) is not None:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    for call, numbers in JUDGED.items():
        if (number := numbers[column]) is not None:
            judged = _judge(call)
            steps += [(_EQUAL, 0, len(judged), number), *judged]
    return b"".join(struct.pack("=HBBI", *step) for step in (*steps, (_RETURN, 0, 0, _ALLOW)))


def _judge(call: str) -> list[_Step]:
    """Return the steps that decide about one call of JUDGED by one argument; a test skips over the refusal or not."""
    tests: list[_Step]
    match call:
        case "open" | "openat":
            place, tests = (1 if call == "open" else 2), [(_ANY_BIT, 0, 1, _WRITING)]
        case "ioctl":
            place, tests = 1, [(_ANY_BIT, 0, 1, _IOC_WRITE)]
        case "clone":  # what fork is made of
            place, tests = 0, [(_ANY_BIT, 1, 0, _CLONE_THREAD)]
        case "mmap":
            both = [(_ANY_BIT, 0, 2, _MAP_ANONYMOUS), (_ANY_BIT, 0, 1, _MAP_SHARED)]
            place, tests = 3, [(_ANY_BIT, 2, 0, _MAP_GROWSDOWN), *both]
        case "tgkill":  # to itself, as abort() does
            place, tests = 0, [(_EQUAL, 1, 0, os.getpid())]
        case "prlimit64":  # its own limits
            place, tests = 0, [(_EQUAL, 1, 0, 0)]
        case "clone3":  # its flags are behind a pointer; told that it is not there, C libraries take clone
            return [(_RETURN, 0, 0, _UNKNOWN)]
        case _:
            raise ValueError(f"nothing is said about {call}")
    # The low half of argument `place`: six 64-bit arguments begin at byte 16.
    return [(_LOAD, 0, 0, 16 + 8 * place), *tests, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _prctl(option: int, value: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))) == 0)


def _refuse_by_audit(event: str, arguments: tuple[object, ...]) -> None:
    flags = arguments[2] if event == "open" else 0
    if event.startswith(_AUDITED) or (isinstance(flags, int) and flags & _WRITING):
        raise PermissionError(errno.EPERM, f"a parser may not do {event}")

"""Rights that a process or thread gives up for good: files by Landlock, the network, memory and sizes by the kernel.

What is started afterwards inherits it. Linux only; elsewhere `available` says that nothing is there. Landlock and
seccomp are system calls without a module of the standard library, so they are made by ctypes; numbers and structures
are those of linux/landlock.h, linux/seccomp.h and linux/filter.h. Standard library only, and importable by itself:
the launcher loads this file before anything else of the engine is in reach.
"""

import contextlib
import ctypes
import os
import platform
import resource
import socket
import struct
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import Final

NONE: Final = "none"
LOOPBACK: Final = "loopback"
"""An empty network, where the kernel lets us make one; otherwise the network stays as it is."""
OPEN: Final = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    execute: tuple[str, ...] = ()
    """Files and folders whose programs it may start."""
    read: tuple[str, ...] = ()
    """Files, and folders with all below them."""
    listed: tuple[str, ...] = ()
    """Folders of which it may see the names, here and below."""
    write: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    """Read, written and controlled."""
    reads_all: bool = False
    network: str = NONE
    limits: dict[str, int] = field(default_factory=dict)
    """By the name in `resource`, such as RLIMIT_FSIZE; in bytes, for RLIMIT_CPU in seconds."""
    processes: int = 0
    """Largest number, where they can be counted apart from the user's others; 0 for no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    landlock: int = 0
    """The version of its interface; 0 for none."""
    network: bool = False

    @property
    def words(self) -> str:
        """One line for the report, the terminal and `doctor`."""
        if not self.landlock:
            return "not confined: this kernel has no Landlock"
        network = "no network" if self.network else "files only"
        return f"confined: landlock {self.landlock}, {network}"


class _Own:
    rights: Rights | None = None
    has_helper: bool = False
    """A process apart has the network for this one."""


def in_force() -> str:
    found = available()
    if not found.landlock:
        return found.words
    if _Own.rights is None:
        return f"child processes only: {found.words.removeprefix('confined: ')}"
    if _Own.rights.network == LOOPBACK:
        return f"confined: landlock {found.landlock}, sockets for the processes that it starts"
    if _Own.rights.network == OPEN:
        return f"confined: landlock {found.landlock}, network for what is fetched and asked only"
    if _Own.has_helper:
        return f"{found.words} but through a process apart"
    return found.words


def confine_main(rights: Rights, *, has_helper: bool = False) -> None:
    """Confine the main thread, and all that it starts from now on. ConfinementError as `confine`."""
    confine(rights, alone=False)
    _set_limits(rights.limits)  # of the whole process
    _Own.rights, _Own.has_helper = rights, has_helper


class ConfinementError(OSError):
    pass


_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
# struct landlock_ruleset_attr: access to files, to TCP ports, scopes; older kernels know its first members only.
_RULESET: Final = struct.Struct("<QQQ")
_RULESET_BYTES: Final = ((6, 24), (4, 16), (1, 8))
_BENEATH: Final = struct.Struct("<Qi")

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CHANGE_FOLDER: Final = sum(1 << bit for bit in range(4, 13))
"""Removing and making of files, folders, links, pipes and sockets."""
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_TCP: Final = 0b11
"""Binding and connecting."""
_SCOPES: Final = 0b11
"""Abstract sockets and signals stay within."""
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_SINCE: Final = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE))

_PR_SET_NO_NEW_PRIVS, _PR_GET_SECCOMP, _PR_SET_SECCOMP, _SECCOMP_FILTER = 38, 21, 22, 2
_AUDIT_ARCH: Final = {
    "x86_64": (0xC000003E, 41),
    "aarch64": (0xC00000B7, 198),
    "riscv64": (0xC00000F3, 198),
}
"""By machine: the architecture number of seccomp, and the number of the system call `socket`."""
_IO_URING_SETUP: Final = 425
"""Opens sockets without the system call that is filtered."""
_X32: Final = 0x4000_0000
_ALLOW, _REFUSE = 0x7FFF_0000, 0x0005_0000
_EACCES: Final = 13

_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x41
_CAP_VERSION: Final = 0x2008_0522
_KEPT_CAPS: Final = (1 << 0) | (1 << 1) | (1 << 3) | (1 << 4)
"""Rights of root to own, read and write any file, as before; Landlock limits them further."""


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def available() -> Available:
    if sys.platform != "linux":
        return Available()
    found = int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG))
    can_filter = platform.machine() in _AUDIT_ARCH and _libc().prctl(_PR_GET_SECCOMP) >= 0
    return Available(landlock=max(0, found), network=can_filter)


def confine(rights: Rights, *, alone: bool = True) -> None:
    """Give up everything that is not in `rights`, as far as `available` reaches; it cannot be taken back.

    `alone`: for a process of one thread, whose limits and user namespace change too. Otherwise for this thread and
    what it starts. ConfinementError where the kernel refuses what it offers.
    """
    if alone:
        _set_limits(rights.limits)
    if sys.platform != "linux":
        return
    has_own_network = alone and rights.network != OPEN and _leave_network()
    if has_own_network:
        # Only there are they counted by themselves; root is not counted at all.
        _set_limits({"RLIMIT_NPROC": rights.processes} if rights.processes else {})
    _checked(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if (version := available().landlock) > 0:
        has_tcp = rights.network != NONE
        read = _READ_FILE | _READ_DIR
        write = read | _WRITE_FILE | _CHANGE_FOLDER
        handled = write | _EXECUTE
        for since, right in _SINCE:
            handled |= right if version >= since else 0
        handled &= ~(read if rights.reads_all else 0)
        size = next(size for since, size in _RULESET_BYTES if version >= since)
        content = _RULESET.pack(handled, 0 if has_tcp else _TCP, _SCOPES)[:size]
        ruleset = _checked(
            _libc().syscall(_CREATE_RULESET, content, ctypes.c_size_t(size), 0), "a set of rules"
        )
        try:
            for paths, access in (
                (rights.execute, read | _EXECUTE),
                (rights.read, read),
                (rights.listed, _READ_DIR),
                (rights.write, write | _REFER | _TRUNCATE),
                (rights.devices, read | _WRITE_FILE | _IOCTL_DEVICE),
            ):
                for path in paths:
                    _allow(ruleset, path, access & handled)
            _checked(_libc().syscall(_RESTRICT_SELF, ruleset, 0), "Landlock")
        finally:
            os.close(ruleset)
    if alone and (os.geteuid() == 0 or has_own_network):
        kept = _KEPT_CAPS if os.geteuid() == 0 else 0
        header = struct.pack("<Ii", _CAP_VERSION, 0)
        # Effective, permitted and inheritable, of the first 32 and of the others.
        held, asked = ctypes.create_string_buffer(24), ctypes.create_string_buffer(header, 8)
        _checked(_libc().capget(asked, held), "capabilities")
        own = kept & struct.unpack("<6I", held.raw)[1]
        _checked(_libc().capset(header, struct.pack("<6I", own, own, 0, 0, 0, 0)), "capabilities")
    if available().network and rights.network != OPEN:
        has_sockets = rights.network == LOOPBACK
        families = (socket.AF_UNIX, socket.AF_NETLINK)
        internet = (socket.AF_INET, socket.AF_INET6)
        _filter_sockets((*families, *internet) if has_sockets else families)


def _set_limits(limits: dict[str, int]) -> None:
    for name, most in limits.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        _, hard = resource.getrlimit(kind)
        # Both, so that what is confined cannot raise it again.
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))


def _leave_network() -> bool:
    """Move into an empty network, whose loopback works; tell whether the kernel allowed it."""
    user, group = os.geteuid(), os.getegid()
    try:
        # Root needs no user namespace.
        os.unshare(os.CLONE_NEWNET if user == 0 else os.CLONE_NEWUSER | os.CLONE_NEWNET)
    except OSError:
        return False
    if user != 0:
        with contextlib.suppress(OSError):
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", f"{user} {user} 1"),
                ("gid_map", f"{group} {group} 1"),
            ):
                # one write, and no buffer that would write the rest
                with open(f"/proc/self/{name}", "wb", buffering=0) as stream:
                    stream.write(text.encode())
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_one:
        import fcntl  # not on Windows

        fcntl.ioctl(any_one, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP_AND_RUNNING))
    return True


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        number = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            access &= _OF_FILES
        rule = _BENEATH.pack(access, number)
        if access:
            _checked(
                _libc().syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0), f"a rule for {path}"
            )
    finally:
        os.close(number)


def _filter_sockets(families: tuple[int, ...]) -> None:
    """Have `socket` refused for all other families, and io_uring and system calls of other machines with it."""
    architecture, number = _AUDIT_ARCH[platform.machine()]
    # (code, where true, where false, value): load a word of seccomp_data, compare it, jump so many lines on.
    load, equal, at_least, end = 0x20, 0x15, 0x35, 0x06
    checks = [(equal, len(families) - at, 0, family) for at, family in enumerate(families)]
    lines = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (end, 0, 0, _REFUSE | _EACCES),
        (load, 0, 0, 0),
        (at_least, len(checks) + 3, 0, _X32),
        (equal, len(checks) + 2, 0, _IO_URING_SETUP),
        (equal, 0, len(checks) + 2, number),
        (load, 0, 0, 16),
        *checks,
        (end, 0, 0, _REFUSE | _EACCES),
        (end, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in lines))
    # struct sock_fprog: a count, and a pointer after the gap that its alignment makes.
    program = ctypes.create_string_buffer(struct.pack("@HP", len(lines), ctypes.addressof(code)))
    _checked(
        _libc().prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, program, 0, 0), "the filter of sockets"
    )


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise ConfinementError(number, f"cannot be confined: {what}: {os.strerror(number)}")
    return result

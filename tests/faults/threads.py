"""Stops or kills single threads of a process, or breaks the ground under them: the debugger's interface of Linux on x86-64."""

import contextlib
import ctypes
import os
import pathlib

from deadline import until

ATTACH, DETACH, GET_REGISTERS, SET_REGISTERS = 16, 17, 12, 13
CLOSE, EXIT = 3, 60
"""Numbers of system calls."""

EPOLL_WAIT = 232, 281, 441
"""The three forms of waiting for events."""

FUTEX = 202,
"""Waiting for another thread."""

WAIT_FOR_THREADS = 0x40000000
"""`__WALL` of waitpid(2)."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class Registers(ctypes.Structure):
    """`struct user_regs_struct`."""

    _fields_ = [(name, ctypes.c_ulonglong) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es "
        "fs gs"
    ).split()]


def named(process, name):
    """The ids of the process's threads whose names begin so, in the order in which they were started."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task").iterdir()
    names = {int(task.name): _name(task) for task in tasks}
    return sorted(thread for thread, its in names.items() if its is not None and its.startswith(name))


def _name(task):
    try:
        return (task / "comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        # It has ended since it was listed.
        return None


@contextlib.contextmanager
def held(thread):
    """The thread stands still meanwhile, whatever it does."""
    _ptrace(ATTACH, thread)
    try:
        os.waitpid(thread, WAIT_FOR_THREADS)
        yield
    finally:
        _ptrace(DETACH, thread)


def kill(thread):
    """The thread ends at once: nothing of it is dropped, and nobody is told."""
    _instead_of_waiting(thread, EPOLL_WAIT + FUTEX, EXIT)


def panic(thread):
    """Closes what the thread waits for. The runtime takes that for impossible, and so the thread panics when it waits
    again: a panic as any other, in a thread of actors."""
    _instead_of_waiting(thread, EPOLL_WAIT, CLOSE)


def _instead_of_waiting(thread, waits, call):
    """Makes a thread do another system call, with the same first argument, as soon as it waits in one of these ways."""
    until(lambda: _is_replaced(thread, waits, call), "the thread waits")


def _is_replaced(thread, waits, call):
    _ptrace(ATTACH, thread)
    try:
        os.waitpid(thread, WAIT_FOR_THREADS)
        registers = Registers()
        _ptrace(GET_REGISTERS, thread, ctypes.addressof(registers))
        if registers.orig_rax not in waits:
            return False
        # Back onto the instruction of the system call, two bytes long, with another number.
        registers.rip -= 2
        registers.rax = call
        registers.orig_rax = 2**64 - 1
        _ptrace(SET_REGISTERS, thread, ctypes.addressof(registers))
        return True
    finally:
        _ptrace(DETACH, thread)


def _ptrace(request, thread, data=None):
    if _libc.ptrace(request, thread, None, data) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace: {os.strerror(error)}")

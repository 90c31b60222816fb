"""Starts vLLM's processes by fork, so that one import of vLLM serves all three of them.

vLLM's CPU platform insists on spawning, and each spawned process imports vLLM again: as measured,
55 s until ready instead of 20 s. This module also drops what a forked process must not keep.
"""

import ctypes
import multiprocessing
import os
import signal
import socket
import stat

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def boot_by_fork() -> None:
    """Makes vLLM fork its processes. Call it after importing vLLM and before building the engine.

    Call it in the main thread, because the kernel ties the children to the thread that forks them.
    """
    import vllm.utils.system_utils
    import vllm.v1.engine.utils
    import vllm.v1.executor.multiproc_executor

    context = multiprocessing.get_context("fork")
    for module in (
        vllm.utils.system_utils,
        vllm.v1.engine.utils,
        vllm.v1.executor.multiproc_executor,
    ):
        module.get_mp_context = lambda: context
    guard_children()


def guard_children() -> None:
    """Makes every later forked process drop our sockets, and end when this process ends."""
    os.register_at_fork(before=_before, after_in_child=_in_child)


def end_with_parent(parent: int) -> None:
    """Makes the kernel send this process SIGTERM when its parent ends, however that happens.

    Strictly, when the parent's thread that forked this process ends.
    """
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)  # the parent ended before the line above


_forking = 0  # id of the process that is about to fork


def _before() -> None:
    global _forking
    _forking = os.getpid()


def _in_child() -> None:
    # A process group of its own, so that Ctrl-C reaches only the parent, which then drains.
    os.setpgid(0, 0)
    # A child never outlives its parent, however the parent dies.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _forking:
        os._exit(1)  # the parent died before the line above
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    _drop_tcp_sockets()


def _drop_tcp_sockets() -> None:
    """Replaces inherited TCP sockets by /dev/null.

    A copy of the listening socket would keep the port in use, and a copy of a client's connection
    would keep it open after the parent closes it. The descriptors stay in use, so that objects
    that still hold them do not close something else later.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            with socket.socket(fileno=os.dup(fd)) as copy:
                tcp = copy.family in (socket.AF_INET, socket.AF_INET6)
                if tcp and copy.type == socket.SOCK_STREAM:
                    os.dup2(null, fd, inheritable=False)
        except OSError:
            continue  # the descriptor of the listing itself, closed by now
    os.close(null)

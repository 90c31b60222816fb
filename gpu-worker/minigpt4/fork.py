"""Starting vLLM's processes by fork, so that one import of vLLM serves all three of them.

vLLM's CPU platform insists on spawning, and each spawned process imports vLLM anew: 55 s to ready
instead of 20 s where this was measured. What a fork copies and must not keep is undone here.
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
    """Make vLLM fork its processes. Call it after importing vLLM, before building the engine, in
    the main thread: the kernel ties the children's lives to the thread that forked them."""
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
    """Undo in every process forked from here on what it must not keep, and tie its life to ours."""
    os.register_at_fork(before=_before, after_in_child=_in_child)


def end_with(parent: int) -> None:
    """Have the kernel send this process SIGTERM when the one that started it ends, however it
    does (strictly: when the thread of it that forked us ends)."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)  # it ended before the line above


_forking = 0  # the process that is about to fork


def _before() -> None:
    global _forking
    _forking = os.getpid()


def _in_child() -> None:
    # Its own process group: Ctrl-C in a terminal reaches the parent only, which then drains.
    os.setpgid(0, 0)
    # No child outlives its parent, however the parent dies.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _forking:
        os._exit(1)  # it died before the line above
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    _drop_tcp_sockets()


def _drop_tcp_sockets() -> None:
    """A copy of the listening socket would keep the port taken, and one of a client's connection
    would keep it open after the parent closed it. The numbers stay in use (by /dev/null), so that
    objects which still hold them close nothing else later."""
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
            continue  # the descriptor of the listing itself, gone by now
    os.close(null)

"""A forked process keeps nothing of its parent's HTTP, and does not outlive it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

PARENT = """
import multiprocessing, os, signal, socket, sys, threading, time
from minigpt4.fork import guard_children

def child(port):
    time.sleep(300)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
client = socket.create_connection(("127.0.0.1", port))
served, _ = listener.accept()
guard_children()
process = multiprocessing.get_context("fork").Process(target=child, args=(port,))
process.start()
time.sleep(0.5)
served.close()
listener.close()
# Had the child kept its copy, this would wait for ever, and the port would stay taken.
client.settimeout(60)
assert client.recv(1) == b"", "the connection is still open"
client.close()
socket.create_server(("127.0.0.1", port)).close()
print(process.pid, flush=True)
time.sleep(300)
"""


def test_a_child_drops_the_parents_sockets_and_dies_with_it():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        line = parent.stdout.readline()  # ends early if the parent fails
        child = psutil.Process(int(line))
        assert child.is_running()
        assert os.getpgid(child.pid) != os.getpgid(parent.pid)  # Ctrl-C is the parent's alone
        status = Path(f"/proc/{child.pid}/status").read_text()
        assert re.search(r"SigBlk:\s+0+\n", status)  # the engine can be told to end
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        deadline = time.monotonic() + 60
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "the child outlived its parent"
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait(10)

# SPDX-License-Identifier: MIT
"""A gevent program on the libev that it shares with ringwake. Servers, sleeps, gevent's thread pool
and fork work as usual while other threads wake the same loop.

Usage: client.py LIBRINGWAKE_EV
"""
import ctypes
import os
import signal
import sys
import threading
import time

import gevent
import gevent.event
import gevent.server
import gevent.socket
import gevent.threadpool

CLIENTS, LINES, SENDERS, SENDS, TASKS = 10, 20, 3, 300, 30

CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
EV_ASYNC = 0x00080000


class Waker:
    """A ringwake_ev_async in a buffer that is large enough for every version."""

    def __init__(self, library, attached, function):
        self.library = library
        self.memory = ctypes.create_string_buffer(1024)
        self.callback = CALLBACK(lambda loop, watcher, revents: function(revents))
        library.ringwake_ev_async_init(self.memory, self.callback)
        library.ringwake_ev_async_start(attached, self.memory)

    def send(self):
        return self.library.ringwake_ev_async_send(self.memory)

    def stop(self):
        self.library.ringwake_ev_async_stop(self.memory)


def echo(connection, _):
    for line in connection.makefile("rb"):
        connection.sendall(line)


def talk(port):
    connection = gevent.socket.create_connection(("127.0.0.1", port))
    reader = connection.makefile("rb")
    answered = 0
    for number in range(LINES):
        line = b"%d\n" % number
        connection.sendall(line)
        answered += reader.readline() == line
        gevent.sleep(0)
    connection.close()
    return answered


def exercise(waker, seen):
    """Runs all parts at the same time. Returns True if each result is correct."""
    server = gevent.server.StreamServer(("127.0.0.1", 0), echo)
    server.start()
    clients = [gevent.spawn(talk, server.server_port) for _ in range(CLIENTS)]
    pool = gevent.threadpool.ThreadPool(2)
    tasks = [pool.spawn(pow, number, 2) for number in range(TASKS)]
    results = []
    seen["sent"] = 0
    seen["done"].clear()
    lock = threading.Lock()

    def send():
        for number in range(SENDS):
            before = seen["callbacks"]
            with lock:
                seen["sent"] += 1
            results.append(waker.send())
            while number % 10 == 0 and seen["callbacks"] == before:
                time.sleep(0.0001)  # so that the loop is blocked before the next send

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    holds = seen["done"].wait(30)
    holds = holds and [task.get() for task in tasks] == [n * n for n in range(TASKS)]
    gevent.joinall(clients, timeout=30)
    holds = holds and sum(client.value or 0 for client in clients) == CLIENTS * LINES
    for thread in threads:
        thread.join()
    holds = holds and set(results) == {0} and len(results) == SENDERS * SENDS
    server.stop()
    pool.kill()
    return holds


def main():
    signal.alarm(60)
    library = ctypes.CDLL(sys.argv[1])
    for name in "init", "start", "stop", "send":
        getattr(library, "ringwake_ev_async_" + name).restype = ctypes.c_int
    loop = gevent.get_hub().loop
    attached = ctypes.c_void_p()
    if library.ringwake_ev_attach(ctypes.byref(attached), ctypes.c_void_p(loop.ptr), None) != 0:
        return "attach failed"
    seen = {"sent": 0, "callbacks": 0, "done": gevent.event.Event()}

    def on_wake(revents):
        assert revents == EV_ASYNC
        seen["callbacks"] += 1
        if seen["sent"] == SENDERS * SENDS:
            seen["done"].set()

    waker = Waker(library, attached, on_wake)
    if not exercise(waker, seen):
        return "a result differs from that without ringwake"

    child = gevent.fork()
    if child == 0:
        gevent.sleep(0.01)  # the loop runs once, and from then on the child has its own target
        os._exit(0 if exercise(waker, seen) else 1)
    if gevent.os.waitpid(child, 0)[1] != 0:
        return "the forked child failed"
    if not exercise(waker, seen):
        return "after a fork, a result differs from that before"
    waker.stop()
    if library.ringwake_ev_detach(attached) != 0:
        return "detach failed"
    gevent.sleep(0.01)
    print(f"# {loop.backend}: {seen['callbacks']} callbacks for {2 * SENDERS * SENDS} sends")
    return None


sys.exit(main())

# SPDX-License-Identifier: MIT
"""Real work for gevent on libev: async watchers sent by threads, the hub's threadpool, forks inside
greenlets, subprocesses, sockets, signals and hubs of other threads. Prints a line for each part
whose results are correct."""
import os
import signal
import sys
import threading

import gevent
import gevent.event
import gevent.os
import gevent.queue
import gevent.server
import gevent.signal
import gevent.socket
import gevent.subprocess
import gevent.threadpool
from gevent import monkey

LIMIT = 40


def storm(threads=8, sends=20000):
    """The callback sees what was written before the last send."""
    hub = gevent.get_hub()
    done = gevent.event.Event()
    written = [0] * threads
    seen = [0] * threads

    def called(thread):
        seen[thread] = written[thread]
        if seen == [sends] * threads:
            done.set()

    def send(thread):
        for number in range(sends):
            written[thread] = number + 1
            watchers[thread].send()

    watchers = [hub.loop.async_() for _ in range(threads)]
    for thread, watcher in enumerate(watchers):
        watcher.start(called, thread)
    senders = [threading.Thread(target=send, args=(i,)) for i in range(threads)]
    for sender in senders:
        sender.start()
    assert done.wait(LIMIT)
    for sender in senders:
        sender.join()
    for watcher in watchers:
        watcher.stop()
        watcher.close()


def one_at_a_time(sends=3000):
    """The loop is blocked before every send."""
    hub = gevent.get_hub()
    answered = threading.Semaphore(0)
    done = gevent.event.Event()
    count = 0

    def called():
        nonlocal count
        count += 1
        if count == sends:
            done.set()
        answered.release()

    def send():
        for _ in range(sends):
            watcher.send()
            answered.acquire()

    watcher = hub.loop.async_()
    watcher.start(called)
    sender = threading.Thread(target=send)
    sender.start()
    assert done.wait(LIMIT)
    sender.join()
    assert count == sends
    watcher.stop()
    watcher.close()


def pending():
    """The property reads the watcher's member."""
    watcher = gevent.get_hub().loop.async_()
    came = gevent.event.Event()
    watcher.start(came.set)
    assert not watcher.pending and watcher.active
    watcher.send()
    assert watcher.pending
    assert came.wait(LIMIT)
    assert not watcher.pending
    watcher.send()
    watcher.stop()
    gevent.sleep(0.01)
    assert not watcher.active
    watcher.close()


def square(number):
    return number * number


def threadpool(count=2000):
    pool = gevent.get_hub().threadpool
    answers = [pool.spawn(square, number) for number in range(count)]
    assert [answer.get() for answer in answers] == [square(number) for number in range(count)]
    assert list(pool.imap(square, range(100))) == [square(number) for number in range(100)]


def threadpools():
    """Another pool is created and ended."""
    for _ in range(20):
        pool = gevent.threadpool.ThreadPool(4)
        assert pool.map(square, range(50)) == [square(number) for number in range(50)]
        pool.kill()


def in_child():
    storm(2, 1000)
    threadpool(20)
    pending()


def forked():
    """A greenlet, which runs in a callback of the loop, forks."""
    for _ in range(5):
        pid = gevent.os.fork_and_watch()
        if pid == 0:
            status = 1
            try:
                in_child()
                status = 0
            finally:
                os._exit(status)
        _, status = gevent.os.waitpid(pid, 0)
        assert status == 0, status


def forked_with_watcher():
    """The child gets sends to a watcher that its parent has started."""
    hub = gevent.get_hub()
    watcher = hub.loop.async_()
    for _ in range(5):
        came = gevent.event.Event()
        watcher.start(came.set)
        pid = gevent.os.fork_and_watch()
        if pid == 0:
            gevent.sleep(0.001)  # the loop runs once
            threading.Thread(target=watcher.send).start()
            os._exit(0 if came.wait(LIMIT) else 1)
        watcher.send()
        assert came.wait(LIMIT)
        watcher.stop()
        _, status = gevent.os.waitpid(pid, 0)
        assert status == 0, status
    watcher.close()


def subprocesses():
    def output_of(number):
        process = gevent.subprocess.Popen(
            ["/bin/sh", "-c", f"cat; exit {number % 7}"],
            stdin=gevent.subprocess.PIPE, stdout=gevent.subprocess.PIPE)
        text, _ = process.communicate(b"x" * number)
        return len(text), process.returncode

    jobs = [gevent.spawn(output_of, number) for number in range(30)]
    gevent.joinall(jobs, timeout=LIMIT, raise_error=True)
    assert [job.value for job in jobs] == [(number, number % 7) for number in range(30)]


def sockets():
    def serve(connection, _):
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.close()

    def ask(size):
        connection = gevent.socket.create_connection(("127.0.0.1", server.server_port))
        connection.sendall(b"y" * size)
        connection.shutdown(gevent.socket.SHUT_WR)
        length = 0
        while data := connection.recv(65536):
            length += len(data)
        connection.close()
        return length

    server = gevent.server.StreamServer(("127.0.0.1", 0), serve)
    server.start()
    gevent.socket.getaddrinfo("127.0.0.1", server.server_port)  # in the threadpool
    jobs = [gevent.spawn(ask, 1000 * number) for number in range(50)]
    gevent.joinall(jobs, timeout=LIMIT, raise_error=True)
    assert [job.value for job in jobs] == [1000 * number for number in range(50)]
    server.stop()


def signals():
    for _ in range(100):
        came = gevent.event.Event()
        handler = gevent.signal_handler(signal.SIGUSR1, came.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert came.wait(LIMIT)
        handler.cancel()


def hubs():
    """Threads with their own loops end. gevent 24.11 crashes if they had a threadpool."""
    failures = []

    def run():
        try:
            for _ in range(10):
                storm(2, 100)
                gevent.get_hub().destroy(destroy_loop=True)
        except BaseException as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            gevent.sleep(0.01)
    assert not failures, failures


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def main():
    assert not monkey.is_module_patched("threading")
    loop = gevent.get_hub().loop
    print(type(loop).__module__, loop.backend, flush=True)
    subprocesses()
    threadpool(10)
    before = None
    for work in (storm, one_at_a_time, pending, threadpool, threadpools, forked, forked_with_watcher,
                 subprocesses, sockets, signals, hubs):
        with gevent.Timeout(LIMIT):
            work()
        before = before or descriptors()
        print(work.__name__, flush=True)
    gevent.sleep(0.05)
    after = descriptors()
    print("no descriptor more" if after <= before else f"{before} to {after} descriptors")


if __name__ == "__main__":
    sys.exit(main())

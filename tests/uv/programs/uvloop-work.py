# SPDX-License-Identifier: MIT
"""Real work for uvloop: subprocesses, storms of call_soon_threadsafe() from eight threads, executors
of threads and of processes, multiprocessing, signals, sockets and loops one after the other. Prints
a line for each part whose results are correct."""
import asyncio
import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import uvloop

LIMIT = 40


def run(coroutine):
    loop = uvloop.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(asyncio.wait_for(coroutine, LIMIT))
    finally:
        loop.close()


async def output_of(number):
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", f"cat; exit {number % 7}",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    text, _ = await process.communicate(b"x" * number)
    return len(text), process.returncode


async def subprocesses():
    answers = await asyncio.gather(*(output_of(number) for number in range(40)))
    assert answers == [(number, number % 7) for number in range(40)], answers


async def killed():
    process = await asyncio.create_subprocess_exec("sleep", "100")
    process.kill()
    assert await process.wait() == -signal.SIGKILL


async def storm(threads=8, calls=20000):
    loop = asyncio.get_running_loop()
    seen = [0] * threads
    done = asyncio.Event()

    def called(thread, number):
        assert seen[thread] == number
        seen[thread] += 1
        if sum(seen) == threads * calls:
            done.set()

    def send(thread):
        for number in range(calls):
            loop.call_soon_threadsafe(called, thread, number)

    senders = [threading.Thread(target=send, args=(i,)) for i in range(threads)]
    for sender in senders:
        sender.start()
    await done.wait()
    for sender in senders:
        sender.join()


async def one_at_a_time(calls=3000):
    """The loop is blocked before every call."""
    loop = asyncio.get_running_loop()
    answers = concurrent.futures.Future()

    def send():
        for number in range(calls):
            answer = concurrent.futures.Future()
            loop.call_soon_threadsafe(answer.set_result, number)
            assert answer.result(LIMIT) == number
        loop.call_soon_threadsafe(answers.set_result, calls)

    sender = threading.Thread(target=send)
    sender.start()
    assert await asyncio.wrap_future(answers) == calls
    sender.join()


def square(number):
    return number * number


async def executor(kind, count):
    loop = asyncio.get_running_loop()
    with kind(4) as pool:
        answers = await asyncio.gather(
            *(loop.run_in_executor(pool, square, number) for number in range(count)))
    assert answers == [square(number) for number in range(count)]


def child(connection):
    connection.send(run(in_child()))
    connection.close()


async def in_child():
    await storm(2, 1000)
    return await output_of(5)


async def multiprocess(method):
    context = multiprocessing.get_context(method)
    loop = asyncio.get_running_loop()
    for _ in range(3):
        ours, theirs = context.Pipe()
        process = context.Process(target=child, args=(theirs,))
        process.start()
        theirs.close()
        assert await loop.run_in_executor(None, ours.recv) == (5, 5)
        await loop.run_in_executor(None, process.join)
        assert process.exitcode == 0
        ours.close()


async def forked():
    """A callback of the loop forks, and the child runs its own loop."""
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                asyncio.events._set_running_loop(None)
                status = 0 if run(in_child()) == (5, 5) else 2
            finally:
                os._exit(status)
        loop = asyncio.get_running_loop()
        _, status = await loop.run_in_executor(None, os.waitpid, pid, 0)
        assert status == 0, status


async def signals():
    loop = asyncio.get_running_loop()
    for _ in range(100):
        came = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, came.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await came.wait()
    loop.remove_signal_handler(signal.SIGUSR1)


async def sockets():
    async def serve(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def ask(port, size):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"y" * size)
        writer.write_eof()
        text = await reader.read()
        writer.close()
        return len(text)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", port)
    sizes = [1000 * number for number in range(50)]
    assert await asyncio.gather(*(ask(port, size) for size in sizes)) == sizes
    server.close()
    await server.wait_closed()


def loops():
    async def nothing():
        await asyncio.get_running_loop().run_in_executor(None, square, 1)

    threads = [threading.Thread(target=lambda: [run(nothing()) for _ in range(20)])
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def main():
    run(subprocesses())
    run(multiprocess("spawn"))  # the first run starts a process that stays
    before = descriptors()
    for name, work in (
            ("subprocesses", subprocesses()),
            ("a killed subprocess", killed()),
            ("call_soon_threadsafe from 8 threads", storm()),
            ("one call at a time", one_at_a_time()),
            ("threads", executor(concurrent.futures.ThreadPoolExecutor, 2000)),
            ("processes", executor(concurrent.futures.ProcessPoolExecutor, 200)),
            ("multiprocessing, fork", multiprocess("fork")),
            ("multiprocessing, spawn", multiprocess("spawn")),
            ("fork in the loop", forked()),
            ("signals", signals()),
            ("sockets", sockets())):
        run(work)
        print(name, flush=True)
    loops()
    after = descriptors()
    print("loops", "no descriptor more" if after <= before else f"{before} to {after} descriptors")


if __name__ == "__main__":
    sys.exit(main())

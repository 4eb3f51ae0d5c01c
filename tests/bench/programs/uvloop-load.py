# SPDX-License-Identifier: MIT
"""uvloop-load.py threadsafe-N: calls of call_soon_threadsafe() that arrive in a second, from eight
threads that send all they have, or from one that waits for each."""
import asyncio
import concurrent.futures
import sys
import threading
import time

import uvloop


async def storm(threads=8, calls=40000):
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    seen = 0

    def called():
        nonlocal seen
        seen += 1
        if seen == threads * calls:
            done.set()

    def send():
        for _ in range(calls):
            loop.call_soon_threadsafe(called)

    senders = [threading.Thread(target=send) for _ in range(threads)]
    begin = time.perf_counter()
    for sender in senders:
        sender.start()
    await done.wait()
    took = time.perf_counter() - begin
    for sender in senders:
        sender.join()
    return threads * calls / took


async def one(calls=20000):
    loop = asyncio.get_running_loop()

    def send():
        begin = time.perf_counter()
        for number in range(calls):
            answer = concurrent.futures.Future()
            loop.call_soon_threadsafe(answer.set_result, number)
            answer.result(30)
        return calls / (time.perf_counter() - begin)

    return await loop.run_in_executor(None, send)


asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
print(asyncio.run(storm() if sys.argv[1] == "threadsafe-8" else one()))

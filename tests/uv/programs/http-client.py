# SPDX-License-Identifier: MIT
"""http-client.py COUNT | stop: sends COUNT requests on each of eight connections to httpuv.R."""
import http.client
import socket
import sys
import threading

sums = [0] * 8


def ask(connection, method, path, body=None):
    connection.request(method, path, body)
    # The response has two parts, and the second waits for the acknowledgement of the first.
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    return answer.read()


def client(index, count):
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
    for number in range(count):
        text = f"{index}-{number};".encode()
        assert ask(connection, "POST", "/", text) == text * 2
        assert len(ask(connection, "GET", "/static/file.txt")) == 7000
        sums[index] += 1
    connection.close()


if sys.argv[1] == "stop":
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
    print("stop", ask(connection, "POST", "/stop", b"ab").decode())
    sys.exit()
threads = [threading.Thread(target=client, args=(index, int(sys.argv[1]))) for index in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("answers", sums)

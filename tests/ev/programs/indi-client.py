# SPDX-License-Identifier: MIT
"""indi-client.py COUNT: four clients of an INDI server, each of which gets COUNT pictures from
the simulated camera."""
import re
import socket
import sys

CAMERA = 'device="CCD Simulator"'


class Client:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", 7624), timeout=20)
        self.text = b""

    def send(self, text):
        self.socket.sendall(text.encode())

    def until(self, pattern):
        """Waits for the end of an element whose start matches the pattern. Returns the start."""
        expression = re.compile(pattern.encode())
        while not (found := expression.search(self.text)):
            self.receive()
        self.text = self.text[found.end():]
        return found

    def receive(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise SystemExit("the server has closed the connection")
        self.text = self.text[-4000:] + data if len(self.text) > 1 << 16 else self.text + data


def main(count):
    clients = [Client() for _ in range(4)]
    for client in clients:
        client.send('<getProperties version="1.7"/>')
        client.until(f'<defSwitchVector {CAMERA} name="CONNECTION"')
    if count == 0:
        return
    clients[0].send(f'<newSwitchVector {CAMERA} name="CONNECTION">'
                    '<oneSwitch name="CONNECT">On</oneSwitch></newSwitchVector>')
    for client in clients:
        client.until(f'<defNumberVector {CAMERA} name="CCD_EXPOSURE"')
        client.send(f'<enableBLOB {CAMERA}>Also</enableBLOB>')
    for _ in range(count):
        clients[0].send(f'<newNumberVector {CAMERA} name="CCD_EXPOSURE">'
                        '<oneNumber name="CCD_EXPOSURE_VALUE">0.01</oneNumber></newNumberVector>')
        sizes = []
        for client in clients:
            client.until(f'<setBLOBVector {CAMERA}')
            sizes.append(int(client.until(r'<oneBLOB[^>]*\ssize="(\d+)"')[1]))
            client.until("</setBLOBVector>")
        print("pictures of", *sizes)


main(int(sys.argv[1]))

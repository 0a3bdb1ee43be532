"""What the attacks and their victim need: a relay of their own, and clients that may send anything."""

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

TEXT, CONTINUATION, PING = 1, 0, 9
READY = re.compile(rb"ready on http://127\.0\.0\.1:(\d+)")
TICKS = os.sysconf("SC_CLK_TCK")


def frame(opcode, payload=b"", fin=True):
    """One masked frame; the mask is zero, which changes nothing."""
    size = len(payload)
    head = bytes([(128 if fin else 0) | opcode])
    if size < 126:
        head += bytes([128 | size])
    elif size < 65536:
        head += bytes([128 | 126]) + struct.pack(">H", size)
    else:
        head += bytes([128 | 127]) + struct.pack(">Q", size)
    return head + bytes(4) + payload


def text(message):
    if not isinstance(message, bytes):
        message = json.dumps(message, separators=(",", ":")).encode()
    return frame(TEXT, message)


class Socket:
    """A WebSocket connection of which nothing is checked but that it was upgraded."""

    def __init__(self, port, canvas, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            f"GET /ws/{canvas} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Protocol: scumble.v1\r\n\r\n".encode()
        )
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head[:200])

    def _more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data

    def hello(self, client=None, **more):
        self.send({"type": "hello", "v": 1, "client": client or uuid.uuid4().hex, **more})
        return self

    def join(self, client=None):
        self.hello(client).until("welcome")
        return self

    def send(self, message):
        self.socket.sendall(text(message))

    def receive(self):
        """The next text message."""
        while True:
            while len(self.buffer) < 2:
                self._more()
            opcode, size, at = self.buffer[0] & 15, self.buffer[1], 2
            if size > 125:
                at = 4 if size == 126 else 10
                while len(self.buffer) < at:
                    self._more()
                size = int.from_bytes(self.buffer[2:at], "big")
            while len(self.buffer) < at + size:
                self._more()
            payload, self.buffer = self.buffer[at : at + size], self.buffer[at + size :]
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == PING:
                self.socket.sendall(frame(10, payload))
            if opcode == 8:
                raise ConnectionError(f"closed with {int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}")

    def until(self, kind):
        while True:
            message = self.receive()
            if message["type"] == kind:
                return message
            if message["type"] == "error" and kind == "ack":
                raise ConnectionError(message)

    def close(self):
        self.socket.close()


class Plain:
    """A connection for HTTP of which nothing is checked."""

    def __init__(self, port, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def request(method, path, body=b"", headers=""):
    """The bytes of a request. Headers end with a line break each."""
    if not isinstance(body, bytes):
        body = json.dumps(body, separators=(",", ":")).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer(port, data):
    """Sends a request on a connection of its own; the answer's status."""
    s = Plain(port).socket
    s.sendall(data)
    status = int(s.recv(64).split()[1])
    s.close()
    return status


class Relay:
    """A `scumble serve` on a file of its own. `more` gives flags for its folder."""

    def __init__(self, program, flags, more):
        self.folder = Path(tempfile.mkdtemp(prefix="scumble-abuse-"))
        self.log = self.folder / "log"
        command = [program, "serve", "--listen", "127.0.0.1:0", "--db", self.folder / "relay.db", *more(self.folder), *flags]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + 15
        while not (ready := READY.search(self.log.read_bytes())):
            if self.process.poll() is not None or time.monotonic() > until:
                self.end()
                raise SystemExit(f"the relay did not start: {' '.join(map(str, command))}")
            time.sleep(0.02)
        self.port = int(ready[1])

    def rss(self):
        """Its memory, MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def cpu(self):
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def disk(self):
        """Bytes of its files, MiB."""
        return sum(f.stat().st_size for f in self.folder.glob("relay.db*") if f.is_file()) / (1 << 20)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

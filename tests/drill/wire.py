"""A WebSocket client of the standard library alone: text frames, pings, closes. What a drill needs, and no more."""
import asyncio
import base64
import json
import os
import struct


class Closed(Exception):
    """The connection ended; with the close code, or 1006 without a close frame."""

    def __init__(self, code=1006):
        super().__init__(f"closed with {code}")
        self.code = code


class Socket:
    """One WebSocket."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port, path, timeout_s):
        """Raises `Closed` or OSError if there is no upgrade."""
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Protocol: scumble.v1\r\n\r\n".encode())
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                head = b""
            if b" 101 " not in head[:20]:
                writer.close()
                raise Closed
            return cls(reader, writer)

    def send(self, message):
        """A message as JSON."""
        self._frame(1, json.dumps(message, separators=(",", ":")).encode())

    def _frame(self, opcode, payload):
        size, mask = len(payload), os.urandom(4)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        masked = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        self.writer.write(head + mask + masked.to_bytes(size, "big"))

    async def receive(self):
        """The next message. Raises `Closed` at the end."""
        text = b""
        try:
            while True:
                first, size = await self.reader.readexactly(2)
                if size == 126:
                    size = struct.unpack("!H", await self.reader.readexactly(2))[0]
                elif size == 127:
                    size = struct.unpack("!Q", await self.reader.readexactly(8))[0]
                payload = await self.reader.readexactly(size)
                opcode = first & 15
                if opcode == 8:
                    raise Closed(int.from_bytes(payload[:2], "big") or 1005)
                if opcode == 9:
                    self._frame(10, payload)
                elif opcode < 3:
                    text += payload
                    if first & 0x80:
                        return json.loads(text)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Closed from error

    def abort(self):
        """Ends it at once."""
        self.writer.transport.abort()

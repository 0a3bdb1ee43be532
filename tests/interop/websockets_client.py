"""The relay as the Python package "websockets" sees it. Run by tests/interop/run."""

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import tempfile
import unittest

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

NUMBERS = itertools.count()
PATIENCE = 30
LIMIT = 262_144


class Relay:
    """A process with a queue of its own, and with hooks if there are any."""

    def __init__(self, hooks=None):
        self.hooks = hooks

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        command = [os.environ["SCUMBLE"], "serve", "--listen=127.0.0.1:0", "--db", f"{self.folder.name}/relay.db"]
        if self.hooks is not None:
            path = f"{self.folder.name}/hooks.toml"
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                file.write(self.hooks)
            command += ["--hooks", path]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={})
        for line in self.process.stderr:
            if ready := re.search(r"ready on http://(\S+)", line):
                self.url = f"ws://{ready[1]}/ws/"
                return self
        raise AssertionError("the relay does not start")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.folder.cleanup()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)


def text_of(kind, size=None, **fields):
    """A message; of exactly so many bytes, if they are given."""
    message = {"type": kind, **fields}
    if size is not None:
        message["data"] = "x" * (size - len(json.dumps({**message, "data": ""})))
    return json.dumps(message)


async def until(socket, kind):
    async for text in socket:
        message = json.loads(text)
        if message["type"] == kind:
            return message
    raise AssertionError(f"the end instead of {kind}")


async def join(relay, canvas="board", client=None, **options):
    options.setdefault("subprotocols", ["scumble.v1"])
    socket = await connect(relay.url + canvas, open_timeout=PATIENCE, max_size=None, **options)
    await socket.send(text_of("hello", v=1, client=client or f"python-{next(NUMBERS):04}"))
    await until(socket, "snapshot")
    return socket


async def closed(socket):
    """Reads to the end; the code and the reason that the server gave."""
    try:
        while True:
            await asyncio.wait_for(socket.recv(), PATIENCE)
    except ConnectionClosed as end:
        return (end.rcvd.code, end.rcvd.reason) if end.rcvd else None


class Websockets(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.relay = cls.enterClassContext(Relay())

    async def asyncTearDown(self):
        self.assertIsNone(self.relay.process.poll(), "the relay is alive")

    async def test_subprotocol(self):
        for offered, selected in [
            (["scumble.v1"], "scumble.v1"),
            (["chat", "scumble.v1", "scumble.v2"], "scumble.v1"),
            (["chat"], None),
            (None, None),
        ]:
            async with await join(self.relay, subprotocols=offered) as socket:
                self.assertEqual(socket.subprotocol, selected)

    async def test_no_extension_is_negotiated(self):
        async with await join(self.relay, compression="deflate") as socket:
            self.assertEqual(socket.protocol.extensions, [])
            await socket.send(text_of("chat", op=1, text="x" * 4_000))
            self.assertEqual((await until(socket, "ack"))["status"], "ok")

    async def test_fragments_with_control_frames_in_between(self):
        async def pieces(socket, message):
            # Of bytes: a character of four may be cut.
            for at in range(0, len(message), 7):
                yield message[at : at + 7]
                await asyncio.wait_for(await socket.ping(f"ping {at}"), PATIENCE)

        said = "h\u00e9llo \U0001f600 " * 20
        async with await join(self.relay, "fragments") as socket:
            message = json.dumps({"type": "chat", "op": 1, "text": said}, ensure_ascii=False).encode()
            await socket.send(pieces(socket, message), text=True)
            self.assertEqual((await until(socket, "ack"))["seq"], 1)
        async with await connect(self.relay.url + "fragments") as socket:
            await socket.send(text_of("hello", v=1, client="python-reader"))
            self.assertEqual((await until(socket, "snapshot"))["chat"][0]["text"], said)

    async def test_pings(self):
        async with await join(self.relay) as socket:
            for payload in [b"", b"x", bytes(range(125))]:
                await asyncio.wait_for(await socket.ping(payload), PATIENCE)
            await socket.pong(b"nobody asked")
            await socket.send(text_of("ping", ts=7))
            self.assertEqual((await until(socket, "pong"))["ts"], 7)

    async def test_the_client_closes(self):
        for code in [1000, 1001, 1003, 1008, 1011, 3000, 4000, 4999]:
            socket = await join(self.relay)
            await asyncio.wait_for(socket.close(code, "done"), PATIENCE)
            self.assertEqual((socket.protocol.close_rcvd.code, socket.protocol.close_rcvd_then_sent), (code, False))

    async def test_the_server_closes(self):
        socket = await join(self.relay)
        await socket.send(text_of("bye"))
        self.assertEqual((await closed(socket))[0], 1000)
        socket = await join(self.relay)
        for _ in range(10):
            await socket.send("{")
        self.assertEqual(await closed(socket), (4400, "ten bad messages in a row"))
        socket = await join(self.relay)
        await socket.send(b"\xff\xfe", text=True)
        self.assertEqual((await closed(socket))[0], 1007)
        older = await join(self.relay, client="python-twice")
        async with await join(self.relay, client="python-twice"):
            self.assertEqual((await closed(older))[0], 4409)

    async def test_limits(self):
        async with await join(self.relay, "limits") as socket:
            await socket.send(text_of("broadcast", LIMIT, op=1, event="e"))
            self.assertEqual((await until(socket, "ack"))["seq"], 1)
            half = b"x" * (LIMIT // 2 + 1)
            await socket.send([half, half], text=True)
            self.assertEqual((await closed(socket))[0], 1009)
        for size in [LIMIT + 1, 900_000]:
            socket = await join(self.relay)
            await socket.send(text_of("broadcast", size, op=1, event="e"))
            self.assertEqual((await closed(socket))[0], 1009)

    async def test_binary_is_refused_by_name(self):
        async with await join(self.relay) as socket:
            await socket.send(b"{}")
            self.assertEqual((await until(socket, "error"))["code"], "bad-message")
            await socket.send(text_of("ping", ts=1))
            await until(socket, "pong")


class Drain(unittest.IsolatedAsyncioTestCase):
    async def test_a_relay_that_stops_says_so(self):
        with Relay() as relay:
            socket = await join(relay)
            relay.terminate()
            self.assertIn("retry_after_ms", await until(socket, "goaway"))
            self.assertEqual((await closed(socket))[0], 4503)
            self.assertEqual(relay.process.wait(PATIENCE), 0)


if __name__ == "__main__":
    unittest.main()

"""The transcript in docs/PROTOCOL.md, played against a real process. Run by tests/interop/run."""

import asyncio
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PATIENCE = 30
DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/PROTOCOL.md"
# A value in a message that is shortened in the document, and what the client sends there.
LONG = {'"x…"': json.dumps("x" * 33_000)}


def written():
    """The command that the transcript names, and its lines: (name, "<", ">" or "x", text)."""
    [section] = re.findall(r"^## A transcript\n(.*?)^## ", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    [flags] = re.findall(r"`scumble serve ([^`]*)`", section)
    blocks = re.findall(r"^```text\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    lines = [re.fullmatch(r"(\w+) ([<>x]) ?(.*)", line).groups() for line in "".join(blocks).splitlines()]
    return flags.split(), lines


def normal(text):
    """A message without what differs each time: times, and the name of the numbering."""
    text = re.sub(r'"(at|server_ts|cursor_age_ms|retry_after_ms)":\d+', r'"\1":0', text)
    text = re.sub(r'"epoch":"[0-9a-f]{16}"', '"epoch":"e"', text)
    # Shortened in the document in all but the first welcome.
    return re.sub(r'"limits":\{[^{}]*\}', '"limits":{…}', text)


class Client:
    """A connection whose messages wait in a list until they are asked for."""

    def __init__(self, socket):
        self.socket = socket
        self.inbox = asyncio.Queue()
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        try:
            async for text in self.socket:
                self.inbox.put_nowait(f"< {text}")
        except ConnectionClosed:
            pass
        closed = self.socket.protocol.close_rcvd
        self.inbox.put_nowait(f"x close {closed.code} {closed.reason}" if closed else "x (lost)")

    async def next(self):
        return await asyncio.wait_for(self.inbox.get(), PATIENCE)

    async def answered(self):
        while self.inbox.empty():
            await asyncio.sleep(0.01)


class Player:
    """Sends what clients send in the transcript, and gets what they got, in the same order."""

    def __init__(self, flags, db):
        command = [os.environ["SCUMBLE"], "serve", *flags, "--listen=127.0.0.1:0", "--db", db]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={})
        for line in self.process.stderr:
            if ready := re.search(r"ready on http://(\S+)", line):
                self.url = f"ws://{ready[1]}/ws/demo"
                break
        self.clients = {}
        self.epoch = None
        self.sender = None

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    async def send(self, name, text):
        # Of two that send at the same time, the first one is first.
        if self.sender not in (None, name):
            await asyncio.wait_for(self.clients[self.sender].answered(), PATIENCE)
        self.sender = name
        if name not in self.clients:
            self.clients[name] = Client(await connect(self.url, subprotocols=["scumble.v1"], max_size=None))
        for short, long in LONG.items():
            text = text.replace(short, long)
        text = re.sub(r'("epoch":)"[0-9a-f]{16}"', rf'\1"{self.epoch}"', text)
        await self.clients[name].socket.send(text)

    async def play(self, name, way, text):
        """The line as it is now, if it is one that a client got."""
        if way == ">":
            await self.send(name, text)
            return None
        self.sender = None
        if (way, text) == ("x", "(lost)"):
            self.clients.pop(name).socket.transport.abort()
            return None
        if '"goaway"' in text:
            self.process.send_signal(signal.SIGTERM)
        got = await self.clients[name].next()
        if epoch := re.search(r'"epoch":"([0-9a-f]{16})"', got):
            self.epoch = epoch[1]
        return f"{name} {got}"


class Transcript(unittest.IsolatedAsyncioTestCase):
    maxDiff = None

    async def test_every_line_of_the_transcript_is_what_a_relay_says(self):
        flags, lines = written()
        self.assertGreater(len(lines), 80)
        with tempfile.TemporaryDirectory() as folder:
            player = Player(flags, f"{folder}/relay.db")
            try:
                for line in lines:
                    now = await player.play(*line)
                    if now is not None:
                        self.assertEqual(normal(" ".join(line)), normal(now))
            finally:
                player.end()


if __name__ == "__main__":
    unittest.main()

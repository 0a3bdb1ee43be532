"""A client of the MessagePack encoding, written from docs/PROTOCOL.md with the Python packages "websockets" and "msgpack".
Run by tests/interop/run."""

import asyncio
import json
import math
import unittest
import zlib

import msgpack
from websockets.asyncio.client import connect
from websockets_client import NUMBERS, PATIENCE, Relay

# The table of the page.
TABLE = {
    1: ("ack", ["op", "seq", "status"]),
    2: ("object-create", ["seq", "client", "at", "op", "object"]),
    3: ("object-update", ["seq", "client", "at", "op", "id", "patch"]),
    4: ("object-delete", ["seq", "client", "at", "op", "id"]),
    5: ("chat", ["seq", "client", "at", "op", "text", "reply_to", "user"]),
    6: ("broadcast", ["seq", "client", "at", "op", "event", "data"]),
    8: ("presence", ["client", "state", "away"]),
}
STATUS = ["ok", "dup", "ignored"]
# What is open, to be closed after each test.
SOCKETS = []


def inflate(data):
    """Raw DEFLATE, as far as the page allows."""
    reader = zlib.decompressobj(-15)
    inflated = reader.decompress(data, 1 << 20)
    assert reader.eof
    return inflated


class Packed:
    """One connection that speaks MessagePack and tells what it hears as JSON would have told it."""

    def __init__(self, client=None):
        self.client = client or f"python-{next(NUMBERS):04}"
        self.people = {}
        self.heard = []
        self.inflated = []
        self.compressed = 0

    async def join(self, relay, canvas, **hello):
        offers = ["scumble.v1.msgpack", "scumble.v1"]
        self.socket = await connect(relay.url + canvas, subprotocols=offers, open_timeout=PATIENCE, max_size=None)
        SOCKETS.append(self.socket)
        assert self.socket.subprotocol == "scumble.v1.msgpack"
        await self.say("hello", v=1, client=self.client, **hello)
        self.welcome = await self.until("welcome")
        if self.welcome["mode"] == "snapshot":
            self.snapshot = await self.until("snapshot")
        return self

    async def say(self, kind, **fields):
        await self.socket.send(msgpack.packb({"type": kind, **fields}))

    async def next(self):
        if not self.inflated:
            frame = await asyncio.wait_for(self.socket.recv(), PATIENCE)
            assert isinstance(frame, bytes), "messages are binary frames"
            value = msgpack.unpackb(frame)
            if isinstance(value, list) and value[0] == 9:
                self.compressed += 1
                self.inflated = msgpack.unpackb(inflate(value[1]))
            else:
                self.inflated = [value]
        return self.read(self.inflated.pop(0))

    async def until(self, kind):
        while True:
            message = await self.next()
            self.heard.append(message)
            if message["type"] == kind:
                return message

    def read(self, value):
        if isinstance(value, dict):
            for person in [value, *value.get("users", [])]:
                if "n" in person:
                    self.people[person.pop("n")] = person["client"]
            return value
        number, *fields = value
        if number == 7:
            return {"type": "cursor-batch", "cursors": [self.named(["client", "x", "y"], one) for one in fields]}
        kind, names = TABLE[number]
        message = {"type": kind, **self.named(names, fields)}
        if kind == "ack":
            message["status"] = STATUS[message["status"]]
        return message

    def named(self, names, values):
        message = {name: value for name, value in zip(names, values) if value is not None}
        if isinstance(message.get("client"), int):
            message["client"] = self.people[message["client"]]
        for rest in values[len(names) :]:
            message.update(rest)
        return message


class Json:
    """The same canvas in JSON."""

    async def join(self, relay, canvas):
        self.client = f"python-{next(NUMBERS):04}"
        self.socket = await connect(relay.url + canvas, subprotocols=["scumble.v1"], open_timeout=PATIENCE)
        SOCKETS.append(self.socket)
        await self.socket.send(json.dumps({"type": "hello", "v": 1, "client": self.client}))
        await self.until("snapshot")
        return self

    async def until(self, kind):
        while True:
            message = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
            if message["type"] == kind:
                return message


class Msgpack(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.relay = cls.enterClassContext(Relay())

    async def asyncTearDown(self):
        while SOCKETS:
            await SOCKETS.pop().close()
        self.assertIsNone(self.relay.process.poll(), "the relay is alive")

    async def test_both_encodings_tell_the_same(self):
        json_one = await Json().join(self.relay, "same")
        ada = await Packed().join(self.relay, "same", user={"name": "Ad\u00e4"})
        ben = await Packed().join(self.relay, "same")
        thing = {"id": "a", "kind": "box", "x": 0.1, "whole": 2**64 - 1, "less": -(2**63), "deep": [{"none": None}, [True]]}
        said = [
            ("object-create", {"object": thing}),
            ("object-update", {"id": "a", "patch": {"x": 1e300, "whole": None, "s": "\U0001f600\n"}}),
            ("chat", {"text": "hello", "reply_to": 1}),
            ("broadcast", {"event": "e", "data": [1.5, -0.0, 7, ""]}),
            ("object-delete", {"id": "a"}),
        ]
        for op, (kind, fields) in enumerate(said, 1):
            await ada.say(kind, op=op, **fields)
            told = await json_one.until(kind)
            self.assertEqual(await ben.until(kind), told)
            self.assertEqual({name: told[name] for name in fields}, fields)
            self.assertEqual(await ada.until("ack"), {"type": "ack", "op": op, "seq": told["seq"], "status": "ok"})
        await ada.say("cursor", x=1.25, y=-3, tool="pen")
        batch = await ben.until("cursor-batch")
        self.assertEqual(batch, await json_one.until("cursor-batch"))
        self.assertEqual(batch["cursors"], [{"client": ada.client, "x": 1.25, "y": -3, "tool": "pen"}])
        await ada.say("presence", state={"typing": True})
        self.assertEqual(await ben.until("presence"), await json_one.until("presence"))
        await ada.say("bye")
        self.assertEqual((await ben.until("user-disconnected"))["reason"], "left")

    async def test_numbers_of_people_over_their_coming_and_going(self):
        watcher = await Packed().join(self.relay, "people")
        for _ in range(20):
            guest = await Packed().join(self.relay, "people")
            await watcher.until("user-connected")
            await guest.say("chat", op=1, text=guest.client)
            told = await watcher.until("chat")
            self.assertEqual(told["client"], told["text"])
            await guest.say("bye")
            await watcher.until("user-disconnected")
        self.assertLess(max(watcher.people), 4, "numbers are given out again")

    async def test_a_resume_and_a_resend(self):
        ada = await Packed().join(self.relay, "resume")
        ben = await Packed().join(self.relay, "resume")
        await ada.say("chat", op=1, text="one")
        await ben.until("chat")
        await ben.socket.close()
        for op in range(2, 40):
            await ada.say("chat", op=op, text=f"{op}")
        while (await ada.until("ack"))["op"] < 39:
            pass
        since = {"epoch": ben.welcome["epoch"], "seq": 1}
        await ben.join(self.relay, "resume", since=since)
        self.assertEqual(ben.welcome["mode"], "resume")
        for seq in range(2, 40):
            chat = await ben.until("chat")
            self.assertEqual((chat["seq"], chat["text"]), (seq, f"{seq}"))
        await ada.say("chat", op=5, text="5")
        self.assertEqual((await ada.until("ack")), {"type": "ack", "op": 5, "seq": 5, "status": "dup"})

    async def test_a_snapshot_of_many_objects(self):
        ada = await Packed().join(self.relay, "many")
        objects = [{"id": f"box-{n}", "kind": "box", "text": "x" * 2_000, "n": n} for n in range(300)]
        for op, one in enumerate(objects, 1):
            await ada.say("object-create", op=op, object=one)
        while (await ada.until("ack"))["op"] < 300:
            pass
        ben = await Packed().join(self.relay, "many")
        parts = [ben.snapshot]
        while not parts[-1]["last"]:
            parts.append(await ben.until("snapshot"))
        self.assertGreater(len(parts), 1)
        self.assertEqual([one for part in parts for one in part["objects"]], objects)
        since = {"epoch": ben.welcome["epoch"], "seq": 0}
        for hello in [{}, {"since": since}]:
            cy = await Packed().join(self.relay, "many", compress=["deflate-raw"], **hello)
            if "since" in hello:
                told = [await cy.until("object-create") for _ in objects]
                self.assertEqual([one["object"] for one in told], objects)
            else:
                parts = [cy.snapshot]
                while not parts[-1]["last"]:
                    parts.append(await cy.until("snapshot"))
                self.assertEqual([one for part in parts for one in part["objects"]], objects)
            self.assertGreater(cy.compressed, 0)

    async def test_what_is_wrong_is_named(self):
        ada = await Packed().join(self.relay, "wrong")
        op = 0
        for data, hint in [
            (b"bytes", "data: binary"),
            ({"a": [1, msgpack.Timestamp(1)]}, "data.a[1]: extension"),
            ({"a": math.inf}, "data.a: a number must be finite"),
            ({1: 2}, "data: a name in a map"),
        ]:
            op += 1
            await ada.say("broadcast", op=op, event="e", data=data)
            error = await ada.until("error")
            self.assertEqual((error["code"], error["op"]), ("bad-message", op))
            self.assertIn(hint, error["message"])
        await ada.socket.send(b"\xc1")
        self.assertEqual((await ada.until("error"))["code"], "bad-msgpack")
        await ada.socket.send("{}")
        self.assertIn("binary frames", (await ada.until("error"))["message"])
        await ada.say("broadcast", op=op + 1, event="e")
        self.assertEqual((await ada.until("ack"))["status"], "ok", "nothing else was lost")


if __name__ == "__main__":
    unittest.main()

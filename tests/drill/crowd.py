"""Clients as docs/PROTOCOL.md wants them: they write, hear, come back, send again; and note all of it for the judge."""
import asyncio
import json
import random
import time
from collections import defaultdict

from wire import Closed, Socket

CONNECT_S = 5
BACKOFF_S = (0.25, 10)
SETTLE_S = 30


class Ledger:
    """The history, and what a second looked like."""

    def __init__(self, judge, file, clock=None):
        """With a `clock`, the history has its time; otherwise that since the beginning."""
        self.judge, self.file, self.clock = judge, file, clock
        self.began = time.monotonic()
        self.seconds = defaultdict(lambda: {"sent": 0, "acked": 0, "seen": 0, "lost": 0, "ack_ms": [], "refused": 0})
        self.notes = defaultdict(list)
        self.connected, self.waiting = 0, 0
        self.gauges = {}
        self.back_ms = []
        self.closes = defaultdict(int)
        self.over = False  # clients that leave now have not lost anything

    def now(self):
        """Seconds since the drill began."""
        return time.monotonic() - self.began

    def now_ms(self):
        """The clock of the history."""
        return (self.clock() if self.clock else self.now()) * 1000

    def record(self, what, canvas, t=None, **fields):
        """One line of the history."""
        record = {"t": self.now_ms() if t is None else t, "what": what, "canvas": canvas, **fields}
        if canvas is None:
            del record["canvas"]
        self.judge.take(record)
        if self.file:
            self.file.write(json.dumps(record, separators=(",", ":")) + "\n")

    def second(self):
        """The counts of this second."""
        return self.seconds[int(self.now())]

    def note(self, text):
        """What the operator does, or what happens."""
        self.notes[int(self.now())].append(text)

    async def gauge(self):
        """Keeps what is only true at a moment: at the end of each second."""
        while True:
            second = int(self.now())
            await asyncio.sleep(second + 0.999 - self.now() if self.now() < second + 0.99 else 0.02)
            self.gauges[second] = (self.connected, self.waiting)


class Client:
    """One client. Each op makes an object of its own, so that the state at the end has all that is there."""

    def __init__(self, number, canvas, ports, rate, ledger):
        self.name, self.canvas, self.rate, self.ledger = f"client-{number:04}", canvas, rate, ledger
        self.ports, self.chance = ports, random.Random(number)
        self.op, self.pending, self.refused = 0, {}, set()
        self.since, self.socket, self.lost_at = None, None, None
        self.joined, self.quiet, self.retry_s = asyncio.Event(), False, 0
        self.writer = None

    async def run(self):
        """Until it is cancelled."""
        tries = 0
        while True:
            try:
                await self.visit()
            except (Closed, OSError, TimeoutError) as error:
                if isinstance(error, Closed) and self.joined.is_set():
                    self.ledger.closes[error.code] += 1
            tries = 0 if self.joined.is_set() else tries + 1
            self.leave()
            pause = max(self.retry_s, self.chance.uniform(0, min(BACKOFF_S[1], BACKOFF_S[0] * 2 ** tries)))
            self.retry_s = 0
            await asyncio.sleep(pause)

    def leave(self):
        """The connection is gone."""
        if self.socket:
            self.socket.abort()
            self.socket = None
        if self.joined.is_set() and not self.ledger.over:
            self.ledger.connected -= 1
            self.ledger.second()["lost"] += 1
            self.lost_at = self.ledger.now()
        self.joined.clear()

    async def visit(self):
        """One connection, to its end."""
        port = self.chance.choice(self.ports)
        self.socket = await Socket.connect(port, f"/ws/{self.canvas}", CONNECT_S)
        hello = {"type": "hello", "v": 1, "client": self.name}
        if self.since:
            hello["since"] = {"epoch": self.since[0], "seq": self.since[1]}
        self.socket.send(hello)
        async with asyncio.timeout(CONNECT_S * 2):
            await self.welcome()
        self.refused.clear()
        for op in sorted(self.pending):
            self.transmit(op)
        while True:
            self.hear(await self.socket.receive())

    async def welcome(self):
        """Reads up to the place where its stream goes on."""
        while True:
            message = await self.socket.receive()
            if message["type"] == "welcome" and message["mode"] == "resume":
                return self.here(*self.since)
            if message["type"] == "snapshot" and message["last"]:
                return self.here(message["epoch"], message["seq"])
            if message["type"] in ("error", "goaway"):
                self.retry_s = message.get("retry_after_ms", 0) / 1000

    def here(self, epoch, seq):
        """Its stream goes on behind `seq`."""
        self.since = [epoch, seq]
        self.ledger.record("joined", self.canvas, client=self.name, epoch=epoch, seq=seq)
        if self.joined.is_set():
            return
        self.joined.set()
        self.ledger.connected += 1
        if self.lost_at is not None:
            self.ledger.back_ms.append((self.ledger.now() - self.lost_at) * 1000)
            self.lost_at = None

    def hear(self, message):
        """One message of the server."""
        kind, ledger = message["type"], self.ledger
        if kind == "ack":
            ledger.record("acked", self.canvas, client=self.name, op=message["op"], seq=message["seq"],
                          status=message["status"])
            if message["status"] == "ok":
                self.since[1] = message["seq"]
            self.answered(message["op"])
        elif kind in ("object-create", "object-update", "object-delete"):
            ledger.record("seen", self.canvas, client=self.name, seq=message["seq"], author=message["client"],
                          op=message["op"])
            ledger.second()["seen"] += 1
            self.since[1] = message["seq"]
            if message["client"] == self.name:
                self.answered(message["op"])
        elif kind == "snapshot" and message["last"]:
            self.here(message["epoch"], message["seq"])
        elif kind == "goaway":
            self.retry_s = message["retry_after_ms"] / 1000
        elif kind == "error" and "op" in message:
            self.refusal(message)

    def refusal(self, message):
        """Later, again, from the lowest on; or never."""
        op, ledger = message["op"], self.ledger
        if op not in self.pending:
            return
        ledger.second()["refused"] += 1
        ledger.record("refused", self.canvas, client=self.name, op=op, code=message["code"])
        if "retry_after_ms" not in message:
            self.pending.pop(op)
            ledger.waiting -= 1
            return
        if not self.refused:
            asyncio.get_running_loop().call_later(message["retry_after_ms"] / 1000, self.again, self.socket)
        self.refused.add(op)

    def again(self, socket):
        """Sends what was refused once more, if this is still the connection."""
        ops, self.refused = sorted(self.refused), set()
        if socket is self.socket and socket and ops:
            for op in [op for op in sorted(self.pending) if op >= ops[0]]:
                self.transmit(op)

    def answered(self, op):
        """It is decided."""
        began = self.pending.pop(op, None)
        self.refused.discard(op)
        if began is not None:
            self.ledger.waiting -= 1
            second = self.ledger.second()
            second["acked"] += 1
            second["ack_ms"].append((self.ledger.now() - began) * 1000)

    async def write(self):
        """Makes an object at its rate, connected or not: who is away writes on, and sends it when he is back."""
        await asyncio.sleep(self.chance.uniform(0, 1 / self.rate))
        while not self.quiet:
            if self.since and len(self.pending) < 200:
                self.op += 1
                self.pending[self.op] = self.ledger.now()
                self.ledger.waiting += 1
                self.ledger.second()["sent"] += 1
                self.ledger.record("sent", self.canvas, client=self.name, op=self.op, message=self.message(self.op))
                if self.joined.is_set() and not self.refused:
                    self.transmit(self.op)
                elif self.joined.is_set():
                    self.refused.add(self.op)
            await asyncio.sleep(1 / self.rate)

    def message(self, op):
        """Without its op: as the judge replays it."""
        return {"type": "object-create", "object": {"id": f"{self.name}.{op}", "kind": "note", "text": "a note"}}

    def transmit(self, op):
        """On the wire."""
        self.socket.send({**self.message(op), "op": op})


class Crowd:
    """All clients of a drill."""

    def __init__(self, options, ports, ledger):
        self.ledger = ledger
        self.canvases = [f"board-{n}" for n in range(options.canvases)]
        self.clients = [Client(n, self.canvases[n % len(self.canvases)], ports, options.rate, ledger)
                        for n in range(options.clients)]
        self.tasks = []

    async def come(self):
        """Until all have joined."""
        self.tasks = [asyncio.create_task(client.run()) for client in self.clients]
        async with asyncio.timeout(SETTLE_S):
            for client in self.clients:
                await client.joined.wait()
        self.tasks += [asyncio.create_task(client.write()) for client in self.clients]

    async def all_back(self, most_s):
        """Until everybody is here and nothing waits for longer than a moment; whether it came to that."""
        until = self.ledger.now() + most_s
        while self.ledger.now() < until:
            oldest = min((min(client.pending.values()) for client in self.clients if client.pending), default=None)
            if self.ledger.connected == len(self.clients) and (oldest is None or self.ledger.now() - oldest < 1):
                return True
            await asyncio.sleep(0.05)
        return False

    async def be_quiet(self):
        """Nobody writes any more; until all is answered. Whether it is."""
        for client in self.clients:
            client.quiet = True
        until = self.ledger.now() + SETTLE_S
        while self.ledger.waiting and self.ledger.now() < until:
            await asyncio.sleep(0.05)
        return self.ledger.waiting == 0

    async def go(self):
        """Ends all."""
        self.ledger.over = True
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        for client in self.clients:
            client.leave()
        for end in ended:
            if isinstance(end, Exception):
                raise end

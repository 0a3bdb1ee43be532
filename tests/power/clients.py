"""What clients do to a relay while its writes are recorded, and what they were told: canvases, spilled messages, jobs."""
import asyncio
import http.client
import json
import os
import random
import sqlite3
import sys
import threading
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "drill"), os.path.join(TESTS, "judge")]
from crowd import Client, Crowd, Ledger  # noqa: E402
from judge import Judge  # noqa: E402

CANVASES = 3
CLIENTS = 6
RATE = 40
WAIT_S = 60
LOCKED_S = 1.2
PATIENCE_S = 5
QUEUE = "work"


class Failure(Exception):
    """A promise that was not kept."""


def call(connection, method, path, body=None):
    """A request to the server API: status and body."""
    connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text else None


class Author(Client):
    """Makes, changes and deletes objects of its own, small ones and large ones."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.mine, self.messages = [], {}

    def message(self, op):
        """The same for the same op, however often it is asked for."""
        if op not in self.messages:
            self.messages[op] = self.invented(op)
        return self.messages[op]

    def invented(self, op):
        pick, text = self.chance.random(), f"{op}:" + "x" * self.chance.randrange(self.chance.choice([20, 200, 2_000, 20_000]))
        if self.mine and pick < 0.15:
            return {"type": "object-delete", "id": self.mine.pop(self.chance.randrange(len(self.mine)))}
        if self.mine and pick < 0.5:
            return {"type": "object-update", "id": self.chance.choice(self.mine), "patch": {"text": text}}
        self.mine.append(f"{self.name}.{op}")
        return {"type": "object-create", "object": {"id": self.mine[-1], "kind": "note", "text": text}}


class Jobs(threading.Thread):
    """Pushes jobs, one after the other, and does some of them; notes what it was told and when."""

    def __init__(self, number, port, seed, stop):
        super().__init__(daemon=True)
        self.partition, self.port, self.stop, self.chance = f"part-{number}", port, stop, random.Random(seed)
        self.pushed = []      # (name, when the push was asked for, when it was answered)
        self.completed = {}   # name: [when the ack was asked for, when it was answered]
        self.failed = None

    def run(self):
        try:
            self.work()
        except Exception as error:  # the recording is void then, and says so
            self.failed = error

    def insist(self, connection, method, path, body=None):
        """Until it is answered: the same again while the relay says "not now"."""
        while True:
            status, answer = call(connection, method, path, body)
            if status < 300:
                return answer
            if status != 503:
                raise Failure(f"{path}: {status} {answer}")
            time.sleep(0.1)

    def work(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        count = 0
        while not self.stop.is_set():
            count += 1
            name, asked = f"{self.partition}.{count}", time.time()
            item = {"queue": QUEUE, "partition": self.partition, "transactionId": name, "payload": "x" * self.chance.randrange(2_000)}
            told = self.insist(connection, "POST", "/api/v1/push", {"items": [item]})[0]
            if told["status"] not in ("queued", "duplicate"):
                raise Failure(f"push of {name}: {told}")
            self.pushed.append((name, asked, time.time()))
            if self.chance.random() < 0.6:
                self.complete_one(connection)

    def complete_one(self, connection):
        """The oldest job of the partition."""
        path = f"/api/v1/pop/queue/{QUEUE}/partition/{self.partition}"
        popped = self.insist(connection, "GET", path)
        for job in (popped or {}).get("messages", []):
            self.completed[job["transactionId"]] = [time.time(), None]
            told = self.insist(connection, "POST", "/api/v1/ack", {
                "transactionId": job["transactionId"], "partitionId": job["partitionId"], "leaseId": job["leaseId"],
                "status": "completed"})[0]
            if not told.get("success"):
                raise Failure(f"ack of {job['transactionId']}: {told}")
            self.completed[job["transactionId"]][1] = time.time()


class Told:
    """What all clients were told in a recording."""

    def __init__(self):
        self.lines, self.workers, self.judge = [], [], Judge()
        self.ledger = Ledger(self.judge, self, time.time)

    def write(self, line):
        """As a file for the ledger."""
        self.lines.append(line)

    def acked(self):
        """How many messages."""
        return self.judge.acked

    def history(self, until_ms):
        """The records before a moment; all if None."""
        records = (json.loads(line) for line in self.lines)
        return [record for record in records if until_ms is None or record["t"] < until_ms]


def lock_for(db, after_s):
    """Nobody can commit for a while: what clients send goes to the spill files. Gives way if the relay never pauses."""
    time.sleep(after_s)
    connection = sqlite3.connect(db, timeout=0, isolation_level=None)
    until = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < until:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                time.sleep(0.001)
                continue
            time.sleep(LOCKED_S)
            connection.execute("ROLLBACK")
            return
    finally:
        connection.close()


async def canvases(told, ports, seconds, seed, db):
    """Clients on the canvases, for so long."""
    crowd = Crowd(argparse_like(), ports, told.ledger)
    crowd.clients = [Author(n, crowd.canvases[n % CANVASES], [ports[n % len(ports)]], RATE, told.ledger)
                     for n in range(CLIENTS)]
    for client in crowd.clients:
        client.chance = random.Random(f"{seed}/{client.name}")
    try:
        await crowd.come()
        await asyncio.gather(asyncio.sleep(seconds), asyncio.to_thread(lock_for, db, seconds * 0.4))
        if not await crowd.be_quiet():
            raise Failure("recording: not every message was answered")
    finally:
        await crowd.go()


def argparse_like():
    """The options of a crowd."""
    return type("Options", (), {"canvases": CANVASES, "clients": 0, "rate": RATE})


def all_of_it(ports, seconds, seed, db):
    """Everything that clients do. What they were told."""
    told, stop = Told(), threading.Event()
    told.workers = [Jobs(n, ports[n % len(ports)], f"{seed}/jobs/{n}", stop) for n in range(2)]
    for worker in told.workers:
        worker.start()
    try:
        asyncio.run(canvases(told, ports, seconds, seed, db))
    finally:
        stop.set()
    for worker in told.workers:
        worker.join(WAIT_S)
        if worker.is_alive() or worker.failed:
            raise Failure(f"a worker failed while recording: {worker.failed or 'it does not end'}")
    return told


# ---------------------------------------------------------------- what is there after a cut


def canvas_state(connection, name):
    """Epoch, head and objects; None if there is no such canvas."""
    status, found = call(connection, "GET", f"/api/v1/canvases/{name}")
    if status == 404:
        return None, 0, {}
    _, answer = call(connection, "GET", f"/api/v1/canvases/{name}/objects")
    return found["epoch"], found["head"], {one["id"]: one for one in answer["objects"]}


def as_sent(messages, name, objects):
    """Each object has a text that was sent for it, and nothing else is there."""
    texts = {}
    for message in messages:
        about = message.get("object", message)
        texts.setdefault(about["id"], set()).add(message.get("patch", about).get("text"))
    wrong = [one for one, found in objects.items() if found["text"] not in texts.get(one, ())]
    if wrong:
        raise Failure(f"{name}: nobody wrote these objects so: {sorted(wrong)[:5]}")


def judge_canvases(connection, told, cut_ms, mode, only_before):
    """By the judge of all histories. `only_before`: it hears nothing of what came after the cut, since spilled messages
    may have got other places than in the recording."""
    judge = Judge()
    for record in told.history(cut_ms if only_before else None):
        judge.take(record)
    if mode == "normal":
        judge.take({"t": cut_ms, "what": "forgets", "to": 0})
    for n in range(CANVASES):
        name = f"board-{n}"
        before = [epoch for _, epoch in judge.canvases[name].epochs]
        epoch, head, objects = canvas_state(connection, name)
        if mode == "normal" and head > 0 and epoch in before:
            raise Failure(f"{name}: its epoch is the one from before the cut, and messages may be lost")
        if mode == "normal" and only_before:
            # The end of the log may be gone, and spilled messages stand in its place: which ones, nobody was told.
            as_sent(judge.canvases[name].sent.values(), name, objects)
            head, objects = 0, None
        judge.take({"t": cut_ms, "what": "state", "canvas": name, "epoch": epoch, "seq": head, "objects": objects})
    if judge.close():
        raise Failure(judge.told())


def judge_jobs(connection, told, cut_s, mode):
    """A job that was acked as pushed is there until its ack is; one whose ack was answered never comes again; and the jobs
    of one author, who waits for each answer, have no holes, whatever is lost."""
    here, offset = set(), 0
    while True:
        status, answer = call(connection, "GET", f"/api/v1/messages?queue={QUEUE}&limit=1000&offset={offset}")
        page = answer["messages"] if status == 200 else []
        here |= {job["transactionId"] for job in page}
        offset += len(page)
        if len(page) < 1000:
            break
    for worker in told.workers:
        names = [name for name, _, _ in worker.pushed]
        mine = {name for name in here if name.startswith(worker.partition + ".")}
        # The one that is under way when the recording ends has no answer, and may be there.
        strange = mine - set(names) - {f"{worker.partition}.{len(names) + 1}"}
        if strange:
            raise Failure(f"jobs that nobody pushed: {sorted(strange)[:5]}")
        last = max((n for n, name in enumerate(names) if name in mine), default=-1)
        for n, (name, asked, answered) in enumerate(worker.pushed):
            ack_asked, ack_answered = worker.completed.get(name, (None, None))
            may_be_done = ack_asked is not None and ack_asked < cut_s
            if name not in mine and not may_be_done and (mode == "full" and answered < cut_s or n < last):
                raise Failure(f"job {name} was acked as pushed, nobody completed it, and it is gone")
            if name in mine and asked > cut_s:
                raise Failure(f"job {name} is there before it was pushed")
            if mode == "full" and name in mine and ack_answered is not None and ack_answered < cut_s:
                raise Failure(f"job {name} was completed and acked, and it is there again")

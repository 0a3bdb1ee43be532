"""What scripts/bench-own --redis measures: the relay over Redis, each case with a fresh Redis and fresh processes."""

import asyncio
import itertools
import json
import socket
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .measure import fresh
from .own import memory_kib, quantiles
from .peers import Plan, Servers, Start, free_ports, wait_ready

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests/drill"))

from wire import Closed, Socket  # noqa: E402

LINK = Path(__file__).with_name("link.py")
CANVASES = 8
OBJECTS = 10_000
MANY = 5_000
LARGE_MIB = 60
LINK_BYTES_PER_S = 10_000_000
RATE = 16_000
DOWN_AFTER_MS = 1_000
#: Seconds for which messages are kept: those of the load are gone when memory is looked at.
MESSAGES_S = 2
#: Seconds after which what was framed for a joiner, and a copy that nobody uses, are gone.
SETTLED = 8
GIVEN_UP = 14
PATIENCE = 120


class Redis:
    """A server of a case's own, which can be killed and started again."""

    def __init__(self, bench, stack, *flags, name="redis", program=()):
        (self.port,) = free_ports(1)
        self.folder = bench.run.folder / name
        self.folder.mkdir()
        self.command = ["redis-server", *program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self.command += [] if program else ["--save", "", *flags]
        self.log, self.process = bench.log, None
        stack.callback(self.kill)
        self.start()

    def start(self):
        self.begin()
        wait_ready(self.process, Start(self.port, self.command))

    def begin(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ask(self, *words):
        answer = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, timeout=10)
        return answer.stdout.strip()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"


@contextmanager
def case(bench):
    """What a case starts ends with it."""
    fresh(bench.run.folder)
    with ExitStack() as stack:
        yield stack


def relay(bench, stack, url, count=1, *flags):
    """Processes over that Redis."""
    ports = free_ports(count)
    serve = [bench.run.scumble, "serve", "--redis", url, *flags, "--listen"]
    starts = [Start(port, [*serve, f"127.0.0.1:{port}"], "/readyz") for port in ports]
    servers = stack.enter_context(Servers(Plan("scumble", [], starts), bench.run, bench.log))
    servers.ports = ports
    return servers


class Client:
    """One client, which knows what is acked."""

    def __init__(self):
        self.name, self.op, self.sent, self.acked_at = uuid.uuid4().hex, 0, {}, {}

    async def join(self, port, canvas, timeout_s=PATIENCE):
        """In, with the whole snapshot; gives its objects' ids."""
        self.socket = await Socket.connect(port, f"/ws/{canvas}", timeout_s)
        self.socket.send({"type": "hello", "v": 1, "client": self.name})
        ids = []
        async with asyncio.timeout(timeout_s):
            while True:
                message = await self.socket.receive()
                if message["type"] == "snapshot":
                    ids += [each["id"] for each in message["objects"]]
                    if message["last"]:
                        return ids

    def write(self, message):
        self.op += 1
        self.sent[self.op] = message | {"op": self.op}
        self.socket.send(self.sent[self.op])
        return self.op

    def create(self, name, size):
        return self.write({"type": "object-create", "object": {"id": name, "kind": "box", "text": "x" * size}})

    async def hear(self):
        """Reads until the end; what was refused for the moment is sent again."""
        refused = False
        while True:
            message = await self.socket.receive()
            if message["type"] == "ack" and self.sent.pop(message["op"], None):
                self.acked_at[message["op"]] = time.monotonic()
            elif message["type"] == "error" and not refused:
                refused = True
                await asyncio.sleep(message.get("retry_after_ms", 250) / 1_000)
                refused = False
                for op in sorted(self.sent):
                    self.socket.send(self.sent[op])

    async def until(self, wanted, timeout_s=PATIENCE):
        async with asyncio.timeout(timeout_s):
            while not wanted():
                await asyncio.sleep(0.002)


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


async def fill(port, canvas, objects, size):
    """A canvas with so many objects; gives the bytes of their JSON."""
    client = Client()
    await client.join(port, canvas)
    hearing = asyncio.create_task(client.hear())
    for n in range(objects):
        client.create(f"object-{n:06}", size)
        if n % 100 == 0:
            await client.until(lambda: len(client.sent) < 200)
    await client.until(lambda: not client.sent)
    hearing.cancel()
    client.socket.abort()
    return objects * len(json.dumps({"id": "object-000000", "kind": "box", "text": "x" * size}, separators=(",", ":")))


def memory(size):
    """Resident memory over the JSON of the canvases that a process has members on."""

    async def members(port):
        clients = [Client() for _ in range(CANVASES)]
        for n, client in enumerate(clients):
            if len(await client.join(port, f"board-{n}")) != OBJECTS:
                raise RuntimeError("objects are missing")
        return clients

    async def run(writer, reader):
        text = size - len('{"id":"object-000000","kind":"box","text":""}')
        empty, json_bytes = memory_kib(reader), 0
        for n in range(CANVASES):
            json_bytes += await fill(writer.ports[0], f"board-{n}", OBJECTS, text)
        await asyncio.sleep(MESSAGES_S + 1)
        clients = await members(reader.ports[0])
        times = lambda field="VmRSS": (memory_kib(reader, field) - empty) * 1024 / json_bytes  # noqa: E731
        joined = times()
        await asyncio.sleep(SETTLED)
        figures = {"json": json_bytes / 1e6, "peak": times("VmHWM"), "joined": joined, "held": times()}
        for client in clients:
            client.socket.abort()
        await asyncio.sleep(GIVEN_UP)
        return figures | {"left": times()}

    def measure(bench):
        with case(bench) as stack:
            redis = Redis(bench, stack, "--appendonly", "yes")
            servers = [relay(bench, stack, redis.url, 1, "--message-ttl", f"{MESSAGES_S}s") for _ in range(2)]
            return asyncio.run(run(*servers))

    return measure


def restart(bench):
    """Redis is killed under 5,000 canvases: how long after it has loaded everybody's op is acked."""

    async def run(redis, ports):
        clients = [Client() for _ in range(MANY)]
        few = asyncio.Semaphore(50)

        async def come(n, client):
            async with few:
                await client.join(ports[n % 2], f"board-{n}")
                hearing.append(asyncio.create_task(client.hear()))
                client.create("first", 100)
                await client.until(lambda: not client.sent)

        hearing = []
        await asyncio.gather(*(come(n, client) for n, client in enumerate(clients)))
        redis.kill()
        waiting = [client.create("second", 100) for client in clients]
        redis.begin()
        loading = asyncio.create_task(asyncio.to_thread(loaded, redis))
        await clients[0].until(lambda: not any(client.sent for client in clients))
        began = await loading
        lost = [task.exception() for task in hearing if task.done()]
        if lost:
            raise RuntimeError(f"{len(lost)} clients lost their connection: {lost[0]}")
        back = [1_000 * max(0, client.acked_at[op] - began) for client, op in zip(clients, waiting)]
        return {"p50": quantile(back, 0.5), "p99": quantile(back, 0.99), "last": max(back)}

    with case(bench) as stack:
        redis = Redis(bench, stack, "--appendonly", "yes", "--appendfsync", "everysec")
        return asyncio.run(run(redis, relay(bench, stack, redis.url, 2).ports))


def loaded(redis):
    """When it answers that it has loaded its file."""
    for _ in range(PATIENCE * 500):
        try:
            with socket.create_connection(("127.0.0.1", redis.port), 1) as asked:
                asked.sendall(b"PING\r\n")
                if asked.recv(64).startswith(b"+PONG"):
                    return time.monotonic()
        except OSError:
            pass
        time.sleep(0.002)
    raise RuntimeError("Redis does not come back")


def failover(waits):
    """Sentinel makes the replica the master: when writers go on, and what of the acked is lost."""

    async def run(redis, replica, ports):
        clients = [Client() for _ in range(8)]
        for n, client in enumerate(clients):
            await client.join(ports[n % 2], "board")
        hearing = [asyncio.create_task(client.hear()) for client in clients]
        writing = [asyncio.create_task(write(client)) for client in clients]
        await asyncio.sleep(3)
        redis.kill()
        killed = time.monotonic()
        if waits:
            # Without a replica nothing is acked: the old master comes back as one, as its supervisor has it.
            await clients[0].until(lambda: "role:master" in replica.ask("INFO", "replication"))
            redis.command += ["--replicaof", "127.0.0.1", str(replica.port)]
            redis.start()
        after = lambda client: [at for at in client.acked_at.values() if at > killed + 0.5]  # noqa: E731
        await clients[0].until(lambda: all(after(client) for client in clients))
        gone_on = max(min(after(client)) for client in clients) - killed
        await asyncio.sleep(2)
        for task in writing:
            task.cancel()
        await clients[0].until(lambda: not any(client.sent for client in clients))
        late = Client()
        there = set(await late.join(ports[0], "board"))
        acked = [f"{client.name}-{op}" for client in clients for op in client.acked_at]
        if any(task.done() for task in hearing):
            raise RuntimeError("a client lost its connection")
        return {"gone_on": gone_on, "acked": len(acked), "lost": len([name for name in acked if name not in there])}

    async def write(client):
        while True:
            client.create(f"{client.name}-{client.op + 1}", 20)
            await client.until(lambda: len(client.sent) < 4)
            await asyncio.sleep(0.005)

    def measure(bench):
        with case(bench) as stack:
            flags = ["--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"]
            redis = Redis(bench, stack, *flags)
            replica = Redis(bench, stack, *flags, "--replicaof", "127.0.0.1", str(redis.port), name="replica")
            until(lambda: "master_link_status:up" in replica.ask("INFO", "replication"))
            conf = bench.run.folder / "sentinel.conf"
            conf.write_text(
                f"sentinel monitor bench 127.0.0.1 {redis.port} 1\n"
                f"sentinel down-after-milliseconds bench {DOWN_AFTER_MS}\nsentinel failover-timeout bench 5000\n"
            )
            sentinel = Redis(bench, stack, name="sentinel", program=[str(conf), "--sentinel"])
            until(lambda: "slaves=1" in sentinel.ask("INFO", "sentinel"))
            more = ["--redis-wait-replicas", "1"] if waits else []
            url = f"redis+sentinel://127.0.0.1:{sentinel.port}/bench"
            return asyncio.run(run(redis, replica, relay(bench, stack, url, 2, *more).ports))

    return measure


def until(wanted):
    for _ in range(PATIENCE * 10):
        if wanted():
            return
        time.sleep(0.1)
    raise RuntimeError("it does not come about")


def rates(bench):
    """From sending to delivery by the other process, which is after the ack: at 16,000 messages/s, and at a tenth of it."""
    figures = {}
    for name, rate in (("tenth", RATE // 10), ("full", RATE)):
        with case(bench) as stack:
            redis = Redis(bench, stack, "--appendonly", "no")
            urls = [f"http://127.0.0.1:{port}" for port in relay(bench, stack, redis.url, 2).ports]
            load = bench.load(PACED.replace("{rate}", str(rate // 160)), *urls)
        figures |= quantiles(name, load["latency_ms"]["cross"], "p50", "p99")
    return figures | {"times": figures["full_p99"] / figures["tenth_p99"]}


def slow_link(bench):
    """A canvas of 60 MiB is loaded over 80 Mbit/s: the acks of others on that process, before and meanwhile."""

    async def run(direct, slow):
        size = 7_000
        await fill(direct, "large", LARGE_MIB * 1024 * 1024 // (size + 50), size)
        other = Client()
        await other.join(slow, "small")
        hearing = asyncio.create_task(other.hear())
        before = await probe(other, lambda: len(other.acked_at) > 150)
        loading = asyncio.create_task(Client().join(slow, "large"))
        began = time.monotonic()
        meanwhile = await probe(other, loading.done)
        took = time.monotonic() - began
        await loading
        hearing.cancel()
        return {
            "took": took,
            "before_p50": quantile(before, 0.5),
            "before_p99": quantile(before, 0.99),
            "p50": quantile(meanwhile, 0.5),
            "p99": quantile(meanwhile, 0.99),
            "last": max(meanwhile),
        }

    async def probe(client, done):
        times = []
        for n in itertools.count():
            at = time.monotonic()
            op = client.create(f"probe-{n % 10}", 20)
            await client.until(lambda: op in client.acked_at)
            times.append(1_000 * (client.acked_at[op] - at))
            if done():
                return times
            await asyncio.sleep(0.02)

    with case(bench) as stack:
        redis = Redis(bench, stack, "--appendonly", "yes")
        direct = relay(bench, stack, redis.url)
        link = subprocess.Popen(
            [sys.executable, str(LINK), str(redis.port), str(LINK_BYTES_PER_S)], stdout=subprocess.PIPE, text=True
        )
        stack.callback(link.wait)
        stack.callback(link.kill)
        slow = relay(bench, stack, f"redis://127.0.0.1:{int(link.stdout.readline())}")
        return asyncio.run(run(direct.ports[0], slow.ports[0]))


PACED = (
    "clients --canvases 160 --clients-per-canvas 2 --senders-per-canvas 1 --cursor-rate 0 --object-rate 0"
    " --message-rate {rate} --duration {s}"
)
CASES = {
    "memory": memory(200),
    "memory-small": memory(100),
    "restart": restart,
    "failover": failover(waits=False),
    "failover-waits": failover(waits=True),
    "rates": rates,
    "slow-link": slow_link,
}

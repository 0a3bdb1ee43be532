"""Attacks on the work queue and on assets, over HTTP. As in `attacks`."""

import hashlib
import random
import time

from attacks import Attack, pump
from wire import Plain, answer, request

TOKEN = "a-token-of-the-scope-jobs"
BEARER = f"Authorization: Bearer {TOKEN}\r\n"


def ask(make, sockets, end):
    """Sends what `make` gives through each socket, and the next when something has come back."""
    sent = got = 0
    due = set(sockets)
    left = set(sockets)
    for s in sockets:
        s.socket.setblocking(False)
    while time.monotonic() < end and left:
        for s in list(left):
            try:
                if s in due:
                    sent += s.socket.send(make())
                    due.discard(s)
                data = s.socket.recv(1 << 18)
                got += len(data)
                due.add(s)
                if not data:
                    left.discard(s)
            except BlockingIOError:
                pass
            except OSError:
                left.discard(s)
        time.sleep(0.001)
    return sent, got


class OfJobs(Attack):
    def flags(self, folder):
        (folder / "tokens").write_text(f"attacker jobs {TOKEN}\n")
        (folder / "tokens").chmod(0o600)
        return ["--api-token-file", folder / "tokens"]


class Pushes(OfJobs):
    what = "jobs: 1,000 messages of 100 bytes a request, 8 connections, into 50 queues"

    def run(self, port, end, _):
        def some():
            queue = f"q{random.randrange(50)}"
            items = [{"queue": queue, "partition": f"p{n % 20}", "payload": "x" * 100} for n in range(1_000)]
            return request("POST", "/api/v1/push", {"items": items}, BEARER)

        return pump(some, [Plain(port) for _ in range(8)], end)


class LargePushes(OfJobs):
    what = "jobs: messages of 1 MB, 4 connections"

    def run(self, port, end, _):
        data = request("POST", "/api/v1/push", {"items": [{"queue": "large", "payload": "x" * 1_000_000}]}, BEARER)
        return pump(lambda: data, [Plain(port) for _ in range(4)], end)


class LargestPushes(OfJobs):
    what = "jobs: requests of seven messages of 1 MB, 4 connections"

    def run(self, port, end, _):
        items = [{"queue": "large", "payload": "x" * 1_000_000}] * 7
        data = request("POST", "/api/v1/push", {"items": items}, BEARER)
        return pump(lambda: data, [Plain(port) for _ in range(4)], end)


class Chunks(OfJobs):
    what = "jobs: bodies of 8 MB in chunks of one byte, 20 connections"

    def run(self, port, end, _):
        head = f"POST /api/v1/push HTTP/1.1\r\nHost: x\r\n{BEARER}Transfer-Encoding: chunked\r\n\r\n".encode()
        piece = b"1\r\n \r\n" * 10_000
        sockets = [Plain(port) for _ in range(20)]
        for s in sockets:
            s.socket.sendall(head)
        return pump(lambda: piece, sockets, end)


class StalledPushes(OfJobs):
    what = "jobs: bodies of 8 MB that stop before their end, 100 connections"

    def run(self, port, end, _):
        head = f"POST /api/v1/push HTTP/1.1\r\nHost: x\r\n{BEARER}Content-Length: 8000000\r\n\r\n".encode()
        sent, left, body = 0, [], b" " * 7_900_000
        for _ in range(100):
            s = Plain(port).socket
            s.sendall(head)
            s.setblocking(False)
            left.append([s, 0])
        while time.monotonic() < end:
            for one in left:
                s, at = one
                try:
                    n = s.send(body[at : at + (1 << 18)]) if at < len(body) else 0
                except OSError:
                    n = 0
                one[1], sent = at + n, sent + n
            time.sleep(0.001)
        return sent, 0


class Pops(OfJobs):
    what = "jobs: 800 waiting pops on 10 queues, into which another attacker pushes; nothing is acked"
    attackers = 2

    def run(self, port, end, number):
        if number:
            def one():
                item = {"queue": f"q{random.randrange(10)}", "partition": f"p{random.randrange(50_000)}", "payload": 1}
                return request("POST", "/api/v1/push", {"items": [item]}, BEARER)

            return ask(one, [Plain(port) for _ in range(4)], end)

        def pop():
            return request("GET", f"/api/v1/pop/queue/q{random.randrange(10)}?wait=true&timeout=30000&batch=10", headers=BEARER)

        return ask(pop, [Plain(port) for _ in range(800)], end)


class Acks(OfJobs):
    what = "jobs: 1,000 acks of messages that never were a request, 8 connections"

    def prepare(self, port):
        item = {"queue": "acked", "payload": 1}
        assert answer(port, request("POST", "/api/v1/push", {"items": [item]}, BEARER)) == 201

    def run(self, port, end, _):
        def some():
            names = [f"{random.getrandbits(128):032x}" for _ in range(1_000)]
            acks = [{"transactionId": n, "partitionId": n, "leaseId": n, "status": "completed"} for n in names]
            return request("POST", "/api/v1/ack/batch", {"acknowledgments": acks}, BEARER)

        return pump(some, [Plain(port) for _ in range(8)], end)


def put(port, canvas, body):
    """Keeps an asset; its path."""
    path = f"/assets/{canvas}/{hashlib.sha256(body).hexdigest()}"
    assert answer(port, request("PUT", path, body, "Content-Type: image/png\r\n")) == 201
    return path


class StalledUploads(Attack):
    what = "assets: uploads that send a byte now and then, more than may be at once, and some that break off at their end"

    def run(self, port, end, _):
        sent = 0
        head = "PUT /assets/board/%s HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 8000000\r\n\r\n"
        stalled, whole = [], b"z" * 7_999_999
        while time.monotonic() < end:
            for s in list(stalled):
                try:
                    sent += s.socket.send(b"z")
                except OSError:
                    stalled.remove(s)
            for n in range(len(stalled), 40):
                s = Plain(port)
                s.socket.sendall((head % f"{random.getrandbits(256):064x}").encode())
                sent += len(head)
                if n % 8 == 5:
                    try:
                        s.socket.sendall(whole)
                        sent += len(whole)
                    except OSError:
                        pass
                    s.socket.close()
                else:
                    stalled.append(s)
            time.sleep(0.05)
        return sent, 0


class Uploads(Attack):
    what = "assets: small ones without a pause, each another, 6 connections"

    def run(self, port, end, _):
        def one():
            body = random.randbytes(200)
            path = f"/assets/c{random.randrange(1_000)}/{hashlib.sha256(body).hexdigest()}"
            return request("PUT", path, body, "Content-Type: image/png\r\n")

        return ask(one, [Plain(port) for _ in range(6)], end)


class Ranges(Attack):
    what = "assets: parts of one of 20 MB, one byte, many ranges or to the end, 100 connections"

    def prepare(self, port):
        self.path = put(port, "board", bytes(20_000_000))

    def run(self, port, end, _):
        many = ",".join(f"{n}-{n}" for n in range(0, 4_000, 2))

        def one():
            at = random.randrange(20_000_000)
            wanted = random.choice([f"{at}-{at}", many, f"{at}-", "-1"])
            return request("GET", self.path, headers=f"Range: bytes={wanted}\r\n")

        return ask(one, [Plain(port) for _ in range(100)], end)


ALL = [Pushes, LargePushes, LargestPushes, Chunks, StalledPushes, Pops, Acks, StalledUploads, Uploads, Ranges]

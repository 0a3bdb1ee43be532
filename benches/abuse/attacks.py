"""The attacks. Each is a class: `prepare` makes what it needs, once; `run` is one attacker, in a process of its own, which stops at
`end` and gives the bytes that it sent and got. `attackers` says how many of them there are, `what` is the row's title."""

import random
import socket
import time

from wire import CONTINUATION, PING, TEXT, Socket, frame, text


def pump(make, sockets, end, pause=0.0):
    """Sends what `make` gives through each socket in turn, as fast as they take it, and reads all that comes."""
    sent = got = 0
    for s in sockets:
        s.socket.setblocking(False)
    left = {s: b"" for s in sockets}
    while time.monotonic() < end and left:
        for s in list(left):
            data = left[s] or make()
            try:
                n = s.socket.send(data)
                sent, left[s] = sent + n, data[n:]
            except BlockingIOError:
                left[s] = data
            except OSError:
                del left[s]
                continue
            try:
                data = s.socket.recv(1 << 18)
                got += len(data)
                if not data:
                    del left[s]
            except BlockingIOError:
                pass
            except OSError:
                del left[s]
        time.sleep(pause)
    return sent, got


def readers(port, canvas, count, end):
    """Members that only read; the bytes that they got."""
    return pump(bytes, [Socket(port, canvas).join() for _ in range(count)], end, 0.01)[1]


def fill(port, canvas, count):
    """Makes objects of 60 KiB, named o0, o1 and so on."""
    s = Socket(port, canvas).join()
    for n in range(count):
        s.send({"type": "object-create", "op": n + 1, "object": {"id": f"o{n}", "kind": "k", "d": "x" * 60_000}})
        s.until("ack")
    s.close()


class Attack:
    attackers = 1

    def flags(self, folder):
        """Of the relay, whose folder may have files for it."""
        return []

    def prepare(self, port):
        pass


class Continuations(Attack):
    what = "a text frame that never ends, then empty continuations, before any hello; 30 connections, opened again when closed"

    def run(self, port, end, _):
        sent = got = 0
        while time.monotonic() < end:
            sockets = [Socket(port, "board") for _ in range(30)]
            for s in sockets:
                s.socket.sendall(frame(TEXT, b"{", fin=False))
            more = pump(lambda: frame(CONTINUATION, fin=False) * 2_000, sockets, end)
            sent, got = sent + more[0], got + more[1]
            for s in sockets:
                s.close()
        return sent, got


class SmallPatches(Attack):
    what = "60-byte patches on objects of 60 KiB, as many as are taken"

    def prepare(self, port):
        fill(port, "large", 8)

    def run(self, port, end, _):
        op = 0

        def some():
            nonlocal op
            ops = []
            for _ in range(32):
                op += 1
                ops.append(text(b'{"type":"object-update","op":%d,"id":"o%d","patch":{"a":%d}}' % (op, op % 8, op)))
            return b"".join(ops)

        return pump(some, [Socket(port, "large").join()], end)


class HookedPatches(SmallPatches):
    what = "the same, told with whole objects to a hook's queue that nobody empties"

    def flags(self, folder):
        hook = 'name = "told"\ncanvases = ["large"]\nevents = ["object.*"]\ninclude = "object"\nqueue = "told"\n'
        (folder / "hooks.toml").write_text(f"[[hook]]\n{hook}")
        return ["--hooks", folder / "hooks.toml"]


class HookedBatches(HookedPatches):
    what = "batches of 900 such patches, told likewise"

    def run(self, port, end, _):
        op = 0

        def batch():
            nonlocal op
            ops = []
            for _ in range(900):
                op += 1
                ops.append(b'{"type":"object-update","op":%d,"id":"o%d","patch":{"a":%d}}' % (op, op % 8, op))
            return text(b'{"type":"batch","ops":[%s]}' % b",".join(ops))

        return pump(batch, [Socket(port, "large").join()], end)


class LogAppends(Attack):
    what = "entries of 3 bytes to an object's log, compacted after 5,000; another attacker reads it again and again"
    attackers = 2

    def prepare(self, port):
        fill(port, "logs", 1)

    def run(self, port, end, number):
        if number:
            got = 0
            while time.monotonic() < end:
                s = Socket(port, "logs").hello(features=["log"])
                got += len(str(s.until("snapshot")))
                s.close()
            return 0, got
        op = 0

        def some():
            nonlocal op
            ops = []
            for _ in range(50):
                op += 1
                ops.append(text(b'{"type":"log-append","op":%d,"id":"o0","data":"AAAA"}' % op))
            if op % 5_000 == 0:
                op += 1
                # As the entries come one after the other, those up to it are there.
                ops.append(text(b'{"type":"log-compact","op":%d,"id":"o0","upto":%d,"data":"AAAA"}' % (op, op)))
            return b"".join(ops)

        return pump(some, [Socket(port, "logs").join()], end)


class LargeEntries(Attack):
    what = "entries of 140 KiB to the logs of objects, without a pause"

    def prepare(self, port):
        fill(port, "entries", 8)

    def run(self, port, end, _):
        op, data = 0, b"A" * 190_000

        def one():
            nonlocal op
            op += 1
            # The logs stay below their bound.
            if op % 200 == 0:
                return text(b'{"type":"log-compact","op":%d,"id":"o%d","upto":%d}' % (op, op // 200 % 8, op))
            return text(b'{"type":"log-append","op":%d,"id":"o%d","data":"%s"}' % (op, op % 8, data))

        return pump(one, [Socket(port, "entries").join()], end)


class Joins(Attack):
    what = "hello and close, again and again, on a canvas of 16 MiB; two attackers"
    attackers = 2

    def prepare(self, port):
        fill(port, "huge", 256)

    def run(self, port, end, _):
        sent = got = 0
        held = []
        while time.monotonic() < end:
            try:
                s = Socket(port, "huge").hello()
            except OSError:
                continue
            held.append(s)
            sent += 300
            if len(held) > 20:
                held.pop(0).close()
            time.sleep(0.01)
        return sent, got


class Duplicates(Attack):
    what = "an op that was acknowledged long ago, sent again and again"

    def run(self, port, end, number):
        s = Socket(port, "dup").join()
        for op in range(1, 101):
            s.send({"type": "chat", "op": op, "text": "x"})
            s.until("ack")
        return pump(lambda: text(b'{"type":"chat","op":20,"text":"x"}') * 64, [s], end)


class Cursors(Attack):
    what = "100 members of one canvas, each a cursor of 500 bytes every 40 ms"

    def run(self, port, end, _):
        sockets = [Socket(port, "cursors").join() for _ in range(100)]

        def one():
            return text(b'{"type":"cursor","x":%d,"y":1,"p":"%s"}' % (random.randrange(1000), b"c" * 470))

        return pump(one, sockets, end, 0.04)


class Presence(Attack):
    what = "one of 100 members changes its presence of 8 KiB without a pause"
    attackers = 2

    def run(self, port, end, number):
        if number:
            return 0, readers(port, "presence", 100, end)
        count = 0

        def state():
            nonlocal count
            count += 1
            return text({"type": "presence", "state": {"n": count, "x": "y" * 7_900}})

        return pump(state, [Socket(port, "presence").join()], end)


class Signals(Attack):
    what = "one of 100 members sends signals of 8 KiB without a pause"
    attackers = 2

    def run(self, port, end, number):
        if number:
            return 0, readers(port, "signals", 100, end)
        signal = text({"type": "signal", "event": "e", "data": "y" * 8_000})
        return pump(lambda: signal, [Socket(port, "signals").join()], end)


class Pings(Attack):
    what = "pings of 125 bytes without a pause, 10 connections"

    def run(self, port, end, _):
        return pump(lambda: frame(PING, b"p" * 125) * 64, [Socket(port, "pings").join() for _ in range(10)], end)


class Writes(Attack):
    what = "durable messages of 60 KiB without a pause"

    def run(self, port, end, _):
        op = 0

        def one():
            nonlocal op
            op += 1
            return text(b'{"type":"broadcast","op":%d,"event":"e","data":"%s"}' % (op, b"w" * 60_000))

        return pump(one, [Socket(port, "writes").join()], end)


class Canvases(Attack):
    what = "a new canvas with each connection"

    def run(self, port, end, _):
        sent = 0
        while time.monotonic() < end:
            Socket(port, f"c{random.getrandbits(60)}").join().close()
            sent += 300
        return sent, 0


class Away(Attack):
    what = "new people that come to one canvas and break off"

    def run(self, port, end, _):
        sent = 0
        while time.monotonic() < end:
            try:
                Socket(port, "away").join().close()
            except OSError:
                pass
            sent += 300
        return sent, 0


class SlowBodies(Attack):
    what = "300 requests whose body comes a byte at a time"

    def run(self, port, end, _):
        head = b"POST /api/v1/canvases/slow/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n"
        sockets = []
        sent = 0
        while time.monotonic() < end:
            if len(sockets) < 300:
                s = socket.create_connection(("127.0.0.1", port), 5)
                s.sendall(head)
                sent += len(head)
                sockets.append(s)
                continue
            for s in list(sockets):
                try:
                    sent += s.send(b" ")
                except OSError:
                    sockets.remove(s)
            time.sleep(0.1)
        return sent, 0


class Metrics(Attack):
    what = "/metrics and /api/v1/stats, asked for without a pause"

    def run(self, port, end, _):
        request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        sent = got = 0
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as s:
                    s.sendall(request)
                    sent += len(request)
                    while data := s.recv(1 << 18):
                        got += len(data)
            except OSError:
                pass
        return sent, got


ALL = [
    Continuations, SmallPatches, HookedPatches, HookedBatches, LogAppends, LargeEntries, Joins, Duplicates, Cursors,
    Presence, Signals, Pings, Writes, Canvases, Away, SlowBodies, Metrics,
]

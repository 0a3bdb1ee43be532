#!/usr/bin/env python3
"""Judges a recorded history by the promises of docs/PROTOCOL.md. It knows nothing of the relay's code.

A history is a file of JSON lines. Each has `t` (milliseconds of one clock for the whole file), `canvas`, and `what`:

  joined   client, epoch, seq          a connection; its stream goes on behind seq (0: an empty canvas)
  sent     client, op, message         a durable message leaves, as it is on the wire. A resend may be there again
  acked    client, op, seq, status     as it came
  refused  client, op, code            as it came
  seen     client, seq, author, op     a durable message of somebody came to this client; with `message` also as it came,
                                       without the fields that the relay adds
  state    epoch, seq, objects         the store's answer: all objects by id, or null if nobody looked. `t` is when it was asked
  forgets  to                          from `to` on, acked messages may be gone, if the canvas has a new epoch after this
                                       line: a backup was restored, or the power was cut (canvas may be missing: all)

The promises, and the faults:

  lost      what was acked stays: a later state has it, and no stream leaves out a number
  doubled   an op has one place, however often it is sent; a stream repeats nothing
  disorder  an author's ops are in their order, and streams in that of their numbers; a place has one message
  ghost     nobody hears or has what nobody sent, an ack answers what was sent, and what was refused for good or ignored
            never comes
  early     an ack or a delivery means "committed": a state that is asked for later has it
  changed   objects are what the messages up to the state's number make of them, and a message comes as it was sent

`judge.py FILE…` prints faults and a count, and ends with 1 if there are any.
"""
import copy
import json
import sys
from collections import defaultdict

KINDS = ("lost", "doubled", "disorder", "ghost", "early", "changed")
# A client that does not know these fields of an update gets the whole object instead.
NEWER = {"set", "unset", "append"}
FINAL = ("bad-message", "forbidden", "too-large", "unknown-type", "bad-op")
SHOWN = 20


class Fault(Exception):
    """A history that breaks a promise, as its first faults."""


class Canvas:
    """What is known of one canvas."""

    def __init__(self):
        self.sent = {}        # (author, op): message
        self.sent_at = {}     # (author, op): the first time
        self.answered = set()
        self.refused = set()  # for good
        self.ignored = {}      # key: the epoch in which it was
        self.streams = {}     # client: [epoch, seq]
        self.places = defaultdict(dict)  # epoch: {seq: (author, op)}
        self.where = defaultdict(dict)   # (author, op): {epoch: seq}
        self.told = []        # (t, epoch, seq, (author, op), "acked" or "seen")
        self.states = []      # (t, epoch, seq, objects)
        self.forgets = []     # (line, to)
        self.epochs = []      # (line, epoch) whenever it is another


class Judge:
    """Takes a history, record by record; `faults` are [(kind, text)]."""

    def __init__(self):
        self.canvases = defaultdict(Canvas)
        self.faults = []
        self.acked = self.seen = self.line = 0
        self.closed = False

    def fault(self, kind, text):
        self.faults.append((kind, f"line {self.line}: {text}" if not self.closed else text))

    def take(self, record):
        """One record. Unknown fields are let be, unknown kinds of records are not."""
        self.line += 1
        what, name = record["what"], record.get("canvas")
        if what == "forgets" and name is None:
            for canvas in self.canvases.values():
                canvas.forgets.append((self.line, record["to"]))
            return
        getattr(self, "_" + what.replace("-", "_"))(record, name, self.canvases[name])

    def _forgets(self, record, _, canvas):
        canvas.forgets.append((self.line, record["to"]))

    def _epoch(self, canvas, epoch):
        if epoch and (not canvas.epochs or canvas.epochs[-1][1] != epoch):
            canvas.epochs.append((self.line, epoch))

    def _joined(self, record, name, canvas):
        client, epoch, seq = record["client"], record["epoch"], record["seq"]
        before = canvas.streams.get(client)
        if before and before[0] == epoch and seq < before[1]:
            self.fault("lost", f"{name}: {client} was at {before[1]}, and is put back to {seq} in the same epoch")
        canvas.streams[client] = [epoch, seq]
        self._epoch(canvas, epoch)

    def _sent(self, record, _, canvas):
        key = (record["client"], record["op"])
        canvas.sent.setdefault(key, record.get("message"))
        canvas.sent_at.setdefault(key, record["t"])

    def _refused(self, record, name, canvas):
        key = (record["client"], record["op"])
        if key not in canvas.sent:
            self.fault("ghost", f"{name}: {key} was refused, and nobody sent it")
        if record["code"] in FINAL:
            canvas.refused.add(key)
            canvas.answered.add(key)

    def _acked(self, record, name, canvas):
        key, seq, status = (record["client"], record["op"]), record["seq"], record["status"]
        if key not in canvas.sent:
            self.fault("ghost", f"{name}: {key} was acked, and nobody sent it")
        canvas.answered.add(key)
        if status == "ignored":
            canvas.ignored[key] = canvas.streams.get(record["client"], [None])[0]
        if status == "ignored" or seq == 0:
            return
        self.acked += 1
        if status == "ok":
            self._stream(record, name, canvas, key)
        epoch = canvas.streams.get(record["client"], [None])[0] or (canvas.epochs[-1][1] if canvas.epochs else None)
        self._place(record, name, canvas, epoch, key, "acked")

    def _seen(self, record, name, canvas):
        key = (record["author"], record["op"])
        if key not in canvas.sent:
            self.fault("ghost", f"{name}: {record['client']} sees {key} at {record['seq']}, and nobody sent it")
        sent, came = canvas.sent.get(key), record.get("message")
        if sent and came and sent != came and not sent.keys() & NEWER:
            self.fault("changed", f"{name}: {record['client']} sees {key} at {record['seq']} as {came}, and it was sent as {sent}")
        self.seen += 1
        self._stream(record, name, canvas, key)
        epoch = canvas.streams.get(record["client"], [None])[0]
        self._place(record, name, canvas, epoch, key, "seen")

    def _stream(self, record, name, canvas, key):
        stream, seq = canvas.streams.get(record["client"]), record["seq"]
        if stream is None:
            return  # an answer of the server API: no stream
        expected = stream[1] + 1
        if seq > expected:
            self.fault("lost", f"{name}: {record['client']} gets {seq} where {expected} comes")
        elif seq < expected and canvas.places[stream[0]].get(seq) == key:
            self.fault("doubled", f"{name}: {record['client']} gets {seq} again, and was at {stream[1]}")
        elif seq < expected:
            self.fault("disorder", f"{name}: {record['client']} gets {seq} where {expected} comes")
        stream[1] = max(stream[1], seq)

    def _place(self, record, name, canvas, epoch, key, how):
        seq = record["seq"]
        there = canvas.places[epoch].setdefault(seq, key)
        if there != key:
            self.fault("disorder", f"{name}: at {seq} are both {there} and {key}")
        mine = canvas.where[key].setdefault(epoch, seq)
        if mine != seq:
            self.fault("doubled", f"{name}: {key} is at {mine} and at {seq}")
        canvas.told.append((record["t"], epoch, seq, key, how))

    def _state(self, record, _, canvas):
        canvas.states.append((self.line, record["t"], record["epoch"], record["seq"], record.get("objects")))
        self._epoch(canvas, record["epoch"])

    # ------------------------------------------------------------ when all is read

    def close(self):
        """Judges what needs the whole history; gives the faults."""
        self.closed = True
        for name, canvas in sorted(self.canvases.items(), key=lambda item: str(item[0])):
            for key in sorted(canvas.refused & set(canvas.where)):
                self.fault("ghost", f"{name}: {key} was refused for good, and is there")
            for key in sorted(canvas.ignored.keys() & canvas.where.keys()):
                # Where the store forgets, what was told and not acked may be gone, and be ignored when it comes again.
                if not canvas.forgets or canvas.ignored[key] in canvas.where[key]:
                    self.fault("ghost", f"{name}: {key} was ignored, and is there")
            self._order(name, canvas)
            self._once(name, canvas)
            for state in canvas.states:
                self._kept(name, canvas, *state)
        return self.faults

    def _order(self, name, canvas):
        for epoch, places in canvas.places.items():
            last = {}
            for seq in sorted(places):
                author, op = places[seq]
                if op < last.get(author, 0):
                    self.fault("disorder", f"{name}: {author}'s op {op} is at {seq}, behind its op {last[author]}")
                last[author] = op

    def _once(self, name, canvas):
        """In two epochs an op may have two places only if the first was forgotten."""
        if canvas.forgets:
            return
        for key, places in canvas.where.items():
            if len(set(places.values())) > 1:
                self.fault("doubled", f"{name}: {key} is at {sorted(places.values())} in {len(places)} epochs")

    def _may_be_gone(self, canvas, line, t, told_epoch, epoch):
        return told_epoch != epoch and any(at < line and t >= to for at, to in canvas.forgets)

    def _kept(self, name, canvas, line, t, epoch, head, objects):
        places, gone = {}, set()
        for when, told_epoch, seq, key, how in canvas.told:
            if told_epoch in (epoch, None):
                places.setdefault(seq, key)
            if when >= t or seq <= head and canvas.where[key].get(epoch, seq) == seq:
                continue
            if self._may_be_gone(canvas, line, when, told_epoch, epoch) or key in gone:
                continue
            gone.add(key)
            later = any(at > t and e == epoch and key == k for at, e, _, k, _ in canvas.told)
            later = later or any(at > t and e == epoch and h >= seq for _, at, e, h, _ in canvas.states)
            kind = "early" if later else "lost"
            self.fault(kind, f"{name}: {key} was {how} at {seq}, and a state that was asked for later ends at {head}")
        if objects is not None:
            self._contents(name, canvas, epoch, head, objects, places)

    def _contents(self, name, canvas, epoch, head, objects, places):
        """Objects against messages. Places of an earlier epoch count as well where they were not told again."""
        # What was told last counts: in the epoch after a loss, other messages take the places of those that are lost.
        for when, told_epoch, seq, key, _ in reversed(canvas.told):
            if told_epoch != epoch and seq not in places and epoch not in canvas.where[key]:
                places[seq] = key
        known, unsure, hole = {}, set(), False
        for seq in range(1, head + 1):
            message = canvas.sent.get(places.get(seq))
            hole = hole or message is None
            if message:
                replay(known, message)
        # What has no place that anybody was told may be there or not.
        placed = {places[seq] for seq in places if seq <= head}
        for key, message in canvas.sent.items():
            if key not in placed and key not in canvas.refused and key not in canvas.ignored and message:
                unsure.add(touched(message))
        sent = {touched(message) for message in canvas.sent.values() if message}
        wrong = [one for one in known.keys() | objects.keys()
                 if one not in unsure and known.get(one) != objects.get(one) and one in sent]
        if wrong and not hole:
            self.fault("changed", f"{name}: at {head} not what was written: {sorted(wrong)[:5]}")
        elif wrong:
            lacking = [one for one in wrong if one not in objects]
            if lacking:
                self.fault("lost", f"{name}: at {head} these are missing: {sorted(lacking)[:5]}")
        strange = sorted(objects.keys() - sent)
        if strange:
            self.fault("ghost", f"{name}: nobody wrote these objects: {strange[:5]}")

    def unanswered(self):
        """Ops that were sent and never answered."""
        return sum(len(canvas.sent.keys() - canvas.answered) for canvas in self.canvases.values())

    def gone(self):
        """Acked ops of an earlier epoch whose object the last state lacks: what a history that may forget has lost."""
        heads = {name: canvas.states[-1] for name, canvas in self.canvases.items() if canvas.states}
        return sum(len({key for _, epoch, seq, key, how in self.canvases[name].told
                        if how == "acked" and epoch != head[2] and head[2] not in self.canvases[name].where[key]
                        and touched(self.canvases[name].sent[key] or {"type": ""}) not in (head[4] or {})})
                   for name, head in heads.items())

    def require(self):
        """Raises `Fault` if there are faults."""
        if self.close():
            raise Fault(self.told())

    def told(self):
        """The first faults, for people."""
        lines = [f"{kind}: {text}" for kind, text in self.faults[:SHOWN]]
        if len(self.faults) > SHOWN:
            lines.append(f"and {len(self.faults) - SHOWN} more")
        return "\n".join(lines)


def touched(message):
    """The object that a message is about, or None."""
    kind = message["type"]
    return message["object"]["id"] if kind == "object-create" else message.get("id")


def merge(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge(target.get(name), value)
    return target


def replay(objects, message):
    """What a message does to the objects."""
    kind = message["type"]
    if kind == "object-create":
        objects[message["object"]["id"]] = message["object"]
    elif kind == "object-delete":
        objects.pop(message["id"], None)
    elif kind == "object-update" and message["id"] in objects:
        objects[message["id"]] = updated(objects[message["id"]], message)


def updated(target, message):
    """An object after an update: patch, unset, set, append, in that order."""
    target = merge(copy.deepcopy(target), message.get("patch", {}))
    for path in message.get("unset", []):
        *parents, last = names(path)
        place = target
        for name in parents:
            place = place.get(name) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.pop(last, None)
    for path, value in message.get("set", {}).items():
        place, last = made(target, path)
        place[last] = value
    for path, more in message.get("append", {}).items():
        place, last = made(target, path)
        old = place.get(last)
        place[last] = more if old is None else old + more
    return target


def names(path):
    """The names of a path: dots part them, and a backslash takes the next character as it is."""
    found, taken = [""], iter(path)
    for char in taken:
        if char == ".":
            found.append("")
        else:
            found[-1] += next(taken, "") if char == "\\" else char
    return found


def made(target, path):
    """Where the last name of a path is; objects on the way are made."""
    *parents, last = names(path)
    for name in parents:
        if target.get(name) is None:
            target[name] = {}
        target = target[name]
    return target, last


def read(path):
    """A judge that has taken the file."""
    judge = Judge()
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                judge.take(json.loads(line))
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                sys.exit(f"judge: {path}:{number}: not a record of a history: {error!r}")
    return judge


def main():
    paths = sys.argv[1:]
    if not paths or paths[0] in ("-h", "--help"):
        print(__doc__.strip())
        sys.exit(0 if paths else 2)
    bad = False
    for path in paths:
        try:
            judge = read(path)
        except OSError as error:
            sys.exit(f"judge: {path}: {error.strerror}")
        faults = judge.close()
        bad = bad or bool(faults)
        if faults:
            print(judge.told())
        counts = ", ".join(f"{sum(kind == one for kind, _ in faults)} {one}" for one in KINDS)
        print(f"{path}: {judge.acked} acked, {judge.seen} seen, {judge.unanswered()} without an answer; {counts}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

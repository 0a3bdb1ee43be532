"""Assets in a bucket of moto, a server that speaks S3, and here checks signatures and rights. Processes of the relay reach
it through a door that can be closed."""

import hashlib
import http.client
import json
import logging
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import boto3
from moto.server import ThreadedMotoServer
from waiting import until

# Of each request.
logging.getLogger("werkzeug").disabled = True

BUCKET, REGION = "pictures", "us-east-1"
# What docs/OPERATIONS.md says that the relay needs.
RIGHTS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListBucket"]
# Larger than two parts of an upload, and not by a whole one.
LARGE = bytes(range(256)) * 4 * 1024 * 11


def hang_up(stream):
    try:
        stream.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    stream.close()


class Door:
    """What the relay takes for the bucket. Open, closed, or a room in which nobody answers."""

    def __init__(self, port):
        self.port, self.state, self.held = port, "open", []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.state == "closed":
                client.close()
                continue
            self.held.append(client)
            if self.state == "open":
                inner = socket.create_connection(("127.0.0.1", self.port))
                self.held.append(inner)
                for pair in ((client, inner), (inner, client)):
                    threading.Thread(target=self.carry, args=pair, daemon=True).start()

    def carry(self, one, other):
        try:
            while self.state != "silent" and (data := one.recv(65536)):
                if self.state == "silent":
                    return
                other.sendall(data)
        except OSError:
            pass
        if self.state != "silent":
            hang_up(one)
            hang_up(other)

    def become(self, state):
        self.state = state
        if state != "silent":
            for held in self.held:
                hang_up(held)
            self.held.clear()


class Process:
    """A process of the relay."""

    def __init__(self, arguments, environment):
        command = [os.environ["SCUMBLE"], "serve", "--listen=127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"ready on (http://\S+)", line):
                self.url = found[1]
                break
        else:
            raise AssertionError("".join(self.log))
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def ask(self, method, path, body=None, headers=()):
        """The status, the headers and the body."""
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read()

    def put(self, body, path=None):
        return self.ask("PUT", path or place(body), body, {"Content-Type": "image/png"})

    def announce(self, length):
        """The status of an upload of so many bytes, none of which is sent: it is refused before they would come."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        try:
            connection.putrequest("PUT", place(b"large"))
            connection.putheader("Content-Type", "image/png")
            connection.putheader("Content-Length", str(length))
            connection.endheaders()
            return connection.getresponse().status
        finally:
            connection.close()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()


def place(body, canvas="board"):
    return f"/assets/{canvas}/{hashlib.sha256(body).hexdigest()}"


class Assets(unittest.TestCase):
    # Until it has keys, anybody may do anything.
    owner = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}

    @classmethod
    def setUpClass(cls):
        cls.moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        cls.moto.start()
        cls.port = cls.moto.get_host_and_port()[1]
        cls.addClassCleanup(cls.moto.stop)
        cls.owner = cls.user("owner", ["*"])
        cls.keys_of_relay = cls.user("relay", RIGHTS)
        # From here on it looks at signatures and rights.
        url = f"http://127.0.0.1:{cls.port}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(url, b"0", {"Content-Type": "text/plain"})).close()

    @classmethod
    def client(cls, service, keys):
        names = {"aws_access_key_id": keys["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"]}
        return boto3.client(service, endpoint_url=f"http://127.0.0.1:{cls.port}", region_name=REGION, **names)

    @classmethod
    def user(cls, name, rights):
        """The variables with the keys of somebody who may do that."""
        iam = cls.client("iam", cls.owner)
        iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": rights, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        iam.close()
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def setUp(self):
        self.variables = dict(self.keys_of_relay)
        self.s3 = self.client("s3", self.owner)
        self.addCleanup(self.s3.close)
        self.s3.create_bucket(Bucket=BUCKET)
        self.addCleanup(self.empty)
        self.door = Door(self.port)
        self.addCleanup(self.door.listener.close)
        self.addCleanup(self.door.become, "closed")
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.db = f"{self.folder.name}/relay.db"
        self.place = ["--assets-url", f"s3://{BUCKET}/relays/one", "--assets-endpoint", self.door.url]

    def empty(self):
        for key in self.keys():
            self.s3.delete_object(Bucket=BUCKET, Key=key)

    def keys(self):
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [found["Key"] for found in listed]

    def unfinished(self):
        return self.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])

    def start(self, *more):
        process = Process(["--db", self.db, *self.place, *more], self.variables)
        self.addCleanup(process.end)
        return process

    def tool(self, *arguments):
        done = subprocess.run(
            [os.environ["SCUMBLE"], *arguments], capture_output=True, text=True, env=self.variables, timeout=120
        )
        said = done.stdout + done.stderr
        self.assertNotIn(self.variables["AWS_SECRET_ACCESS_KEY"], said)
        return done.returncode, said

    def test_processes_share_a_bucket(self):
        one, two = self.start(), self.start()
        for body in (b"small", b"", LARGE):
            status, _, answer = one.put(body)
            self.assertEqual(status, 201, answer)
            status, headers, got = two.ask("GET", place(body))
            self.assertEqual((status, got == body), (200, True))
            self.assertIn("immutable", headers["Cache-Control"])
            self.assertEqual(two.put(body)[0], 200, "it is there")
        self.assertTrue(all(re.match(r"relays/one/[0-9a-f]{16}/[0-9a-f]{2}/[0-9a-f]{64}\.board\.", key) for key in self.keys()))
        self.assertEqual(len(self.keys()), 3)
        at = len(LARGE) // 2
        status, headers, got = two.ask("GET", place(LARGE), headers={"Range": f"bytes={at}-{at + 9}"})
        self.assertEqual((status, got), (206, LARGE[at : at + 10]))
        self.assertEqual(headers["Content-Range"], f"bytes {at}-{at + 9}/{len(LARGE)}")
        status, headers, got = two.ask("HEAD", place(LARGE))
        self.assertEqual((status, headers["Content-Length"], got), (200, str(len(LARGE)), b""))
        self.assertEqual(two.ask("GET", place(LARGE), headers={"If-None-Match": headers["ETag"]})[0], 304)
        # Somebody has emptied the bucket: an upload brings it again.
        self.empty()
        self.assertEqual(two.ask("GET", place(LARGE))[0], 404)
        self.assertLess(one.put(LARGE)[0], 300)
        self.assertEqual(two.ask("GET", place(LARGE))[2] == LARGE, True)

    def test_what_is_wrong_or_too_much_leaves_nothing(self):
        one = self.start("--max-asset-bytes=12000000", "--max-canvas-asset-bytes=13000000")
        for body in (b"other", LARGE):
            status, _, answer = one.put(body, place(b"wanted"))
            self.assertEqual((status, json.loads(answer)["error"]), (422, "wrong-hash"))
        self.assertEqual(one.announce(13_000_000), 413)
        self.assertEqual(one.put(LARGE)[0], 201)
        status, _, answer = one.put(bytes(5_500_000))
        self.assertEqual(status, 413)
        self.assertIn(b"--max-canvas-asset-bytes", answer)
        until(lambda: len(self.keys()) == 1 and not self.unfinished())

    def test_what_no_object_names_is_removed_from_the_bucket(self):
        one, two = self.start("--asset-ttl=1s"), self.start("--asset-ttl=1s")
        for body in (b"small", LARGE):
            self.assertEqual(one.put(body)[0], 201)
        until(lambda: not self.keys())
        for process in (one, two):
            self.assertEqual(process.ask("GET", place(LARGE))[0], 404)

    def test_an_upload_that_breaks_off_leaves_no_parts(self):
        one = self.start()
        address = one.url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as stream:
            head = f"PUT {place(LARGE)} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(LARGE)}\r\n\r\n"
            stream.sendall(head.encode() + LARGE[:6_000_000])
            until(self.unfinished)
        until(lambda: not self.unfinished())
        self.assertEqual(self.keys(), [])

    def test_without_the_bucket_uploads_are_to_come_again_and_nothing_is_lost(self):
        one = self.start()
        self.assertEqual(one.put(b"before")[0], 201)
        self.door.become("closed")
        for answer in (one.put(b"during"), one.put(LARGE), one.ask("GET", place(b"before"))):
            self.assertEqual((answer[0], answer[1]["Retry-After"]), (503, "1"), answer[2])
        status, _, ready = one.ask("GET", "/readyz")
        self.assertEqual((status, "assets" in json.loads(ready)), (200, True), "canvases go on")
        self.assertIn(b"scumble_assets_failing 1", one.ask("GET", "/metrics")[2])
        code, said = self.tool("doctor", "--db", self.db, *self.place)
        self.assertEqual(code, 1, said)
        self.assertIn(f"s3://{BUCKET}/relays/one can't be looked at", said)
        self.door.become("open")
        self.assertEqual(one.put(b"during")[0], 201)
        self.assertEqual(one.ask("GET", place(b"before"))[2], b"before")
        until(lambda: json.loads(one.ask("GET", "/readyz")[2]) == {"ready": True})
        code, said = self.tool("doctor", "--db", self.db, *self.place)
        self.assertIn(f"all files are in s3://{BUCKET}/relays/one", said)
        one.end()
        self.assertNotIn(self.variables["AWS_SECRET_ACCESS_KEY"], "".join(one.log))

    def test_a_bucket_that_is_silent_is_given_up(self):
        one = self.start()
        self.assertEqual(one.put(b"before")[0], 201)
        self.door.become("silent")
        answers = []
        asks = [
            threading.Thread(target=lambda body=body: answers.append(one.put(body))) for body in (b"during", LARGE)
        ]
        asks.append(threading.Thread(target=lambda: answers.append(one.ask("GET", place(b"before")))))
        for ask in asks:
            ask.start()
        # Others have their answers meanwhile.
        while any(ask.is_alive() for ask in asks):
            began = time.monotonic()
            self.assertEqual(one.ask("POST", "/api/v1/push", b'{"items":[{"queue":"q","payload":1}]}')[0] // 100, 2)
            self.assertLess(time.monotonic() - began, 5, "less than the bucket is waited for")
            time.sleep(0.2)
        self.assertEqual([(answer[0], answer[1]["Retry-After"]) for answer in answers], [(503, "1")] * 3)
        self.door.become("open")
        self.assertEqual(one.put(b"during")[0], 201)

    def test_a_copy_of_the_file_names_what_is_in_the_bucket(self):
        one = self.start()
        self.assertEqual(one.put(LARGE)[0], 201)
        copy = f"{self.folder.name}/copy.db"
        code, said = self.tool("backup", "--db", self.db, "--to", copy, *self.place)
        self.assertEqual(code, 0, said)
        self.assertIn(f"s3://{BUCKET}/relays/one: 1 asset ({len(LARGE)} bytes) stay there", said)
        one.end()
        self.db = copy
        self.assertEqual(self.start().ask("GET", place(LARGE))[2] == LARGE, True)

    def test_a_bucket_that_is_not_there_is_said(self):
        self.place[1] = "s3://no-such-bucket"
        one = self.start()
        self.assertEqual(one.put(b"x")[0], 503)
        until(lambda: re.search("(?i)no.?such.?bucket", "".join(one.log)))

    def test_wrong_keys_are_refused_and_said(self):
        for name, wrong, told in (
            ("AWS_SECRET_ACCESS_KEY", "anothersEcReT", "SignatureDoesNotMatch"),
            ("AWS_ACCESS_KEY_ID", "AKIAANOTHER", "InvalidAccessKeyId"),
        ):
            self.variables = {**self.keys_of_relay, name: wrong}
            one = self.start()
            # At the start already.
            until(lambda: f"the bucket says {told}: " in "".join(one.log))
            self.assertIn(f"; see whether {name} is right", "".join(one.log))
            for body in (b"small", LARGE):
                self.assertEqual(one.put(body)[0], 503)
            self.assertIn("assets", json.loads(one.ask("GET", "/readyz")[2]))
            code, said = self.tool("doctor", "--db", self.db, *self.place)
            self.assertEqual(code, 1, said)
            self.assertIn(f"s3://{BUCKET}/relays/one can't be looked at: the bucket says {told}: ", said)
            one.end()
            self.assertNotIn(self.variables["AWS_SECRET_ACCESS_KEY"], "".join(one.log))
        self.assertEqual((self.keys(), self.unfinished()), ([], []))

    def test_keys_that_lack_a_right_are_said(self):
        self.variables = self.user("reader", ["s3:GetObject", "s3:ListBucket"])
        one = self.start()
        self.assertEqual(one.put(b"small")[0], 503)
        until(lambda: "the bucket says AccessDenied: " in "".join(one.log))


if __name__ == "__main__":
    unittest.main()

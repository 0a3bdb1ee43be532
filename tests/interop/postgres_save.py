"""examples/save-to-postgres against a PostgreSQL of the test's own. Run by tests/interop/run."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

from waiting import until

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "save-to-postgres"


class Postgres:
    """A server on a socket in a folder. It does not run as root: then it is the package's user."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pg")
        self.be = []
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
            self.be = ["runuser", "-u", "postgres", "--"]
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        assert found, "these tests need Debian's postgresql: scripts/install-test-deps"
        self.bin, self.data = found[-1], f"{self.folder}/data"
        self.run("initdb", "--auth=trust", "--username=app", "-D", self.data)
        self.start()

    def run(self, program, *arguments):
        done = subprocess.run(
            [*self.be, f"{self.bin}/{program}", *arguments], capture_output=True, text=True, timeout=60, cwd=self.folder
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self):
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        self.run("pg_ctl", "-D", self.data, "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")

    def environment(self):
        return {"PGHOST": self.folder, "PGUSER": "app", "PGDATABASE": "postgres", "PATH": os.environ["PATH"]}

    def query(self, sql):
        command = [f"{self.bin}/psql", "-XAtc", sql]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=self.environment())
        return done.stdout.strip()

    def end(self):
        self.stop()
        shutil.rmtree(self.folder)


class SaveToPostgres(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        hooks = Path(self.folder.name) / "hooks.toml"
        text = (EXAMPLE / "hooks.toml").read_text()
        self.assertIn('quiet = "5s"', text)
        hooks.write_text(text.replace('"5s"', '"300ms"'))
        command = [os.environ["SCUMBLE"], "serve", "--listen=127.0.0.1:0", "--db", f"{self.folder.name}/relay.db"]
        self.relay = subprocess.Popen([*command, "--hooks", hooks], stderr=subprocess.PIPE, text=True, env={})
        self.url = next(filter(None, (re.search(r"ready on (http://\S+)", line) for line in self.relay.stderr)))[1]
        self.postgres = Postgres()
        self.saver = None

    def tearDown(self):
        for process in (self.saver, self.relay):
            if process:
                process.kill()
                process.wait()
        self.relay.stderr.close()
        self.postgres.end()
        self.folder.cleanup()

    def save(self):
        command = [sys.executable, EXAMPLE / "save.py", self.url]
        self.saver = subprocess.Popen(command, env=self.postgres.environment(), stdout=subprocess.DEVNULL)

    def draw(self, canvas, name):
        body = {"type": "object-create", "object": {"id": name, "kind": "box"}}
        url = f"{self.url}/api/v1/canvases/{canvas}/messages"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()

    def saved(self, canvas):
        rows = self.postgres.query(f"SELECT seq, jsonb_array_length(objects) FROM canvases WHERE canvas = '{canvas}'")
        return rows

    def test_a_canvas_that_became_quiet_is_in_the_database_and_a_killed_saver_loses_nothing(self):
        for n in range(3):
            self.draw("plan", f"o{n}")
        self.save()
        until(lambda: self.saved("plan") == "3|3")
        self.saver.kill()
        self.saver.wait()
        self.draw("plan", "later")
        self.draw("other", "first")
        self.save()
        until(lambda: self.saved("plan") == "4|4" and self.saved("other") == "1|1")


if __name__ == "__main__":
    unittest.main()

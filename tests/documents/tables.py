"""What the documents say, and what the test does instead: each difference from the text stands in one of these tables."""

import re
from pathlib import Path

from blocks import ROOT, blocks
from ground import last_json

# Not run here, and why. What they name (files, flags, scripts) is checked all the same, see `named.py`.
NOT_RUN = [
    ("*", r"cargo build( --release)?$", "the suite runs with the program that it has built; an optimised build takes minutes"),
    ("README.md", r"scripts/test$", "this test is a part of it"),
    ("CONTRIBUTING.md", r"scripts/test( --fast)?\b", "this test is a part of it"),
    ("CONTRIBUTING.md", r"cargo nextest run WORD", "scripts/test runs them all, by the same program"),
    ("CONTRIBUTING.md", r"npm --prefix web (ci|test)\b", "scripts/install-test-deps and scripts/test run both"),
    ("docs/OPERATIONS.md", r"apt-get install", "installs on the machine: tests/packaging/deb.rs does it on a view of it"),
    ("docs/OPERATIONS.md", r"scripts/drill", "minutes; scripts/test runs the drills as a step of its own"),
]

# Programs of commands in the comments of packaging/ and nginx/, and why those are not run here.
NOT_RUN_IN_COMMENTS = {
    "docker": "a container needs an engine; tests/packaging starts a relay with the settings of both files",
    "kubectl": "needs a cluster; the variables and the secret of the manifest are checked in named_test.py",
    "nginx": "tests/relay/nginx.rs and scripts/cluster.sh run these files, and this test the one with TLS",
    "scumble": "its flags are checked; tests/packaging runs `check-config` on the file",
    "scripts/cluster.sh": "it is named there; README's command of it is run",
    "cd": "a document has the same command, and it is run", "head": "the same", "install": "the same",
    "openssl": "the same",
}


def unit_command():
    """What `systemctl restart scumble` starts: the command of the unit, found by its name as a shell does."""
    unit = (ROOT / "packaging/systemd/scumble.service").read_text()
    return re.search(r"(?m)^ExecStart=/usr/bin/(.*)$", unit)[1]


def replaced(ground, text):
    """The command as it is run here: with folders, users and addresses of this test in place of those of the document."""
    pairs = [
        # The program is built already, and on the PATH.
        ("cargo run --release -- ", "scumble "),
        ("cargo run -- ", "scumble "),
        ("systemctl restart scumble", unit_command()),
        # There is one user.
        ("runuser -u scumble -- ", ""),
        ("-o scumble -g scumble", f"-o {ground.user} -g {ground.group}"),
        # Folders of a host.
        ("/etc/scumble", f"{ground.folder}/etc/scumble"),
        ("/var/lib/scumble", f"{ground.folder}/var/lib/scumble"),
        ("/backup/", f"{ground.folder}/backup/"),
        # The system chooses the port.
        ("--listen 127.0.0.1:8081", "--listen 127.0.0.1:0"),
        ("--listen 10.0.0.11:8081", "--listen 127.0.0.1:0"),
        ("http.server 5500", "http.server 0"),
        # A name by which `pgrep` finds nobody else's process.
        ("whiteboard.db", f"whiteboard-{ground.folder.name}.db"),
        ("--auth-secret-file FILE", f"--auth-secret-file {ground.home}/FILE"),
        # As long as is needed to see that it works.
        ("--duration 60", "--duration 1"),
        ("--duration 5", "--duration 1"),
    ]
    for documented, here in pairs:
        text = text.replace(documented, here)
    # What the tools take by default.
    if text.startswith("scumble jobs ") and "--url" not in text:
        text += " --url http://127.0.0.1:8080"
    if "redis://" in text:
        port = ground.redis_port = getattr(ground, "redis_port", None) or ground.redis(redis_settings())
        text = re.sub(r"redis://(:password@)?10\.0\.0\.5:6379", f"redis://:password@127.0.0.1:{port}", text)
    if (tls := getattr(ground, "tls_port", None)) is not None:
        text = text.replace("wss://relay.example.org", f"wss://localhost:{tls}")
    # The certificate is for a name that this machine knows.
    text = text.replace("relay.example.org", "localhost")
    return ground.real(text)


# Names that a document writes for what an answer before has printed.
FROM_ANSWERS = {
    "9f13…": "partitionId", "01a2…": "transactionId", "e852…": "leaseId",
    "PARTITION_ID": "partitionId", "TRANSACTION_ID": "transactionId", "LEASE_ID": "leaseId",
}


def named_by_answers(text, printed):
    answer = last_json(printed)
    for written, field in FROM_ANSWERS.items():
        if written in text:
            assert field in answer, f"{text}: nothing before has printed a {field}: {printed!r}"
            text = text.replace(written, answer[field])
    return text


def redis_settings():
    """Those that the guide tells its reader to set."""
    return "\n".join(blocks("docs/guides/three-hosts.md")[0].lines)


def addresses(text):
    """Where the document thinks that a server is: one address for each process."""
    if text.startswith("scripts/cluster.sh"):
        return []
    if "http.server" in text:
        return ["127.0.0.1:5500"]
    if "--config" in text:
        text += " --listen " + re.search(r'(?m)^listen = "(.*)"', (ROOT / "packaging/scumble.toml").read_text())[1]
    host, first = (re.search(r"--listen (\S+):(\d+)", text) or re.search("(.*):(.*)", "127.0.0.1:8080")).groups()
    many = int((re.search(r"--instances (\d+)", text) or [None, "3"])[1]) if "scumble cluster" in text else 1
    return [f"{host}:{int(first) + number}" for number in range(many)]


# ---- What a reader has done before a command, because the text around it says so.

def publish(ground):
    ground.run(ground.real("python3 examples/backend.py demo hello http://127.0.0.1:8080"))


def relay_with_a_canvas(ground):
    ground.start("scumble serve --db first.db", ["127.0.0.1:8080"])
    publish(ground)


def relay_with_hooks(ground):
    hooks = [block for block in blocks("docs/guides/save-into-my-database.md") if block.language == "toml"]
    (ground.home / "hooks.toml").write_text("\n".join(hooks[0].lines))
    ground.start("scumble serve --db second.db --hooks hooks.toml", ["127.0.0.1:8080"])
    publish(ground)


def configuration(ground):
    """The package puts it there, with the port that its service has."""
    text = replaced(ground, (ROOT / "packaging/scumble.toml").read_text()).replace("127.0.0.1:8081", "127.0.0.1:0")
    (ground.folder / "etc/scumble/scumble.toml").write_text(text)


def nginx_with_tls(ground):
    etc = f"{ground.folder}/etc/scumble"
    placed = ground.nginx(lambda text: text.replace("/etc/ssl/relay.example.org", etc), [8080, 8443])
    ground.tls_port = placed[8443]


def secret_of_all_hosts(ground):
    ground.run("openssl rand -base64 32 > FILE && chmod 600 FILE")


def in_etc(ground):
    ground.run(f"cd {ground.folder}/etc/scumble")


def without_a_bucket(ground):
    """Nobody answers there: a relay starts all the same. tests/interop/run s3 has one that answers."""
    ground.redis_port = ground.redis(redis_settings())
    ground.run("export AWS_ENDPOINT_URL=http://127.0.0.1:1")


def all_stopped(ground):
    ground.end_servers()
    ground.redis_port = ground.redis(redis_settings())


def relay_is_drawn_on(ground):
    """Something to back up."""
    ground.run(f"scumble load clients {ground.real('--url http://127.0.0.1:8081')} --secret-file {ground.folder}/etc/scumble/secret "
               "--duration 1 --canvases 1 --clients-per-canvas 2")


BEFORE = [
    ("docs/guides/save-into-my-database.md", r"curl -s .*/objects$", relay_with_a_canvas),
    ("docs/guides/save-into-my-database.md", r"scumble jobs pop", relay_with_hooks),
    ("docs/guides/three-hosts.md", r"SCUMBLE_REDIS=", secret_of_all_hosts),
    ("docs/OPERATIONS.md", r"cd /etc/scumble$", configuration),
    ("docs/OPERATIONS.md", r"scumble load clients --url wss:", nginx_with_tls),
    ("docs/OPERATIONS.md", r"SCUMBLE_REDIS=", secret_of_all_hosts),
    ("docs/OPERATIONS.md", r"curl -H .*api-token", in_etc),
    ("docs/OPERATIONS.md", r"scumble serve .*--assets-url", without_a_bucket),
    ("docs/OPERATIONS.md", r"scumble backup", relay_is_drawn_on),
    ("docs/OPERATIONS.md", r"scumble migrate .*--dry-run", all_stopped),
]


# ---- What must be so after a command, beyond its exit code and what the document prints below it.

def enters(ground, printed):
    """The token opens its canvas, and nothing opens it without."""
    file = Path(ground.at) / "token"
    file.write_text(printed)
    load = ground.real("scumble load clients --url http://127.0.0.1:8080 --canvas-prefix board- --canvases 1 "
                       "--clients-per-canvas 1 --duration 1")
    ground.run(f"{load} --token-file token")
    ground.run(f"{load}", fails=True)


def is_killed(ground, _):
    for server in ground.servers:
        if "whiteboard" in server.text:
            server.process.wait(10)
            server.may_end = True
            return
    raise AssertionError("no relay of the tutorial runs")


def copy_is_right(ground, _):
    copies = list((ground.folder / "backup").glob("*.db"))
    assert len(copies) == 1, copies
    assert "no findings" in ground.run(f"scumble doctor --db {copies[0]}")


def demo_is_there(ground, _):
    for page in ("/c/demo", "/client.js", "/admin", "/metrics"):
        assert ground.get(f"http://127.0.0.1:8080{page}"), page


AFTER = [
    ("*", r"scumble token ", enters),
    ("docs/tutorial.md", r"kill -9", is_killed),
    ("docs/OPERATIONS.md", r"scumble backup", copy_is_right),
    ("*", r"cargo run (--release )?-- serve\b", demo_is_there),
]

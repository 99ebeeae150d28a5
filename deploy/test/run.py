"""The whole compose stack, from a clean clone, through what may happen to it: `make deploy-test`.

    python deploy/test/run.py FOLDER [STEP]...    # all steps, or some, on what FOLDER has of a run before

Wants Docker's command line with compose, and an engine: engine.sh starts Podman where there is none.
PREVIOUS: the commit whose images are rolled over from (default: the last tag; without one, the commit before
the newest migration). BUILD: what builds images instead of `docker build`. PHOTOS: how many are sent while
containers are killed. Exits with 1 where a step failed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = "cutline.test"
SERVICES = ("web1", "web2", "worker", "beat", "redis", "postgres", "seaweedfs", "nginx")
PHOTOS = int(os.environ.get("PHOTOS", "200"))
NEW, OLD = "new", "previous"
MAKE_KEY = """
from cutline.server.account import keys
from cutline.server.people.keys import EVERYBODYS
from cutline.server.people.models import Owner, User
user = User.objects.create_superuser("load@cutline.test", None)
print("key:" + keys.create(Owner.objects.create(user=user), name="load", scopes=EVERYBODYS)[1])
"""


class Failed(Exception):
    """A step failed: what a program said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A clone of this repository, and the stack that runs from it."""

    folder: Path

    @property
    def clone(self) -> Path:
        """The clone."""
        return self.folder / "clone"

    @property
    def compose_folder(self) -> Path:
        """Where compose.yaml is."""
        return self.clone / "deploy" / "compose"

    def run(
        self,
        *command: str | Path,
        cwd: Path | None = None,
        may_fail: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """What a program prints. Raises Failed where it fails."""
        done = subprocess.run(
            command,
            cwd=cwd or self.clone,
            env={**os.environ, "COMPOSE_FILE": "compose.yaml:../test/stack.yaml", **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with (self.folder / "log").open("a", encoding="utf-8") as log:
            log.write(f"\n$ {' '.join(map(str, command))[:500]}\n{done.stdout}")
        if done.returncode and not may_fail:
            raise Failed(
                f"{' '.join(map(str, command))[:200]} exited with {done.returncode}:\n{done.stdout[-4000:]}"
            )
        return done.stdout

    def compose(self, *words: str, may_fail: bool = False, variables: Mapping[str, str] | None = None) -> str:
        """What `docker compose` prints."""
        command = ("docker", "compose", *words)
        return self.run(*command, cwd=self.compose_folder, may_fail=may_fail, variables=variables)

    def command(self, service: str, *words: str, options: Sequence[str] = ()) -> str:
        """What a command of the stack prints. Raises Failed where it fails."""
        return self.began(service, *words, options=options).result()

    def load(self, *words: str) -> str:
        """What deploy/test/load.py prints."""
        return self.command("load", *words)

    def python(self, program: str, *words: str) -> str:
        """What a program prints that runs in the stack's network."""
        return self.command("load", "-c", program, *words, options=("--entrypoint", "python"))

    @property
    def key(self) -> str:
        """The key of the account that sends photos."""
        return (self.folder / "key").read_text(encoding="utf-8")

    def began(
        self,
        service: str,
        *words: str,
        options: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Load:
        """Start a command of the stack. `run` alone would not tell with Podman whether it failed."""
        name = f"test-{service}"
        self.run("docker", "rm", "--force", name, may_fail=True)
        run = ("run", "--detach", "--no-deps", "--name", name, *options, service, *words)
        self.compose(*run, variables={"LOAD_KEY": self.key, **(variables or {})})
        return Load(stack=self, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A container that uses the service."""

    stack: Stack
    name: str

    def runs(self) -> bool:
        """Whether it is not done yet."""
        told = self.stack.run("docker", "inspect", "--format", "{{.State.Running}}", self.name)
        return told.strip() == "true"

    def stop(self) -> str:
        """Have it finish; gives what it printed. Raises Failed where it found something wrong."""
        self.stack.run("docker", "stop", "--time", "90", self.name)
        return self.result()

    def result(self) -> str:
        """What it printed, once it is done. Raises Failed where it found something wrong."""
        while self.runs():
            time.sleep(2)
        told = self.stack.run("docker", "logs", self.name).strip()
        code = self.stack.run("docker", "inspect", "--format", "{{.State.ExitCode}}", self.name).strip()
        self.stack.run("docker", "rm", self.name)
        if code != "0":
            raise Failed(told)
        return told


# -- what is tested ----------------------------------------------------------------------------------------


def clone(stack: Stack) -> str:
    """A clean clone, and one of the commit before."""
    stack.folder.mkdir(parents=True, exist_ok=True)
    for name in ("clone", "before"):
        stack.run("rm", "-rf", stack.folder / name, cwd=ROOT)
        stack.run("git", "clone", "--quiet", ROOT, stack.folder / name, cwd=ROOT)
    before = stack.folder / "before"
    commit = os.environ.get("PREVIOUS") or previous(stack)
    stack.run("git", "checkout", "--quiet", commit, cwd=before)
    # Its images are made as today's are.
    stack.run("rm", "-rf", "deploy/docker", ".dockerignore", cwd=before)
    stack.run("mkdir", "-p", "deploy", cwd=before)
    stack.run("cp", "-r", stack.clone / "deploy/docker", "deploy/docker", cwd=before)
    stack.run("cp", stack.clone / ".dockerignore", stack.clone / "Makefile", ".", cwd=before)
    return f"{revision(stack, stack.clone)}; previous: {revision(stack, before)}"


def previous(stack: Stack) -> str:
    """The commit that is rolled over from."""
    tag = stack.run("git", "describe", "--tags", "--abbrev=0", may_fail=True).strip()
    if " " not in tag:
        return tag
    newest = stack.run("git", "log", "-1", "--format=%h", "--", "src/cutline/server/*/migrations/0*.py")
    return f"{newest.strip()}^"


def revision(stack: Stack, folder: Path) -> str:
    """What a clone is at."""
    return stack.run("git", "log", "-1", "--format=%h %s", cwd=folder).strip()


def images(stack: Stack) -> str:
    """`make image` of both, and what must hold of images."""
    stack.run("make", "--no-print-directory", "image", f"TAG={OLD}", cwd=stack.folder / "before")
    return stack.run("make", "--no-print-directory", "image", f"TAG={NEW}").strip()


def more_images(stack: Stack) -> str:
    """The Dockerfile's other images: what learns, with torch, and the function."""
    words = ("make", "--no-print-directory", "image", f"TAG={NEW}", "IMAGES=learn serverless")
    return stack.run(*words).strip()


def image_tar(stack: Stack) -> str:
    """`make image-tar`: images that are taken from it are those that it was made of."""
    said = stack.run("make", "--no-print-directory", "image-tar", f"TAG={NEW}")
    ids = image_ids(stack)  # it builds them, which gives them the time
    stack.run("docker", "rmi", "--force", *ids)
    stack.run("docker", "load", "--input", f"build/cutline-images-{NEW}.tar")
    if image_ids(stack) != ids:
        raise Failed("other images came back")
    return said.strip().splitlines()[-1]


def image_ids(stack: Stack) -> list[str]:
    """The new images."""
    names = [f"cutline-{name}:{NEW}" for name in ("web", "worker", "tools")]
    return stack.run("docker", "image", "inspect", "--format", "{{.Id}}", *names).split()


def start(stack: Stack) -> str:
    """The previous release, on a machine that has nothing."""
    stack.compose("down", "--volumes", "--remove-orphans", may_fail=True, variables={"STACK_HOST": HOST})
    (stack.compose_folder / "settings.env").unlink(missing_ok=True)  # of a run before
    stack.run(stack.compose_folder / "secrets.sh", HOST)
    environment = stack.compose_folder / ".env"
    text = environment.read_text(encoding="utf-8").replace("STACK_VERSION=latest", f"STACK_VERSION={OLD}")
    environment.write_text(text, encoding="utf-8")
    began = time.monotonic()
    stack.compose("up", "--detach", "--wait")
    told = stack.compose("exec", "-T", "beat", "cutline", "manage", "shell", "--command", MAKE_KEY)
    (stack.folder / "key").write_text(told.split("key:")[1].split()[0], encoding="utf-8")
    return f"up after {time.monotonic() - began:.0f} s"


def roll_over(stack: Stack) -> str:
    """To the new images, back, and there again, while requests come: none fails."""
    load = stack.began("load", "requests")
    time.sleep(10)
    for version in (NEW, OLD, NEW):
        stack.run("deploy/roll", version)
        time.sleep(5)
    return load.stop()


def check(stack: Stack) -> str:
    """deploy/check: restarts each container in turn."""
    return stack.run("deploy/check").splitlines()[-1]


def kill(stack: Stack) -> str:
    """Each container is killed and started again while photos come: none is lost, none is there twice."""
    load = stack.began("load", "photos", str(PHOTOS))
    killed = 0
    while load.runs() and killed < 2 * len(SERVICES):
        service = SERVICES[killed % len(SERVICES)]
        name = stack.compose("ps", "--format", "{{.Name}}", service).split()[0]
        stack.run("docker", "kill", "--signal", "KILL", name)
        time.sleep(1)
        stack.run("docker", "start", name)
        killed += 1
        time.sleep(4)
    return f"{load.result()}\n{killed} times killed"


def tls(stack: Stack) -> str:
    """TLS 1.2 and newer, with a certificate of this host; plain HTTP is sent there."""
    return stack.python(TLS, HOST)


TLS = """
import ssl, socket, sys, httpx
host = sys.argv[1]
trusting = ssl.create_default_context(cafile="/tls/ca-bundle.pem")
def version(context):
    with socket.create_connection((host, 443)) as raw, context.wrap_socket(raw, server_hostname=host) as tls:
        return tls.version()
assert version(trusting) == "TLSv1.3"
old = ssl.create_default_context(cafile="/tls/ca-bundle.pem")
old.set_ciphers("ALL:@SECLEVEL=0")
old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
try:
    raise SystemExit("spoke " + version(old))
except ssl.SSLError:
    pass
answer = httpx.get(f"http://{host}/about?x=1", timeout=60)
assert (answer.status_code, answer.headers["location"]) == (301, f"https://{host}/about?x=1"), answer
assert httpx.get(f"http://{host}/.well-known/acme-challenge/x", timeout=60).status_code == 404
answer = httpx.get(f"https://{host}/", verify=trusting, timeout=60)
assert answer.status_code == 200 and "max-age" in answer.headers["strict-transport-security"]
assert httpx.get(f"https://{host}/metrics", verify=trusting, timeout=60).status_code == 404
print("TLS 1.3, HSTS, redirects")
"""


def secrets(stack: Stack) -> str:
    """No secret is in what `docker inspect` shows."""
    names = stack.compose("ps", "--all", "--format", "{{.Name}}").split()
    told = stack.run("docker", "inspect", *names)
    found = []
    for path in (each for each in (stack.compose_folder / "secrets").rglob("*") if each.is_file()):
        text = path.read_text(encoding="utf-8").strip()
        if len(text) > 12 and path.name != "mail_url" and (text in told or json.dumps(text)[1:-1] in told):
            found.append(path.name)
    if found:
        raise Failed(f"shown: {found}")
    return f"none in {len(names)} containers"


def watched(stack: Stack) -> str:
    """Prometheus hears of all processes."""
    end = time.monotonic() + 90
    while True:
        told = stack.python(TARGETS)
        states = told.split()
        if states and set(states) == {"up"}:
            return f"{len(states)} targets are up"
        if time.monotonic() > end:
            raise Failed(f"targets: {told}")
        time.sleep(5)


TARGETS = """
import httpx
found = httpx.get("http://prometheus:9090/api/v1/targets", timeout=60).json()["data"]["activeTargets"]
print(" ".join(each["health"] for each in found))
"""


def restore(stack: Stack) -> str:
    """Back up, lose database, photos and queue, restore: all is as before."""
    [(said, place)] = re.findall(r"(wrote and checked (\S+):.*)", stack.command("backup"))
    stack.compose("down")
    for volume in ("postgres", "media", "redis"):
        stack.run("docker", "volume", "rm", f"cutline_{volume}")
    stack.compose("up", "--detach", "--wait")
    stack.compose("stop", "web1", "web2", "worker", "beat")
    stack.command("backup", "manage", "restore", "--replace", place)
    stack.compose("up", "--detach", "--wait")
    return f"{said}\n{stack.load('verify').strip()}"


def learner(stack: Stack) -> str:
    """As the guide adds it to the stack: it reads what people said here, and says what it learns of that."""
    guide = (stack.clone / "docs" / "guide" / "deploy.md").read_text(encoding="utf-8")
    [added] = re.findall(r"```yaml\n(services:\n  learner:.*?)```", guide, re.DOTALL)
    (stack.compose_folder / "compose.override.yaml").write_text(added, encoding="utf-8")
    settings = "work: /var/lib/cutline/learning\n"
    (stack.compose_folder / "learn.yaml").write_text(settings, encoding="utf-8")
    files = {"COMPOSE_FILE": "compose.yaml:compose.override.yaml"}
    command = ("learn", "run", "--config", "/etc/cutline/learn.yaml")
    said = stack.began("learner", *command, variables=files).result().splitlines()[-1]
    if "captions" not in said:  # there are too few
        raise Failed(said)
    torch = ("--entrypoint", "python", f"cutline-learn:{NEW}", "-c", LEARNS)
    return f"{said}; {stack.run('docker', 'run', '--rm', '--network', 'none', *torch).strip()}"


LEARNS = "import torch, cutline.learning.challenger; print('torch', torch.__version__)"


def function(stack: Stack) -> str:
    """As in the guide: the service lends a photo's job to the function, which is told of it and answers."""
    own = stack.compose_folder / "secrets" / "own" / "callback_secret"
    own.unlink(missing_ok=True)
    secret = ("--entrypoint", "python", f"cutline-serverless:{NEW}", "-c", NEW_SECRET)
    own.write_text(stack.run("docker", "run", "--rm", "--network", "none", *secret), encoding="utf-8")
    own.chmod(0o444)
    (stack.compose_folder / "settings.env").write_text(CALLBACK, encoding="utf-8")
    stack.run("deploy/roll", NEW)
    running = stack.began("function")
    image = stack.python(UPLOAD, f"https://{HOST}").split()[-1]
    find = ("cutline", "manage", "shell", "--command", MASTER_OF.format(image))
    master = stack.compose("exec", "-T", "beat", *find).split("master:")[1].split()[0]
    said = stack.python(TELL, f"https://{HOST}", image, master).strip()
    log = running.stop()
    if "captioned" not in log:
        raise Failed(f"the function captioned nothing:\n{log}")
    return said


NEW_SECRET = "from cutline.signatures import new_secret; print(new_secret())"
CALLBACK = """CUTLINE_CAPTIONS_BY=callback
CUTLINE_CALLBACK_SECRET_FILE=/run/own-secrets/callback_secret
CUTLINE_CALLBACK_WAIT_S=900
"""
UPLOAD = """
import sys
sys.path.insert(0, "/")
import load
with load.client(sys.argv[1]) as api:
    print(load.upload(api, "function", 1_000_000))
"""
MASTER_OF = """
from cutline.server.images.models import Rendition
print("master:" + Rendition.objects.get(image_id="{}", kind="master").file_id)
"""
TELL = """
import sys, time, httpx
sys.path.insert(0, "/")
import load
url, image, master = sys.argv[1:]
event = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/media", "ce-type": "photo"}
told = {"bucket": "media", "name": master}
function = httpx.Client(base_url="http://test-function:8080", timeout=120)
end = time.monotonic() + 120
while time.monotonic() < end:
    try:
        assert function.get("/healthz").status_code == 200
        break
    except httpx.TransportError:
        time.sleep(1)
assert function.post("/", json=told, headers={"ce-id": "1"}).status_code == 400  # no whole event
assert function.post("/", json={**told, "name": "other.jpg"}, headers=event).status_code == 204
with load.client(url) as api:
    before = load.patient(api, "GET", f"/api/v1/images/{image}").json()["caption"]
    answer = function.post("/", json=told, headers=event)
    assert answer.status_code == 204, answer
    after = load.patient(api, "GET", f"/api/v1/images/{image}").json()["caption"]
assert not before and after, (before, after)
print("a photo's caption by the function:", after)
"""


def end(stack: Stack) -> str:
    """Remove containers and volumes."""
    stack.compose("down", "--volumes", "--remove-orphans")
    return "removed"


STEPS: tuple[Callable[[Stack], str], ...] = (
    clone,
    images,
    more_images,
    image_tar,
    start,
    tls,
    secrets,
    watched,
    roll_over,
    check,
    kill,
    restore,
    learner,
    function,
    end,
)


def main(folder: Path, chosen: Sequence[str]) -> int:
    """Take the steps, and say how each went; after one that failed, no other is taken."""
    stack = Stack(folder=folder.resolve())
    for step in STEPS:
        if chosen and step.__name__ not in chosen:
            continue
        began = time.monotonic()
        try:
            said = step(stack)
        except Failed as failure:
            print(f"{step.__name__}: FAILED\n{failure}\nThe log: {stack.folder / 'log'}", flush=True)
            return 1
        print(f"{step.__name__.replace('_', ' '):10} {time.monotonic() - began:5.0f} s  {said}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

"""Check everything in deploy/ as far as that goes without a machine to deploy to: `make deploy-check`.

    python deploy/lint.py [--write]     # --write: render deploy/kustomize/cutline.yaml anew

Prints a line for each check. What needs a program that no package index has (systemd, nginx, logrotate) is
left out where it is not installed, and says so; everything else must be there. Two checks run at a time, none
needs root or a network, and none leaves files in the home folder. The exit code is 1 where one failed.
"""

from __future__ import annotations

import errno
import grp
import json
import os
import platform
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent
BUILD = DEPLOY.parent / "build" / "deploy-tools"  # Helm and kubectl, from deploy/tools
INFRASTRUCTURE = BUILD / "infrastructure" / "bin"  # what wants other versions of what the tests have
KUBERNETES = ("1.33.0", "1.37.0")  # versions that everything must suit, by their own schemas
# Kinds of operators that need not be there: no version of Kubernetes has schemas for them.
OF_OPERATORS = ("ExternalSecret", "ScaledObject", "ServiceMonitor", "PodMonitor", "PrometheusRule")
MOST_EXPOSED = 2.0  # by systemd-analyze security, of 10
INSTANCES = {
    "cutline-web@.service": "8000",
    "cutline-worker@.service": "1",
    "compose-cutline@.service": "backup",
}
AT_A_TIME = 2
FAILED = "FAILED"
# Programs of the operating system: no package index has them.
OF_THE_SYSTEM = ("systemd-analyze", "systemd-sysusers", "systemd-tmpfiles", "nginx", "logrotate", "openssl")


class Failed(Exception):
    """A check failed: what a tool said."""


class Missing(Exception):
    """A program is not there for this machine."""


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path = DEPLOY) -> str:
    """What a program prints. Raises Failed where it fails, Missing where there is none for this machine."""
    name = str(command[0])
    beside = (Path(sys.executable).parent / name, BUILD / name / name, INFRASTRUCTURE / name)
    found = [str(path) for path in beside if path.is_file()]
    program = found[0] if found else shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise Missing(name) if name in OF_THE_SYSTEM else Failed(f"{name} is not installed")
    BUILD.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            [program, *command[1:]],
            env={**os.environ, "HOME": str(BUILD), **(env or {})},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        raise Missing(f"{name} for {platform.system()} on {platform.machine()}") from error
    if done.returncode:
        raise Failed(done.stdout.strip() or f"{name} exited with {done.returncode}")
    return done.stdout


# -- systemd -----------------------------------------------------------------------------------------------


def machine(folder: Path) -> list[str]:
    """A root folder with our units, and programs that are only there; the units' names."""
    units = folder / "etc" / "systemd" / "system"
    shutil.copytree(DEPLOY / "systemd", units)
    for template, instance in INSTANCES.items():
        shutil.copy(units / template, units / template.replace("@", f"@{instance}"))
    for program in ("opt/cutline/bin/cutline", "usr/bin/docker"):
        (folder / program).parent.mkdir(parents=True)
        shutil.copy("/bin/true", folder / program)
    system = Path("/usr/lib/systemd/system")
    shutil.copytree(system, folder / "usr/lib/systemd/system", symlinks=True)
    (folder / "usr/lib/systemd/system/docker.service").write_text("[Service]\nExecStart=/usr/bin/docker\n")
    return sorted(path.name for path in units.iterdir() if path.is_file() and "@." not in path.name)


def systemd_units() -> None:
    """Each unit can be loaded, and may do little."""
    if shutil.which("systemd-analyze") is None:
        raise Missing("systemd-analyze")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        units = [unit for unit in machine(root) if unit.endswith((".service", ".timer", ".target"))]
        said = run("systemd-analyze", "verify", "--man=no", f"--root={root}", *units)
        if ours := [line for line in said.splitlines() if "cutline" in line]:
            raise Failed("\n".join(ours))
        for unit in units:
            if unit.endswith(".service"):
                told = run(
                    "systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager", unit
                )
                exposed = float(re.findall(r"exposure level for \S+: ([\d.]+)", told)[0])
                if exposed > MOST_EXPOSED:
                    raise Failed(f"{unit} is exposed by {exposed}, more than {MOST_EXPOSED}")


def users_and_folders() -> None:
    """systemd makes the user and the folders."""
    with tempfile.TemporaryDirectory() as root:
        Path(root, "etc").mkdir()
        run("systemd-sysusers", f"--root={root}", DEPLOY / "systemd/cutline.sysusers")
        folders = Path(root, "cutline.conf")
        text = (DEPLOY / "systemd/cutline.tmpfiles").read_text(encoding="utf-8")
        mine = f" {os.getuid()} {os.getgid()}"  # root alone can give folders away
        folders.write_text(text if os.getuid() == 0 else re.sub(r" \w+ \w+$", mine, text, flags=re.MULTILINE))
        run("systemd-tmpfiles", f"--root={root}", "--create", folders)
        missing = [
            name
            for name in ("etc/cutline/secrets", "var/backups/cutline", "var/www/certbot")
            if not Path(root, name).is_dir()
        ]
        if missing:
            raise Failed(f"not made: {missing}")


def log_rotation() -> None:
    """logrotate can read its file."""
    rules = (DEPLOY / "logrotate/cutline").read_text(encoding="utf-8")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        mine = f"su {pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"
        file.write(rules.replace("su cutline cutline", mine))  # there is no such user here
        file.flush()
        said = run("logrotate", "--debug", file.name)
    if errors := [line for line in said.splitlines() if line.startswith("error")]:
        raise Failed("\n".join(errors))


# -- nginx -------------------------------------------------------------------------------------------------


def nginx_configuration() -> None:
    """nginx takes the site, with the upstream of each way to run it."""
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        raise Missing("nginx")
    site = (DEPLOY / "nginx/cutline.conf").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subject = ("-subj", "/CN=cutline.example.com", "-days", "1", "-nodes")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", folder / "privkey.pem")
        run("openssl", "req", "-x509", *key, *subject, "-out", folder / "fullchain.pem")
        for upstream in (DEPLOY / "nginx/upstream.conf", DEPLOY / "compose/upstream.conf"):
            inside = upstream.read_text(encoding="utf-8") + here(site.replace("/etc/nginx/tls", name), name)
            whole = folder / "nginx.conf"
            temporary = "".join(
                f"{kind}_temp_path {name}/{kind}; "
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            start = f"pid {name}/pid; events {{}} http {{ access_log off; {temporary}\n"
            whole.write_text(f"{start}{inside}}}\n")
            run("nginx", "-t", "-q", "-c", whole, "-e", "stderr")


def here(site: str, folder: str) -> str:
    """A site at sockets in a folder: its ports may be taken, and belong to root."""
    return re.sub(
        r"listen (\[::\]:)?(\d+)", lambda at: f"listen unix:{folder}/{at[2]}{'-6' * bool(at[1])}", site
    )


# -- containers --------------------------------------------------------------------------------------------


def dockerfile() -> None:
    """hadolint has nothing to say."""
    run("hadolint", "--no-color", DEPLOY / "docker/Dockerfile")


def compose_stack() -> None:
    """docker compose reads the stack, with each store and all commands."""
    with tempfile.TemporaryDirectory() as name:
        stack = Path(name, "compose")
        shutil.copytree(DEPLOY / "compose", stack)
        shutil.copytree(DEPLOY / "nginx", Path(name, "nginx"))
        run(stack / "secrets.sh", "cutline.example.com", cwd=stack)
        for store in ("seaweedfs", "minio"):
            profiles = {"COMPOSE_PROFILES": f"{store},commands"}
            told = json.loads(run("docker-compose", "config", "--format", "json", env=profiles, cwd=stack))
            for service, settings in told["services"].items():
                if not settings.get("read_only") or settings.get("cap_drop") != ["ALL"]:
                    raise Failed(f"{service} may write or has capabilities")
                for file in settings.get("volumes", ()):
                    if file["type"] == "bind" and not Path(file["source"]).exists():
                        raise Failed(f"{service} mounts {file['source']}, which is not there")


def shell_scripts() -> None:
    """The shell can parse each script."""
    scripts = [DEPLOY / name for name in ("check", "deliver", "roll", "systemd/cutline-manage")]
    for script in (*scripts, *plain(DEPLOY.rglob("*.sh"))):
        run("sh", "-n", script)


def yaml_files() -> None:
    """yamllint has nothing to say."""
    files = [path for suffix in ("yml", "yaml") for path in DEPLOY.rglob(f"*.{suffix}")]
    run("yamllint", "--strict", "--config-file", DEPLOY / "yamllint.yaml", *plain(files))


def plain(files: Iterable[Path]) -> list[Path]:
    """Files that are no templates, and our own."""
    made = DEPLOY / "kustomize/cutline.yaml"
    return sorted(
        path for path in files if path != made and not {"templates", "node_modules"} & set(path.parts)
    )


# -- AWS ---------------------------------------------------------------------------------------------------


def aws_stack() -> None:
    """cfn-lint and checkov have nothing to say of the stack; each exception has its reason there."""
    stack = DEPLOY / "aws/cutline.yaml"
    run("cfn-lint", stack)
    quiet = ("--quiet", "--compact", "--skip-download", "--framework", "cloudformation")
    run("checkov", *quiet, "--file", stack)
    if bare := re.findall(r"\{id: CKV\w+\}", stack.read_text(encoding="utf-8")):
        raise Failed(f"exceptions without a reason: {bare}")


# -- machines ----------------------------------------------------------------------------------------------


def ansible_roles() -> None:
    """ansible-lint has nothing to say of roles and playbooks, in its strictest profile."""
    beside = {"PATH": f"{INFRASTRUCTURE}:{os.environ['PATH']}", "ANSIBLE_LOCALHOST_WARNING": "false"}
    strictly = ("--offline", "--profile", "production", "--strict", "--nocolor")
    run("ansible-lint", *strictly, env=beside, cwd=DEPLOY / "ansible")


# -- workflows ---------------------------------------------------------------------------------------------


def workflows() -> None:
    """actionlint and zizmor have nothing to say, and each action is pinned by its hash."""
    folder = DEPLOY.parent / ".github/workflows"
    alone = ("-shellcheck=", "-pyflakes=")  # which are not everywhere
    run("actionlint", *alone, *sorted(folder.glob("*.yml")))
    run("zizmor", "--offline", "--no-progress", folder)
    for path in folder.glob("*.yml"):
        for used in re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8")):
            if not used.startswith("$/") and not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used):
                raise Failed(f"{path.name}: {used} is not pinned by its hash")


# -- Kubernetes --------------------------------------------------------------------------------------------


def rendered(values: Path, *more: str) -> str:
    """The chart with some values."""
    words = ("cutline", DEPLOY / "helm/cutline", "--namespace", "cutline", "--values", values)
    return run("helm", "template", *words, *more)


def kustomize_base() -> str:
    """The chart for those without Helm."""
    return rendered(DEPLOY / "helm/values/default.yaml", "--skip-tests")


def suits_kubernetes(text: str) -> None:
    """Raises Failed where a version of Kubernetes would refuse an object, or ignore a part of it."""
    import kubernetes_validate
    import yaml

    for each in yaml.safe_load_all(text):
        if not each:
            continue
        name = f"{each['kind']} {each['metadata']['name']}"
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(each, version, strict=True)
            except kubernetes_validate.SchemaNotFoundError as error:
                if each["kind"] not in OF_OPERATORS:
                    raise Failed(f"{name}: {error}") from error
            except kubernetes_validate.ValidationError as error:
                raise Failed(f"{name} for {version}: {error.message}") from error


def helm_chart() -> None:
    """Helm lints the chart and renders it with each file of values, for Kubernetes."""
    run("helm", "lint", "--strict", "--quiet", DEPLOY / "helm/cutline")
    for values in sorted((DEPLOY / "helm/values").glob("*.yaml")):
        suits_kubernetes(rendered(values))


def wrong_values() -> None:
    """The schema of values refuses what cannot work."""
    for wrong in (
        "host=UPPER",
        "web.replicas=0",
        "backup.enabled=true",
        "learner.enabled=true",
        "unknown=1",
        "worker.autoscaling.kind=x",
        "worker.autoscaling.minReplicas=0",
    ):
        try:
            rendered(DEPLOY / "helm/values/default.yaml", "--set", wrong)
        except Failed:
            continue
        raise Failed(f"--set {wrong} is not refused")


def kustomization() -> None:
    """What is for kustomize is fresh, and kubectl builds it."""
    if (DEPLOY / "kustomize/cutline.yaml").read_text(encoding="utf-8") != kustomize_base():
        raise Failed("kustomize/cutline.yaml is stale: python deploy/lint.py --write")
    suits_kubernetes(run("kubectl", "kustomize", DEPLOY / "kustomize"))


# -- documentation -----------------------------------------------------------------------------------------


def guide() -> None:
    """The guide names each volume, secret and alert of the stack, and each alarm of AWS."""
    import yaml

    stack = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text(encoding="utf-8"))
    alerts = (DEPLOY / "compose/prometheus/alerts.yml").read_text(encoding="utf-8")
    alarms = (DEPLOY / "aws/cutline.yaml").read_text(encoding="utf-8")
    names = [
        *stack["volumes"],
        *stack["secrets"],
        *re.findall(r"alert: (\w+)", alerts),
        *re.findall(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm$", alarms, flags=re.MULTILINE),
    ]
    page = (DEPLOY.parent / "docs/guide/deploy.md").read_text(encoding="utf-8")
    if missing := [name for name in names if f"`{name}`" not in page]:
        raise Failed(f"not in docs/guide/deploy.md: {missing}")


CHECKS: tuple[Callable[[], None], ...] = (
    systemd_units,
    users_and_folders,
    log_rotation,
    nginx_configuration,
    dockerfile,
    compose_stack,
    aws_stack,
    ansible_roles,
    workflows,
    shell_scripts,
    yaml_files,
    helm_chart,
    wrong_values,
    kustomization,
    guide,
)


def checked(check: Callable[[], None]) -> str:
    """Run a check; gives how it went."""
    began = time.monotonic()
    try:
        check()
        said = "ok"
    except Missing as missing:
        said = f"left out: {missing} is not installed here"
    except Failed as failure:
        said = f"{FAILED}\n{failure}"
    return f"{check.__name__.replace('_', ' '):24} {time.monotonic() - began:5.1f} s  {said}"


def main() -> int:
    """Run all checks. The exit code is 1 where one failed."""
    if sys.argv[1:] == ["--write"]:
        (DEPLOY / "kustomize/cutline.yaml").write_text(kustomize_base(), encoding="utf-8")
        return 0
    good = True
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for line in pool.map(checked, CHECKS):
            print(line, flush=True)
            good = good and FAILED not in line
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

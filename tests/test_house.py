"""The house is in order: what is written for newcomers is true, and what should stay out stays out."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import click
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright
from tiny_bundle import make_bundle

import cutline
import demo
import generate
import refresh
from benchmarks import report, timing
from cutline.captioning.sources import default_bundle
from cutline.cli.main import COMMANDS, EXTRAS, cli
from cutline.errors import BundleMissing, MissingExtra
from screenshots import FLAGS, installed_chromium
from tests.server.services.process import ANSWERS_S

ROOT = Path(__file__).parents[1]
PHOTOS = sorted((ROOT / "examples").glob("*.jpg"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")])
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    lines = "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))


def run_python(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=ANSWERS_S, **options
    )  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def shipped() -> Path:
    try:
        return default_bundle()
    except BundleMissing as error:
        pytest.skip(str(error))


# What newcomers read


def test_ci_does_what_the_readme_tells_a_newcomer_and_nothing_else() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    told = (ROOT / "README.md").read_text("utf-8")
    done = re.findall(r"^make .*$", script, flags=re.MULTILINE)
    assert done == ["make demo", "make test", "make check"]
    assert all(f"`{command}`" in told or f"{command} " in told for command in done)
    others = [
        line for line in script.splitlines() if line and not line.startswith(("#", "make ", "set ", "cd "))
    ]
    assert others == []


def test_make_alone_says_what_there_is() -> None:
    said = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "test-quick", "check", "bench", "train"):
        assert re.search(rf"make {target} +\S", said), target


def test_make_check_looks_at_deploy_too() -> None:
    said = subprocess.run(["make", "-C", ROOT, "-n", "check"], capture_output=True, text=True, check=True)
    assert "deploy/lint.py" in said.stdout


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_command_in_the_documentation_exists(page: Path) -> None:
    for words in commands(page):
        match words:
            case ["make", *named]:
                assert {word for word in named if "=" not in word} <= targets(), words
            case ["cutline", *arguments]:
                assert_command_exists(arguments)
            case ["python", script, *_] if script.endswith(".py"):
                assert (ROOT / script).is_file(), words
            case _:
                known = {
                    "echo",
                    "pip",
                    "python",
                    "torchrun",
                    "find",
                    "curl",
                    "git",
                    "apt-get",
                    "export",
                    "openssl",
                }
                assert words[0] in known, words


def assert_command_exists(arguments: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli, info_name="cutline")
    while isinstance(command, click.Group) and arguments:
        name, *arguments = arguments
        if name.startswith("-"):
            return
        found = command.get_command(context, name)
        assert found is not None, f"cutline has no command {name}"
        command = found
        if name == "manage":
            assert_management_command_exists(arguments)
            return
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    used = {word.partition("=")[0] for word in arguments if re.fullmatch(r"-(-[a-z][^ ]*|[a-zA-Z])", word)}
    assert used <= known | {"--help", "-h"}, f"cutline {command.name}"


def assert_management_command_exists(arguments: list[str]) -> None:
    """Django's own commands have no file here; ours have their options in theirs."""
    for file in ROOT.glob(f"src/cutline/server/*/management/commands/{arguments[0]}.py"):
        source = file.read_text()
        options = [word.partition("=")[0] for word in arguments if re.fullmatch(r"--[a-z].*", word)]
        assert all(f'"{option}"' in source for option in options), arguments


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_within_the_documentation_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs/guide/library.md"], ids=page_name)
def test_the_python_examples_run(
    page: Path, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.open(PHOTOS[0]).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks(page, "python")), {})


def test_every_command_has_help_with_an_example_and_every_option_says_what_it_does() -> None:
    for context in generate.every_command(cli):
        path, command = context.command_path, context.command
        assert isinstance(command, click.Group) or f"  {path}" in context.get_help(), path
        silent = [each.name for each in command.params if isinstance(each, click.Option) and not each.help]
        assert silent == [], path


def test_every_option_of_every_command_stands_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    for context in generate.every_command(cli):
        path = context.command_path
        section = reference.partition(f"## {path}\n")[2].partition("\n## ")[0]
        assert section, path
        options = [option for each in context.command.params for option in each.opts if option[:1] == "-"]
        assert [option for option in options if option not in section] == [], path


def test_every_recipe_says_how_it_is_run_and_names_what_exists() -> None:
    from cutline.training.config import load_recipe, read_recipe
    from cutline.training.writer.config import is_writer_recipe, load_writer_recipe

    for recipe in RECIPES:
        header = re.match(r"(#.*\n)+", recipe.read_text("utf-8"))
        assert header, recipe
        assert f"cutline train recipes/{recipe.name}" in header[0], recipe
        load = load_writer_recipe if is_writer_recipe(read_recipe(recipe)) else load_recipe
        load(recipe)


def test_what_a_program_printed_goes_between_its_comments_and_nowhere_else() -> None:
    text = "a\n<!-- demo: by refresh -->\nold\n<!-- demo: end -->\nb\n"
    assert generate.replaced(text, "demo", r"new \1") == text.replace("old\n", r"new \1")
    with pytest.raises(LookupError):
        generate.replaced(text, "bench", "new")


def test_the_readme_has_a_place_for_everything_that_is_printed() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [readme.count(f"<!-- {name}: ") for name in ("demo", "scores", "bench")] == [2, 2, 2]


def test_speeds_of_a_busy_machine_stay_out_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / "results.md").write_text("<!-- by bench -->\nfast\n")
    seen = [refresh.speeds(tmp_path)]
    for busy in (True, False):
        (tmp_path / "results.json").write_text(json.dumps({"machine": {"busy": busy}}))
        seen.append(refresh.speeds(tmp_path))
    assert seen == ["", "", "fast"]


# What stays out


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_path_of_a_machine_stands_in_any_file() -> None:
    # Split, so that this file does not find itself. Bytes, because exported graphs remember paths too.
    # Looking back after the slash: before it, Python would try at every byte.
    private = re.compile(rb"/(?<!\w/)(?:wo" rb"rk|ro" rb"ot|ho" rb"me/\w+|Us" rb"ers/\w+)/|[.]pye" rb"nv")
    found = {
        str(path.relative_to(ROOT)): hit[0]
        for path in tracked()
        if (hit := private.search(path.read_bytes()))
    }
    assert found == {}


def test_nothing_large_is_tracked_but_the_models_that_ship() -> None:
    """The captioner's bundle, and at most 40 MB of the model that writes captions in a voice."""
    large = [path for path in tracked() if path.stat().st_size > 2_000_000]
    writer = ROOT / "src" / "cutline" / "styles" / "data" / "model"
    assert [path for path in large if "bundles" not in path.parts and path.parent != writer] == []
    assert sum(path.stat().st_size for path in tracked() if path.parent == writer) <= 40_000_000


def test_every_photo_has_its_licence() -> None:
    credits = demo.credits(ROOT / "examples" / "LICENCES.md")
    assert set(credits) >= {photo.name for photo in PHOTOS}
    assert 6 <= len(PHOTOS) <= 10


# What an installation needs


def test_import_cutline_takes_less_than_a_fifth_of_a_second() -> None:
    """Of the processor: how long it waits for one is another matter."""
    code = "import time; start = time.process_time(); import cutline; print(time.process_time() - start)"
    assert min(float(run_python(code).stdout) for _ in range(5)) < 0.2


BARE = """
import sys

ALLOWED = {allowed!r}

class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED and name.partition(".")[0] in {installed!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Bare())
"""


def base_modules() -> set[str]:
    """The modules of the packages that `pip install cutline` brings, and of what those need."""
    wanted, modules = {"cutline"}, packages_distributions()
    queue = ["cutline"]
    while queue:
        try:
            needs = requires(queue.pop()) or []
        except PackageNotFoundError:  # needed on another system only
            continue
        for need in needs:
            name = re.match(r"[A-Za-z0-9._-]+", need)
            if name and "extra ==" not in need and (plain := normal(name[0])) not in wanted:
                wanted.add(plain)
                queue.append(plain)
    return {module for module, names in modules.items() if {normal(name) for name in names} & wanted}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def bare(code: str) -> str:
    """Code that runs as where `pip install cutline` brought nothing but its own dependencies."""
    return BARE.format(allowed=base_modules(), installed=set(packages_distributions())) + code


def test_captioning_images_and_metrics_load_where_only_the_base_is_installed() -> None:
    modules = [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for part in ("captioning", "metrics")
        for path in sorted((ROOT / "src" / "cutline" / part).glob("*.py"))
    ]
    names = ["cutline.images", "cutline.cli.caption", "cutline.cli.bundle", *modules]
    done = run_python(
        bare("".join(f"import {name}\n" for name in names) + "assert 'torch' not in sys.modules")
    )
    assert done.returncode == 0, done.stderr


def test_the_command_captions_where_only_the_base_is_installed(tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "tiny")
    arguments = ["caption", "--model", str(model), str(PHOTOS[0])]
    done = run_python(bare(f"from cutline.cli.main import main\nsys.exit(main({arguments!r}))"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{PHOTOS[0]}\t")


def test_training_where_only_the_base_is_installed_names_the_extra() -> None:
    done = run_python(bare("from cutline.cli.main import main\nsys.exit(main(['train', 'recipe.yaml']))"))
    assert done.returncode == 1, done.stderr
    assert "pip install 'cutline[train]'" in done.stderr


def imported() -> dict[str, set[str]]:
    """{module: files} of what src imports from outside."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(str(path.relative_to(ROOT)))
    return {name: files for name, files in found.items() if name not in {*sys.stdlib_module_names, "cutline"}}


def test_everything_that_is_imported_is_declared() -> None:
    declared = {
        normal(re.split(r"[\[<>=!~; ]", need, maxsplit=1)[0])
        for needs in (PYPROJECT["dependencies"], *PYPROJECT["optional-dependencies"].values())
        for need in needs
    }
    distributions = packages_distributions()
    undeclared = {
        name: files
        for name, files in imported().items()
        if not {normal(each) for each in distributions.get(name, [name])} & declared
    }
    assert undeclared == {}


def test_an_extra_that_an_error_names_exists() -> None:
    assert set(EXTRAS.values()) <= set(PYPROJECT["optional-dependencies"])
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"cutline\[([a-z-]+)\]", sources))
    assert named <= set(PYPROJECT["optional-dependencies"])


def test_torch_is_pinned_alike_wherever_it_is_named() -> None:
    pins = set(re.findall(r"torch==([\d.]+)", (ROOT / "Makefile").read_text("utf-8")))
    pins |= {
        need.partition("==")[2]
        for need in PYPROJECT["optional-dependencies"]["train"]
        if need[:6] == "torch="
    }
    assert len(pins) == 1


def test_the_web_app_is_in_the_wheel_and_in_the_sources_that_one_is_built_from() -> None:
    """It is never committed: only what is named here is packed beside the tracked files."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert "src/cutline/server/webapp/**" in build["artifacts"]
    assert not any("artifacts" in target for target in build["targets"].values()), "it would hide the others"


def test_every_listed_command_is_there() -> None:
    for name in COMMANDS:
        try:
            assert cli.get_command(click.Context(cli), name) is not None
        except MissingExtra as error:
            pytest.fail(f"cutline {name}: {error}")


# The demo


class Images(HTMLParser):
    """The images of a page, and every address it would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.alts: list[str | None] = []
        self.fetched: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img":
            self.alts.append(values.get("alt"))
        if tag in {"img", "script", "link", "iframe", "source"}:
            self.fetched.append(values.get("src") or values.get("href") or "")


def test_the_demo_prints_each_caption_and_writes_a_page_that_needs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = make_bundle(tmp_path / "tiny"), tmp_path / "new" / "index.html"
    assert demo.main([*map(str, PHOTOS), "--model", str(model), "--output", str(output)]) == 0
    said = dict(line.split("\t") for line in capsys.readouterr().out.splitlines() if "\t" in line)
    page = Images(output.read_text("utf-8"))
    assert list(said) == [photo.name for photo in PHOTOS]
    assert page.alts == list(said.values())
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.fetched)


def test_a_caption_cannot_break_out_of_the_demo_page() -> None:
    caption = cutline.Caption(text='<script>"x" & y</script>', log_prob=0.0)
    shown = demo.figure(PHOTOS[0], [caption, caption])
    assert "<script>" not in shown
    assert Images(shown).alts == [caption.text]


@pytest.mark.slow
def test_the_demo_page_shows_every_photo_and_fits_a_phone(tmp_path: Path, subtests: pytest.Subtests) -> None:
    chromium = installed_chromium()
    if chromium is None:
        pytest.skip("chromium is not installed")
    output = tmp_path / "index.html"
    arguments = ["--model", str(make_bundle(tmp_path / "tiny")), "--output", str(output)]
    assert demo.main([*map(str, PHOTOS), *arguments]) == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for scheme in ("light", "dark"):
            tab = browser.new_page(viewport={"width": 360, "height": 640}, color_scheme=scheme)
            tab.goto(output.as_uri())
            widths = tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            seen = tab.evaluate("[...document.images].map(each => each.complete && each.naturalWidth > 0)")
            ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            with subtests.test(scheme):
                assert widths[0] <= widths[1]
                assert seen == [True] * len(PHOTOS)
                assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 3 * 128) == (scheme == "dark")
        browser.close()


# The benchmarks


def results(**changes: float) -> dict[str, object]:
    latency = {"cutline": 0.02, "blip_base": 0.6, "vit_gpt2": 0.4}
    images = {"encoder": 100.0, "bulk": 60.0, "bulk_files": 55.0}
    start = {name: {"wall_s": 1.0, "peak_mb": 200.0} for name in ("interpreter", "transformers_blip_base")}
    ours = {"wall_s": changes.get("wall_s", 1.0), "peak_mb": changes.get("peak_mb", 200.0)}
    found: dict[str, object] = {
        "latency_s": {name: changes.get(name, seconds) for name, seconds in latency.items()},
        "images_per_s": {name: changes.get(name, rate) for name, rate in images.items()},
        "start": start | {"cutline_caption": ours, "import_cutline_s": changes.get("import_cutline_s", 0.01)},
    }
    return found | {"ratios": report.ratios(found)}


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, []),
        ({"blip_base": 0.29}, ["one photo"]),
        ({"bulk": 49.0}, ["many photos"]),
        ({"wall_s": 2.0}, ["`cutline caption PHOTO`"]),
        ({"peak_mb": 500.0}, ["its peak memory"]),
        ({"import_cutline_s": 0.2}, ["`import cutline`"]),
    ],
    ids=str,
)
def test_a_missed_claim_is_seen(changes: dict[str, float], missed: list[str]) -> None:
    seen = [must.what for must in report.musts(results(**changes)) if not must.met]
    assert [what[: len(name)] for what, name in zip(seen, missed, strict=True)] == missed


def test_the_benchmarks_see_how_much_memory_a_command_took() -> None:
    small, large = (
        timing.command([sys.executable, "-c", f"b = bytearray({megabytes} << 20)"]).peak_mb
        for megabytes in (1, 300)
    )
    assert 280 < large - small < 320


def test_a_command_that_fails_is_not_timed() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        timing.command([sys.executable, "-c", "raise SystemExit(3)"])


def test_calls_are_timed_in_turn_after_one_round_to_warm_up() -> None:
    order: list[str] = []
    seconds = timing.in_turn(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2, repeats={"a": 2}
    )
    assert order == ["a", "a", "b"] * 3
    assert set(seconds) == {"a", "b"}

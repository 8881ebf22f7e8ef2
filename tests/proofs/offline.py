"""A whole use of the workbench with no route out, every socket counted: install, sync, train, evaluate, report, serve.

First the controls: a plain attempt to reach another machine must be seen by strace and refused by the kernel, and the
guard must refuse one before it becomes a call. With a route out the run goes on, but proves nothing and exits with 1.
Run by scripts/prove_offline.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.proofs.sockets import Seen, find_routes, raise_loopback, read_log, trace

REPOSITORY = Path(__file__).resolve().parents[2]
ELSEWHERE = "192.0.2.1"  # of TEST-NET-1: nobody's
REACH_OUT = f"import socket; socket.create_connection(('{ELSEWHERE}', 443), timeout=3)"
GUARDED = "import workbench.offline, socket; workbench.offline.guard(); " + REACH_OUT.removeprefix("import socket; ")
TINY = REPOSITORY / "configs" / "tiny.yaml"
MODELS = ("tiny-random-llama", "tiny-random-bert")
HEALTH_SECONDS = 120.0


def say(line: str) -> None:
    """Write one line at once: the stages take long."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Proof:
    """The stages of one run, each below strace; `failures` says what did not hold."""

    def __init__(self, place: Path, options: argparse.Namespace) -> None:
        self.place = place
        self.config: Path = options.config.resolve()
        self.command = [sys.executable, "-m", "workbench"]
        self.cwd = REPOSITORY
        self.environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        self.environment |= {"WORKBENCH_HOME": str(place / "home")} if self.config == TINY else {}
        self.failures: list[str] = []
        self._n = 0

    def stage(self, name: str, *arguments: str | Path) -> None:
        """Run one verb of the workbench."""
        self._judge(name, self._trace([*self.command, *map(str, arguments)]))

    def controls(self) -> None:
        """See that strace sees, that the kernel refuses, and that the guard refuses before the kernel is asked."""
        seen = self._trace([sys.executable, "-c", REACH_OUT])
        caught = any(ELSEWHERE in line for line in seen.left)
        self._say("control: a plain attempt", caught and seen.code != 0, f"seen {len(seen.left)}, exit {seen.code}")
        seen = self._trace([sys.executable, "-c", GUARDED])
        refused = b"OfflineError" in self._output().read_bytes()
        self._say("control: the guard", refused and not seen.left, f"refused: {refused}; {seen.describe()}")

    def install(self, bundle: Path, key: Path | None) -> None:
        """Install from a bundle by what the target would run; the other stages then use what was installed."""
        trust = ["--key", str(key.resolve())] if key else ["--unsigned"]
        source = bundle / "install.pyz" if bundle.is_dir() else bundle.with_name("install.pyz")
        into = self.place / "installed"
        command = ["python3", str(source), "install", str(bundle), "--into", str(into), *trust]
        self._judge("install from the bundle", self._trace(command))
        self.cwd = into / "current"
        self.command = [str(self.cwd / "workbench")]
        self.environment.pop("PYTHONPATH", None)
        self.environment.pop("WORKBENCH_HOME", None)
        self.config = next(iter(sorted((self.cwd / "configs").glob("*.yaml"))), self.config)

    def serve(self) -> None:
        """Start the server, ask for its health, its page and one answer, and end it by SIGTERM."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = self._log()
        verb = [*self.command, "serve", str(self.config), "--out", str(self.place / "run")]
        verb += ["--set", f"serving.port={port}"]
        with self._output().open("ab") as stream:
            process = subprocess.Popen(
                ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=network", "-o", log, *verb],
                env=self.environment, cwd=self.cwd, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            said = self._ask(f"http://127.0.0.1:{port}", process)
        finally:
            _end_child_of(process)
        seen = read_log(log.read_text(errors="replace").splitlines(), code=process.returncode)
        self._judge("serve", seen)
        for what, held in said.items():
            self._say(f"  {what}", held, "")

    def _ask(self, url: str, process: subprocess.Popen[bytes]) -> dict[str, bool]:
        deadline = time.monotonic() + HEALTH_SECONDS
        while True:
            try:
                health = json.loads(_get(f"{url}/health"))
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    return {"health": False}
                time.sleep(0.2)
        page = _get(f"{url}/").decode()
        outside = [part for part in ('src="http', 'href="http', "url(http", 'src="//', "@import") if part in page]
        model = json.loads(_get(f"{url}/v1/models"))["data"][0]["id"]
        asked = {"model": model, "messages": [{"role": "user", "content": "What is it?"}], "max_tokens": 4}
        answer = json.loads(_get(f"{url}/v1/chat/completions", json.dumps(asked).encode()))
        return {
            "health": health["status"] == "ok",
            "page without outside addresses": "<html" in page.lower() and not outside,
            "one answer": bool(answer["choices"]),
        }

    def _trace(self, command: list[str]) -> Seen:
        return trace(command, self._log(), environment=self.environment, cwd=self.cwd, output=self._output())

    def _judge(self, name: str, seen: Seen) -> None:
        self._say(name, seen.code == 0 and not seen.left, f"exit {seen.code}; {seen.describe()}")
        for line in seen.left[:5]:
            say(f"    {line}")
        if seen.code:
            say("    " + "\n    ".join(self._output().read_text(errors="replace").splitlines()[-5:]))

    def _say(self, name: str, held: bool, figures: str) -> None:
        say(f"{'holds' if held else 'FAILS'}  {name:28} {figures}")
        if not held:
            self.failures.append(name.strip())

    def _log(self) -> Path:
        self._n += 1
        return self.place / f"strace-{self._n}"

    def _output(self) -> Path:
        return self.place / f"output-{self._n}"


def _get(url: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        content: bytes = answer.read()
    return content


def _end_child_of(tracer: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the program below strace, which ends with it, and wait."""
    children = Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children")
    for child in children.read_text().split() if children.exists() else ():
        os.kill(int(child), signal.SIGTERM)
    try:
        tracer.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(tracer.pid, signal.SIGKILL)
        tracer.wait()


def has_verb(command: list[str], name: str, environment: dict[str, str], cwd: Path) -> bool:
    """Whether the workbench under test has this verb."""
    done = subprocess.run([*command, name, "--help"], env=environment, cwd=cwd, capture_output=True, check=False)
    return done.returncode == 0


def prove(options: argparse.Namespace, place: Path) -> list[str]:
    """Run all stages and return what failed."""
    routes = find_routes()
    say(f"routes out: {', '.join(routes) or 'none'}")
    proof = Proof(place, options)
    proof.controls()
    if options.bundle:
        proof.install(options.bundle.resolve(), options.key)
    elif proof.config == TINY:
        for model in MODELS:
            proof.stage(f"draw {model}", "models", "fetch", model)
    run, corpus = place / "run", REPOSITORY / "data" / "corpus"
    embedder = ["--set", f"models.embedder={MODELS[1]}"] if options.config.resolve() == TINY else []
    proof.stage("sync", "sync", place / "collection", corpus, *embedder)
    for verb in ("train", "evaluate"):
        proof.stage(verb, verb, proof.config, "--out", run)
    proof.stage("report", "report", run)
    if has_verb(proof.command, "serve", proof.environment, proof.cwd):
        proof.serve()
    else:
        say("left out: serve, this version has no such verb")
    return proof.failures + ([f"there was a route out ({', '.join(routes)}), so nothing is proved"] if routes else [])


def isolate(again: list[str], call: Callable[..., None] = os.execvp) -> str:
    """Start this program anew in a network namespace of its own; return only where that cannot be, and why."""
    if shutil.which("unshare") is None:
        return "there is no program `unshare`"
    flags = ["-n"] if os.geteuid() == 0 else ["-rn"]
    tried = subprocess.run(["unshare", *flags, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        return tried.stderr.strip()
    call("unshare", ["unshare", *flags, sys.executable, "-m", "tests.proofs.offline", "--isolated", *again])
    return "it did not start"


def main() -> None:
    """Isolate, run, print a line a stage; exit 1 where one fails or a route out was there."""
    parser = argparse.ArgumentParser(prog="prove_offline", description=__doc__)
    parser.add_argument("--config", type=Path, default=TINY, help="the experiment; default: configs/tiny.yaml")
    parser.add_argument("--bundle", type=Path, help="install this bundle first and use what it brings")
    parser.add_argument("--key", type=Path, help="public key that must have signed the bundle; default: unsigned")
    parser.add_argument("--with-routes", action="store_true", help="stay in this network: shows that the proof fails")
    parser.add_argument("--isolated", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("the proof counts sockets by strace; install it: apt-get install strace")
    if options.isolated:
        raise_loopback()
    elif not options.with_routes:
        why = isolate(sys.argv[1:])
        say(f"no network of its own ({why}): strace and the guard alone, which is weaker")
    with tempfile.TemporaryDirectory(prefix="workbench-offline-") as place:
        failures = prove(options, Path(place))
    say(f"fails: {'; '.join(failures)}" if failures else "holds: no call left this machine, and none could have")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

"""What the benchmarks here share: a description of the machine, the program under test, children that are measured
against everything else that runs, and plain tables."""

import contextlib
import datetime
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A child that takes longer than this hangs.
CHILD_SECONDS_MAXIMUM = 3600
# Share of the machine's processor time taken by others, above which a measurement counts as disturbed.
DISTURBED_SHARE = 0.05
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"   # 0.2 GB instead of the 3 GB that come with GPU libraries
# How long a child may take to leave in order after SIGTERM.
LEAVE_SECONDS = 15


class Failure(Exception):
    """Something the user can read: one sentence."""


def main(function):
    """Runs `function`; a Failure is one line and status 1; SIGTERM and SIGHUP clean up as Ctrl-C does."""
    def stop(number, _):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        sys.exit(function())
    except Failure as failure:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)


def work_folder():
    """A temporary folder, removed at the end of `with`."""
    return tempfile.TemporaryDirectory(prefix="headway-peers-", ignore_cleanup_errors=True)


@contextlib.contextmanager
def raw_file(given):
    """Where the raw figures go: appended to the file named, else a new one in the temporary folder; not left empty."""
    try:
        file = open(given, "a") if given else tempfile.NamedTemporaryFile("w", prefix="headway-peers-", suffix=".jsonl", delete=False)
    except OSError as error:
        raise Failure(f"{given} cannot be written: {error.strerror}") from error
    try:
        with file:
            yield file
    finally:
        if os.path.getsize(file.name) == 0:
            os.unlink(file.name)


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe():
    """What every record says about where and when it was made."""
    processor = platform.processor() or platform.machine()
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        processor = fields.get("model name", processor)
        if {"cpu family", "model"} <= fields.keys():
            processor += f" (family {fields['cpu family']}, model {fields['model']})"
    except OSError:
        pass
    commit, dirty = git("rev-parse", "HEAD"), git("status", "--porcelain", "--", "Sources", "Package.swift")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "machine": processor,
        "cores": cores(), "system": f"{platform.system()} {platform.release()}",
        "commit": commit or "unknown", "sources_changed": bool(dirty),
    }


def git(*arguments):
    try:
        result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
        return result.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def headway(given, folder):
    """The program to measure, built if it is not there: a copy, so that a build meanwhile cannot change it."""
    source = pathlib.Path(given) if given else ROOT / ".build/release/headway"
    if not given and not source.exists():
        print("building headway: swift build -c release", file=sys.stderr)
        try:
            subprocess.run(["swift", "build", "-c", "release", "--product", "headway"], cwd=ROOT, check=True, stdout=sys.stderr)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Failure(f"headway cannot be built: {error}") from error
    copy = pathlib.Path(folder) / "headway"
    try:
        shutil.copy2(source, copy)
    except OSError as error:
        raise Failure(f"{source} cannot be used: {error.strerror}; build with `swift build -c release` or pass --headway") from error
    return str(copy)


class Child:
    """A finished child: its output, how long it took, and what share of all processors others took meanwhile."""

    def __init__(self, command, environment=None, accept=(0,)):
        """Waits for the end. Whatever ends this wait early ends the child and what it started, too."""
        before, start = ProcessorTimes(), time.monotonic()
        process = subprocess.Popen(
            command, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
        try:
            self.output, self.errors = process.communicate(timeout=CHILD_SECONDS_MAXIMUM)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{command[0]} did not end within {CHILD_SECONDS_MAXIMUM} s") from error
        finally:
            end(process)
        self.seconds = time.monotonic() - start
        self.others = ProcessorTimes().others_since(before, self.seconds)
        self.status = process.returncode
        if self.status not in accept:
            raise Failure(f"{pathlib.Path(command[0]).name} ended with status {self.status}: {last_words(self.errors or self.output)}")


def last_words(text):
    """The line of an error message that says what is wrong: the last with `error` in it, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "without a word")


def end(process):
    """Ends a child and its session: first in order, then at once."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


class ProcessorTimes:
    """Seconds all processors were busy so far, and seconds of the children that ended. Linux; elsewhere unknown."""

    def __init__(self):
        usage = os.times()
        self.own = usage.user + usage.system + usage.children_user + usage.children_system
        try:
            first = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
        except OSError:
            self.busy = None
            return
        user, nice, system, _, _, interrupts, soft, steal = (int(value) for value in first[1:9])
        self.busy = (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")

    def others_since(self, before, seconds):
        """The share of all processor time that neither this program nor its children took; None if unknown."""
        if self.busy is None or seconds <= 0:
            return None
        share = (self.busy - before.busy - (self.own - before.own)) / (seconds * (os.cpu_count() or 1))
        return min(1.0, max(0.0, share))


def wait_for_quiet(patience):
    """Returns when others leave the processors alone for a second, or after `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        before, start = ProcessorTimes(), time.monotonic()
        time.sleep(1)
        others = ProcessorTimes().others_since(before, time.monotonic() - start)
        if others is None or others <= DISTURBED_SHARE:
            return


def median(values):
    return statistics.median(values)


def percent(share):
    return "–" if share is None else f"{100 * share:.0f} %"


def table(rows, left=(0,)):
    """Columns as wide as they need to be, those in `left` left-aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    def line(row):
        cells = (cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
        return ("  " + "   ".join(cells)).rstrip()
    return "\n".join(line(row) for row in rows)


def random_text(path, size=400_000):
    """65 characters in random order, each at least once: nothing to learn, so that speed is all that counts."""
    import random
    letters = "\n !$&',-.3:;?" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abcdefghijklmnopqrstuvwxyz"
    pathlib.Path(path).write_text(letters + "".join(random.Random(65).choices(letters, k=size)))


def torch_python(given, folder):
    """The Python of an environment that has PyTorch, made if need be. Raises Failure if it cannot be had."""
    home = pathlib.Path(given).expanduser() if given else pathlib.Path(folder) / "venv"
    python = home / "bin/python"
    if python.exists() and has_torch(python):
        return str(python.absolute())
    print(f"installing PyTorch in {home}", file=sys.stderr)
    if not python.exists():
        attempt([sys.executable, "-m", "venv", str(home)], "no Python environment can be made")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    try:
        attempt(install + ["--index-url", CPU_BUILDS, "torch", "numpy"], "")
    except Failure:
        attempt(install + ["torch", "numpy"], "PyTorch cannot be installed")
    if not has_torch(python):
        raise Failure(f"PyTorch is installed in {home} but cannot be imported")
    return str(python.absolute())


def attempt(command, what):
    try:
        Child(command)
    except (Failure, OSError) as failure:
        raise Failure(f"{what}: {failure}") from failure


def has_torch(python):
    return subprocess.run([str(python), "-c", "import torch"], capture_output=True, check=False).returncode == 0

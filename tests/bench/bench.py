#!/usr/bin/env python3
"""Whole-process benchmarks of the command: each sample is a process as a user pays for it, cases of a table take turns, ratios are the result.

    bench.py TABLE... [--aipack PATH] [--work DIR] [--rounds N] [--size MIB]

Tables: version, warm, platforms, weights, reflink, rebuild, memory, push, nochange, sign, verify; default: all that can run here. README.md tells what they are.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/e2e"))
MODEL = SOURCE / "examples/models/digits.onnx"
MIB = 1 << 20


class Sample:
    def __init__(self, seconds, usage):
        self.seconds = seconds
        self.cpu = usage.ru_utime + usage.ru_stime
        self.memory = usage.ru_maxrss * 1024


def measure(command, environment=None):
    """Runs a command to its end. Its output goes to a pipe that nobody blocks on: a failure shows it."""
    words = [str(word) for word in command]
    read_end, write_end = os.pipe()
    null = os.open(os.devnull, os.O_WRONLY)
    began = time.perf_counter()
    child = os.posix_spawnp(words[0], words, {**os.environ, **(environment or {})},
                            file_actions=[(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, write_end, 2), (os.POSIX_SPAWN_CLOSE, read_end)])
    os.close(write_end)
    os.close(null)
    complaint = b""
    while chunk := os.read(read_end, 65536):
        complaint = (complaint + chunk)[-4000:]
    os.close(read_end)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    if status != 0:
        raise SystemExit(f"bench: failed: {' '.join(words)}\n{complaint.decode(errors='replace')}")
    return Sample(seconds, usage)


class Case:
    """`run` is a command, or a function that gives a Sample; `prepare` is not timed."""

    def __init__(self, name, run, prepare=None, goal=None, environment=None):
        self.name, self.run, self.prepare, self.goal, self.environment = name, run, prepare, goal, environment
        self.samples = []

    def once(self):
        if self.prepare:
            self.prepare()
        return self.run() if callable(self.run) else measure(self.run, self.environment)


def table(title, cases, rounds):
    """Interleaved, after one round that is not counted; medians, and ratios to the first case."""
    for round_number in range(rounds + 1):
        for case in cases:
            sample = case.once()
            if round_number > 0:
                case.samples.append(sample)
    print(f"\n{title}, {rounds} rounds")
    print(f"{'case':46} {'median':>9} {'best':>9} {'worst':>9} {'ratio':>7} {'CPU':>8} {'memory':>8}  goal")
    first = statistics.median(sample.seconds for sample in cases[0].samples)
    for case in cases:
        times = [sample.seconds for sample in case.samples]
        median = statistics.median(times)
        cpu = statistics.median(sample.cpu for sample in case.samples)
        memory = max(sample.memory for sample in case.samples)
        print(f"{case.name:46} {1000 * median:7.1f}ms {1000 * min(times):7.1f}ms {1000 * max(times):7.1f}ms {median / first:7.3f} {1000 * cpu:6.0f}ms"
              f" {memory / MIB:4.0f}MiB  {case.goal or ''}", flush=True)


def cpu_of(process):
    """Seconds of a running process: utime and stime of proc_pid_stat(5)."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def with_server(run, server):
    """Client and server share the cores: who makes the server work more has to pay for it."""
    def once():
        before = cpu_of(server)
        sample = run()
        sample.cpu += cpu_of(server) - before
        return sample
    return once


def weights_file(path, size, seed=1):
    """Bytes that do not compress, the same for the same seed."""
    if path.exists() and path.stat().st_size == size:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        for block in range(size // MIB):
            file.write(hashlib.shake_128(f"{seed}:{block}".encode()).digest(MIB))
    return path


def external_model(directory, size):
    """An ONNX model whose one tensor lies in an external file of `size` bytes."""
    from onnx import TensorProto, helper, save
    weights_file(directory / "weights.bin", size)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[size // 4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "big", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [size // 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [size // 4])], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, directory / "big.onnx")
    return directory / "big.onnx"


class Bench:
    def __init__(self, options):
        self.aipack = str(pathlib.Path(options.aipack).resolve())
        self.work = pathlib.Path(options.work).resolve()
        self.rounds = options.rounds
        self.size = options.size * MIB
        self.cache = self.work / "cache"
        self.environment = {"AIPACK_CACHE_DIR": str(self.cache)}
        self.work.mkdir(parents=True, exist_ok=True)

    def command(self, *words):
        return [self.aipack, *map(str, words), "-q"]

    def case(self, name, *words, **options):
        return Case(name, self.command(*words), environment=self.environment, **options)

    def remove(self, *paths):
        def act():
            for path in paths:
                shutil.rmtree(path, ignore_errors=True)
        return act

    def build(self, model, target, *flags):
        return ("build", model, "-t", "bench:1", "-o", f"oci:{target}", *flags)

    def warm_cache(self):
        measure(self.command(*self.build(MODEL, self.work / "warm-up", "--platform", "all")), self.environment)

    def forget_answers(self):
        """As if a minute had passed since the mirrors were asked (the first line of a file in `releases` is its head)."""
        for file in (self.cache / "releases").iterdir():
            head, rest = file.read_bytes().split(b"\n", 1)
            file.write_bytes(json.dumps({**json.loads(head), "asked": 0}).encode() + b"\n" + rest)
        for note in (self.cache / "partial").glob("*.refused"):
            note.unlink()

    def version(self):
        table("Start-up", [Case("aipack version", [self.aipack, "version"], goal="<= 15 ms"), Case("true", ["true"])], 4 * self.rounds)

    def warm(self):
        self.warm_cache()
        target = self.work / "warm.oci"
        table("Rebuild of the example, everything cached", [
            self.case("three platforms, new layout", *self.build(MODEL, target, "--platform", "all"), prepare=self.remove(target), goal="<= 300 ms"),
            self.case("three platforms, the layout is there", *self.build(MODEL, self.work / "warm-up", "--platform", "all")),
            self.case("three platforms, offline", *self.build(MODEL, self.work / "warm-up", "--platform", "all", "--offline")),
            self.case("one platform, new layout", *self.build(MODEL, target, "--platform", "linux/amd64"), prepare=self.remove(target)),
        ], self.rounds)

    def platforms(self):
        self.warm_cache()
        target = self.work / "platforms.oci"
        forget = self.remove(target, self.cache / "compositions", self.cache / "layers")
        remembered = self.remove(target)
        one, all_three = self.build(MODEL, target, "--platform", "linux/amd64"), self.build(MODEL, target, "--platform", "all")
        table("Three platforms against one, packages cached, compositions forgotten", [
            self.case("one platform", *one, prepare=forget),
            self.case("three platforms", *all_three, prepare=forget, goal="<= 1.3"),
        ], max(1, self.rounds // 2))
        self.warm_cache()
        table("Three platforms against one, compositions remembered", [
            self.case("one platform", *one, prepare=remembered),
            self.case("three platforms", *all_three, prepare=remembered, goal="<= 1.3"),
        ], self.rounds)

    def durable_layout(self, title, folder, goal):
        model = external_model(folder / "model", self.size)
        target = folder / "weights.oci"
        self.warm_cache()
        digests = self.cache / "digests"
        forget = lambda: (shutil.rmtree(target, ignore_errors=True), digests.unlink(missing_ok=True))
        cases = [
            Case("openssl dgst -sha256", ["openssl", "dgst", "-sha256", folder / "model/weights.bin"]),
            self.case("aipack build, weights never seen", *self.build(model, target, "--platform", "linux/amd64"), prepare=forget, goal=goal),
        ]
        if shutil.which("oras"):
            place = folder / "oras.oci"
            cases.append(Case("oras push to a layout (not durable)", ["oras", "push", "--oci-layout", f"{place}:1", "--disable-path-validation",
                              str(folder / "model/weights.bin")], prepare=self.remove(place)))
        table(f"{title}: a layout with {self.size // MIB} MiB of weights", cases, self.rounds)
        return target, folder / "model/weights.bin"

    def weights(self):
        self.durable_layout("Durable write", self.work, "<= 1.15")

    def reflink(self):
        """On an XFS of our own, in a file: extents are shared, so that the image costs no space."""
        if os.geteuid() != 0 or not shutil.which("mkfs.xfs"):
            print("\nreflink: skipped, it needs root and mkfs.xfs")
            return
        image, place = self.work / "xfs.img", self.work / "xfs"
        place.mkdir(exist_ok=True)
        with open(image, "wb") as file:
            file.truncate(3 * self.size + 2048 * MIB)
        subprocess.run(["mkfs.xfs", "-q", "-f", image], check=True)
        if subprocess.run(["mount", "-o", "loop", image, place]).returncode != 0:
            print("\nreflink: skipped, loop devices cannot be mounted here")
            return
        try:
            external_model(place / "model", self.size)
            before = shutil.disk_usage(place).used
            target, _ = self.durable_layout("Shared extents (XFS)", place, "<= 1.08")
            os.sync()
            print(f"further disk space: {(shutil.disk_usage(place).used - before) / MIB:.0f} MiB (goal: that of the other layers)")
            del target
        finally:
            subprocess.run(["umount", place], check=False)
            image.unlink()

    def rebuild(self):
        self.warm_cache()
        model = external_model(self.work / "model", self.size)
        target = self.work / "rebuild.oci"
        time.sleep(0.1)  # the digest cache takes a file only when its last change is older than the clock's grain
        measure(self.command(*self.build(model, target, "--platform", "linux/amd64")), self.environment)
        table(f"Rebuild with nothing changed, {self.size // MIB} MiB of weights", [
            self.case("online", *self.build(model, target, "--platform", "linux/amd64"), goal="<= 50 ms"),
            self.case("online, the mirror is asked for InRelease", *self.build(model, target, "--platform", "linux/amd64"), prepare=self.forget_answers),
            self.case("offline", *self.build(model, target, "--platform", "linux/amd64", "--offline"), goal="<= 50 ms"),
        ], self.rounds)

    def memory(self):
        self.warm_cache()
        target = self.work / "memory.oci"
        digests = self.cache / "digests"
        forget = lambda: (shutil.rmtree(target, ignore_errors=True), digests.unlink(missing_ok=True))
        cases = []
        for size in (64 * MIB, self.size):
            model = external_model(self.work / f"memory-{size // MIB}", size)
            cases.append(self.case(f"build, {size // MIB} MiB of weights", *self.build(model, target, "--platform", "linux/amd64"), prepare=forget,
                                   goal="memory: the same for both"))
        table("Peak memory", cases, max(1, self.rounds // 2))

    # Registries: a sink that keeps sizes only, so that the client is what is measured.

    @contextlib.contextmanager
    def sink(self, storage="--sink"):
        server = pathlib.Path(self.aipack).with_name("test_registry")
        if not server.exists():
            raise SystemExit(f"bench: {server} is not built (AIPACK_BUILD_TESTS)")
        process = subprocess.Popen([server, "--port", "0", storage, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield process.stdout.readline().strip().removeprefix("http://").rstrip("/"), process.pid
        finally:
            process.stdin.close()
            process.wait(20)

    def push(self):
        """16 shards, digests unknown at the start, against tools that send ready tars."""
        shards, each = 16, self.size // 16
        folder = self.work / "shards"
        for number in range(shards):
            weights_file(folder / f"model-{number:02}.safetensors", each, seed=100 + number)
        tars = self.work / "tars"
        tars.mkdir(exist_ok=True)
        digests = []
        for number in range(shards):
            tar = tars / f"{number:02}.tar"
            if not tar.exists() or not each < tar.stat().st_size < each + 2 * MIB:  # of a run with another --size
                subprocess.run(["tar", "-cf", tar, "-C", folder, f"model-{number:02}.safetensors"], check=True)
            digests.append("sha256:" + hashlib.file_digest(open(tar, "rb"), "sha256").hexdigest())
        base = self.work / "base.oci"
        self.warm_cache()
        if not base.exists():
            measure(self.command(*self.build(MODEL, base, "--platform", "linux/amd64")), self.environment)
        counter = iter(range(10**6))
        forget = lambda: ((self.cache / "digests").unlink(missing_ok=True), shutil.rmtree(self.cache / "registry", ignore_errors=True))
        with self.sink() as (address, server):
            def curl(beside=""):
                repository = f"curl{next(counter)}"
                script = self.work / "curl.sh"
                lines = ["set -e", beside]
                for lane in range(6):
                    jobs = "; ".join(
                        f"l=$(curl -sf -X POST -H 'Content-Length: 0' -D - -o /dev/null http://{address}/v2/{repository}/blobs/uploads/ | tr -d '\\r' |"
                        f" sed -n 's/^[Ll]ocation: //p'); case $l in /*) l=http://{address}$l;; esac; case $l in *\\?*) s='&';; *) s='?';; esac;"
                        f" curl -sf -X PUT -H 'Expect:' -H 'Content-Type: application/octet-stream' -T {tars}/{number:02}.tar"
                        f" \"$l${{s}}digest={digests[number]}\" -o /dev/null" for number in range(lane, shards, 6))
                    lines.append(f"({jobs}) &")
                lines.append("wait")
                script.write_text("\n".join(lines))
                return measure(["sh", script])

            def curl_and_openssl():
                """The same bytes sent and hashed at once: what is to be done, by the programs that do it."""
                return curl(f"printf '%s\\n' {tars}/*.tar | xargs -P6 -n1 openssl dgst -sha256 >/dev/null &")

            def aipack():
                forget()
                target = f"{address}/aipack{next(counter)}:1"
                return measure(self.command("build", folder, "--base", f"oci:{base}", "-t", target, "--push", "--platform", "linux/amd64"), self.environment)

            cases = [Case("curl, ready tars of known digest, 6 lanes", curl),
                     Case("curl and openssl dgst at once, 6 lanes each", curl_and_openssl),
                     Case("aipack build --push, digests unknown", aipack, goal="<= 1.05")]
            if shutil.which("crane"):
                def crane():
                    appended = [word for number in range(shards) for word in ("-f", f"{tars}/{number:02}.tar")]
                    return measure(["crane", "append", "--insecure", "-t", f"{address}/crane{next(counter)}:1", *appended])
                cases.append(Case("crane append, ready tars", crane, goal="aipack: half of it"))
            if shutil.which("oras"):
                def oras():
                    files = [f"model-{number:02}.safetensors" for number in range(shards)]
                    return measure(["sh", "-c", f"cd {folder} && exec oras push --plain-http --concurrency 6 {address}/oras{next(counter)}:1 {' '.join(files)}"])
                cases.append(Case("oras push, raw files", oras, goal="aipack: two thirds of it"))
            for case in cases:
                case.run = with_server(case.run, server)
            table(f"Push of {shards} x {each // MIB} MiB, CPU time with the server's", cases, self.rounds)

    def nochange(self):
        self.warm_cache()
        with self.sink() as (address, _):
            words = ("build", MODEL, "-t", f"{address}/digits:1", "--platform", "all", "--push")
            measure(self.command(*words), self.environment)
            report = json.loads(subprocess.run([self.aipack, *map(str, words), "--json"], env={**os.environ, **self.environment}, check=True,
                                               capture_output=True).stdout)
            table("Push of the example, nothing changed", [
                self.case("aipack build --push", *words, goal="<= 60 ms"),
                self.case("the same, the mirrors are asked for InRelease", *words, prepare=self.forget_answers),
                self.case("aipack build --push --offline", *words, "--offline", goal="<= 60 ms"),
            ], self.rounds)
            print(f"requests: {report['requests']} (goal: <= 3)")

    def keys(self, count):
        """Private keys without a password, so that scrypt's time is not in the figures: it is meant to be slow."""
        directory = self.work / "keys"
        directory.mkdir(exist_ok=True)
        for number in range(count):
            if not (directory / f"{number}.key").exists():
                subprocess.run([self.aipack, "keygen", "--format", "pkcs8", "-o", directory / str(number)], check=True, capture_output=True)
        return directory

    def sign(self):
        self.warm_cache()
        signing = ("--sign", "--key", self.keys(1) / "0.key")
        target = self.work / "signed.oci"
        table("The example for three platforms into a new layout", [
            self.case("aipack build", *self.build(MODEL, target, "--platform", "all"), prepare=self.remove(target)),
            self.case("aipack build --sign", *self.build(MODEL, target, "--platform", "all", *signing), prepare=self.remove(target),
                      goal="100 ms more"),
            self.case("aipack build --sign, signed before", *self.build(MODEL, target, "--platform", "all", *signing)),
        ], self.rounds)
        model = self.work / "sign-model"
        model.mkdir(exist_ok=True)
        big = external_model(model, self.size)
        fresh = [self.remove(target), lambda: os.utime(model / "weights.bin")]  # another mtime: its digests are not remembered

        def prepare():
            for act in fresh:
                act()

        table(f"A model of {self.size // MIB} MiB into a new layout, digests unknown", [
            self.case("aipack build", *self.build(big, target), prepare=prepare),
            self.case("aipack build --sign", *self.build(big, target, *signing), prepare=prepare, goal="<= 1.02"),
        ], self.rounds)

    def verify(self):
        self.warm_cache()
        keys = self.keys(5)
        with self.sink("--memory") as (address, _):
            reference = f"{address}/digits:1"
            measure(self.command("build", MODEL, "-t", reference, "--push"), self.environment)
            for number in range(5):  # a bundle and two payloads at the tag each
                measure(self.command("sign", reference, "--root-only", "--key", keys / f"{number}.key"), self.environment)
            table("Verification of an image with 15 candidates", [
                self.case("aipack verify", "verify", reference, "--key", keys / "0.pub", goal="<= 50 ms for ten"),
                self.case("aipack version", "version"),
            ], self.rounds)


def main():
    tables = ["version", "warm", "platforms", "weights", "reflink", "rebuild", "memory", "push", "nochange", "sign", "verify"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", choices=[*tables, []])
    parser.add_argument("--aipack", default=SOURCE / "build/release/bin/aipack")
    parser.add_argument("--work", default=SOURCE / "build/bench", help="where models, caches and layouts go")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=2048, help="MiB of weights")
    options = parser.parse_args()
    bench = Bench(options)
    for name in options.tables or tables:
        getattr(bench, name)()


if __name__ == "__main__":
    main()

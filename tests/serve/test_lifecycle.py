"""Limits at work, stopping as a container does it, and what the process may and may not touch."""

import concurrent.futures
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import models
import support
from support import Server, in_background, root, shared_models

LONG = 10**12  # rounds of the slow model that no test waits for


def slow_request(rounds):
    return {"inputs": [{"name": "rounds", "datatype": "INT64", "shape": [], "data": [rounds]}]}


def rounds_for(server, seconds):
    """How many rounds of the slow model take about so long on this machine."""
    rounds = 64
    while True:
        start = time.monotonic()
        assert server.infer("slow", slow_request(rounds)).status == 200
        took = time.monotonic() - start
        if took > 0.05:
            return int(rounds * seconds / took)
        rounds *= 4


class Alone(unittest.TestCase):
    def setUp(self):
        root()

    def start(self, *arguments, **more):
        server = Server(shared_models(), *arguments, **more)
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)


class Limits(Alone):
    def test_concurrency(self):
        server = self.start("--max-concurrency", "2", "--grace", "0")
        calls = [in_background(server.infer, "slow", slow_request(LONG)) for _ in range(2)]
        self.until(lambda: server.metric("aipack_serve_inference_requests_in_flight") == 2)
        reply = server.infer("arithmetic", {"inputs": []})
        self.assertEqual((reply.status, reply.headers["Retry-After"]), (503, "1"))
        self.assertIn("2 requests", reply.error)
        # What is not inference is still answered.
        self.assertEqual(server.get("/v2/health/ready").status, 200)
        server.terminate()
        self.assertEqual(server.wait(), 0)
        for call in calls:
            call.join()

    def test_many_clients(self):
        server = self.start("--max-concurrency", "64")
        x = {"name": "x", "datatype": "FP32", "shape": [3], "data": [1, 2, 3]}

        def client(number):
            with contextlib.closing(server.connect()) as connection:
                for _ in range(20):
                    connection.request("POST", "/v2/models/identity_fp32/infer", json.dumps({"id": str(number), "inputs": [x]}))
                    document = json.loads(connection.getresponse().read())
                    if document["id"] != str(number) or document["outputs"][0]["data"] != [1, 2, 3]:
                        return document
            return None

        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            self.assertEqual(list(pool.map(client, range(48))), [None] * 48)

    def test_connections(self):
        """With every thread taken by an idle client, new clients wait, and get their turn when an idle one is let go."""
        server = self.start("--max-connections", "2", "--keep-alive", "2")
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
        try:
            reply = server.get("/v2/health/live")
            self.assertEqual(reply.status, 200)
        finally:
            for connection in idle:
                connection.close()

    def test_more_connections_than_wait(self):
        server = self.start("--max-connections", "1", "--keep-alive", "5")
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1 + 128 + 20)]
        try:
            def closed(connection):
                connection.setblocking(False)
                try:
                    return connection.recv(1) == b""
                except ConnectionResetError:
                    return True
                except BlockingIOError:
                    return False

            self.until(lambda: sum(map(closed, idle)) >= 20)
        finally:
            for connection in idle:
                connection.close()

        def rejected():
            try:
                return server.metric("aipack_serve_connections_rejected_total")
            except OSError:  # ours was one too many, still
                return 0

        self.until(lambda: rejected() >= 20)

    def test_idle_connections_are_closed(self):
        server = self.start("--keep-alive", "1")
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while part := connection.recv(4096):
                received += part
            self.assertIn(b"Keep-Alive: timeout=1", received)


class Stopping(Alone):
    def test_request_in_flight_is_finished(self):
        for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")):
            with self.subTest(name):
                server = self.start()
                call = in_background(server.infer, "slow", slow_request(rounds_for(server, 1.5)))
                self.until(lambda: server.metric("aipack_serve_inference_requests_in_flight") == 1)
                idle = server.connect()
                idle.request("GET", "/v2/health/live")
                idle.getresponse().read()
                server.terminate(number)
                reply = call.join()
                self.assertEqual((reply.status, reply.json["outputs"][0]["data"]), (200, [1]))
                self.assertEqual(reply.headers["Connection"], "close")
                self.assertEqual(server.wait(), 0)
                messages = [entry["message"] for entry in server.log()]
                self.assertEqual(messages[-1], "stopped")
                stopping, = (entry for entry in server.log() if entry["message"] == "stopping")
                self.assertEqual((stopping["signal"], stopping["in_flight"]), (name, 1))
                with self.assertRaises(OSError):
                    socket.create_connection(("127.0.0.1", server.port), timeout=5)
                idle.close()

    def test_not_ready_while_stopping(self):
        server = self.start("--grace", "20")
        with contextlib.closing(server.connect()) as connection:
            connection.connect()
            connection.sock.sendall(b"GET /v2/health/ready HTTP/1.1\r\n")  # in flight, its header unfinished
            self.until(lambda: server.metric("process_cpu_seconds_total") > 0)
            server.terminate()
            server.wait_for("stopping")
            connection.sock.sendall(b"Host: x\r\n\r\n")
            received = b""
            while part := connection.sock.recv(4096):
                received += part
        self.assertTrue(received.startswith(b"HTTP/1.1 503 "), received)
        self.assertIn(b"stopping", received)
        self.assertEqual(server.wait(), 0)

    def test_grace_ends(self):
        server = self.start("--grace", "1")
        call = in_background(server.infer, "slow", slow_request(LONG))
        self.until(lambda: server.metric("aipack_serve_inference_requests_in_flight") == 1)
        server.terminate()
        reply = call.join()
        self.assertEqual(reply.status, 503)
        self.assertIn("stopping", reply.error)
        self.assertEqual(server.wait(), 0)

    def test_second_signal_ends_the_grace(self):
        server = self.start("--grace", "3600")
        call = in_background(server.infer, "slow", slow_request(LONG))
        self.until(lambda: server.metric("aipack_serve_inference_requests_in_flight") == 1)
        server.terminate()
        server.wait_for("stopping")
        server.terminate()
        self.assertEqual(call.join().status, 503)
        self.assertEqual(server.wait(), 0)

    def test_client_that_goes_away(self):
        server = self.start()
        for _ in range(20):  # writes into a closed connection must not kill the process
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.assertEqual(server.get("/v2/health/ready").status, 200)

    def test_as_process_one(self):
        """In a PID namespace of its own, where the kernel ignores signals without a handler."""
        unshare = ["unshare", "--fork", "--pid", "--kill-child"]
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no permission to make a PID namespace")
        with tempfile.TemporaryFile(mode="w+") as log:
            process = subprocess.Popen(
                [*unshare, *support.command(["--models", shared_models(), "--host", "127.0.0.1", "--port", "0"])], stderr=log)
            try:
                def text():
                    with open(f"/proc/self/fd/{log.fileno()}", encoding="utf-8") as again:
                        return again.read()

                self.until(lambda: '"ready"' in text() or process.poll() is not None)
                with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="utf-8") as children:
                    child = int(children.read().split()[0])
                os.kill(child, signal.SIGTERM)
                self.assertEqual(process.wait(30), 0)
                self.assertIn('"stopped"', text())
            finally:
                process.kill()
                process.wait()


class Confined(Alone):
    """As the image runs it: another user, no capabilities, a root that cannot be written, no /dev, no /proc."""

    def test_writes_nothing_and_needs_no_privilege(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        reach = ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "test", "-r", root()]
        if subprocess.run(reach, check=False).returncode != 0:
            self.skipTest("another user cannot reach the build tree: a folder above it is private")
        libc = ctypes.CDLL(None, use_errno=True)

        def confine():
            os.setgroups([])
            os.setgid(65532)
            os.setuid(65532)  # also drops every capability
            libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS

        os.chmod(shared_models(), 0o755)
        trace = shutil.which("strace")
        if trace is None:
            server = self.start(preexec=confine)
            self.assertEqual(server.infer("scalar", scalar_request()).status, 200)
            return
        with tempfile.NamedTemporaryFile() as calls:
            line = support.command(["--models", shared_models(), "--check"])
            subprocess.run([trace, "-f", "-o", calls.name, "-e", "trace=openat,open,creat,mkdir,mkdirat,unlink,unlinkat,rename", *line],
                           check=True, capture_output=True, env={"PATH": os.environ["PATH"]})
            with open(calls.name, encoding="utf-8") as lines:
                written = [line for line in lines if any(word in line for word in
                                                         ("O_WRONLY", "O_RDWR", "O_CREAT", "mkdir", "unlink", "rename("))]
        self.assertEqual(written, [])
        server = self.start(preexec=confine)
        self.assertEqual(server.infer("scalar", scalar_request()).status, 200)

    def test_inside_a_bare_root(self):
        """Enters the unpacked root itself, which has no /proc, /dev or /sys, and loads the library from its own folders."""
        if os.geteuid() != 0:
            self.skipTest("only root can enter another root")
        loader = support.loader(root(), support.NATIVE)
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            models.scalar(folder)
            work = os.path.join(folder, "root")
            for part in ("usr", "models"):
                os.makedirs(os.path.join(work, part))
            shutil.copy(support.program(), work)
            shutil.copy(os.path.join(folder, "scalar.onnx"), os.path.join(work, "models"))
            inner = "/" + str(loader.relative_to(root()))
            library = "/" + str(support.library_folder(root(), support.NATIVE).relative_to(root()))
            # The loader is named because a root that was only unpacked has no /lib64.
            script = (f"mount --bind {root()}/usr {work}/usr && mount --bind {work} {work} && mount --bind {root()}/usr {work}/usr && "
                      f"mount -o remount,bind,ro {work} && exec chroot --userspec=65532:65532 {work} {inner} "
                      f"--library-path {library} /aipack-serve --check")
            done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
            if "unshare failed" in done.stderr or "permission denied" in done.stderr.lower():
                self.skipTest("no permission to make a mount namespace")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(json.loads(done.stdout)["models"][0]["name"], "scalar")


def scalar_request():
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [], "data": [3]}]}


if __name__ == "__main__":
    unittest.main()

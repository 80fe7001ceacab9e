"""Servers and hosts in network namespaces of their own, for tools/remote/test. Linux, as root."""

import json
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SERVERS = "10.77.0.1"


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


class Network:
    """A namespace of servers, one for each host, and a bridge between them; gone at the end."""

    def __init__(self, hosts=("host",)):
        name = f"pfx{os.getpid()}"
        self.servers = f"{name}-servers"
        self.hosts = {host: f"{name}-{host}" for host in hosts}
        for space in (self.servers, *self.hosts.values()):
            run("ip", "netns", "add", space)
            self.inside(space, "ip", "link", "set", "lo", "up")
        self.inside(self.servers, "ip", "link", "add", "bridge", "type", "bridge")
        self.inside(self.servers, "ip", "addr", "add", f"{SERVERS}/24", "dev", "bridge")
        self.mend()
        for number, space in enumerate(self.hosts.values()):
            cable = f"cable{number}"
            run("ip", "link", "add", cable, "netns", self.servers, "type", "veth", "peer", "name", "cable", "netns", space)
            self.inside(self.servers, "ip", "link", "set", cable, "master", "bridge", "up")
            self.inside(space, "ip", "addr", "add", f"10.77.0.{2 + number}/24", "dev", "cable")
            self.inside(space, "ip", "link", "set", "cable", "up")

    @staticmethod
    def inside(space, *command):
        return run("ip", "netns", "exec", space, *command)

    def on(self, host):
        """What a command begins with that runs on a host."""
        return ["ip", "netns", "exec", self.hosts[host]]

    def cut(self):
        self.inside(self.servers, "ip", "link", "set", "bridge", "down")

    def mend(self):
        self.inside(self.servers, "ip", "link", "set", "bridge", "up")

    def close(self):
        for space in (self.servers, *self.hosts.values()):
            subprocess.run(["ip", "netns", "del", space], check=False)


class Cluster:
    """Six servers: three primaries, each with a replica."""

    def __init__(self, network, folder):
        self.network, self.folder = network, folder
        self.ports = list(range(7000, 7006))
        self.processes = {}
        self.url = "redis+cluster://" + ",".join(f"{SERVERS}:{port}" for port in self.ports[:5:2])
        for port in self.ports:
            self.start(port)
        self.wait(lambda: all(self.ask(port, "ping") == "PONG" for port in self.ports))
        network.inside(network.servers, "redis-cli", "--cluster", "create", *[f"{SERVERS}:{port}" for port in self.ports],
                       "--cluster-replicas", "1", "--cluster-yes")
        self.wait(self.is_well)

    def start(self, port):
        place = Path(self.folder) / str(port)
        place.mkdir(exist_ok=True)
        self.processes[port] = subprocess.Popen(
            ["ip", "netns", "exec", self.network.servers, "redis-server", "--port", str(port), "--bind", SERVERS,
             "--protected-mode", "no", "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
             "--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0", "--save", "", "--dir", str(place),
             "--logfile", "log"])

    def ask(self, port, *command):
        done = subprocess.run(
            ["ip", "netns", "exec", self.network.servers, "redis-cli", "-h", SERVERS, "-p", str(port), *command],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=20, check=False)
        return done.stdout.strip()

    def is_well(self):
        return all("cluster_state:ok" in self.ask(port, "cluster", "info") for port in self.ports)

    @staticmethod
    def wait(is_ready, seconds=60):
        end = time.monotonic() + seconds
        while not is_ready():
            if time.monotonic() > end:
                raise TimeoutError("the cluster did not become ready")
            time.sleep(0.1)

    def primaries(self):
        lines = self.ask(self.ports[0], "cluster", "nodes").splitlines()
        return [int(line.split()[1].split("@")[0].rsplit(":", 1)[1]) for line in lines
                if "master" in line.split()[2] and "fail" not in line.split()[2] and len(line.split()) > 8]

    def slots(self):
        """The name of the server that owns each slot."""
        owners = {}
        for line in self.ask(self.ports[0], "cluster", "nodes").splitlines():
            words = line.split()
            for field in words[8:] if "master" in words[2] else []:
                if not field.startswith("["):
                    first, _, last = field.partition("-")
                    owners.update({slot: words[0] for slot in range(int(first), int(last or first) + 1)})
        return owners

    def send(self, number, ports):
        for port in ports:
            self.processes[port].send_signal(number)

    def kill(self, port):
        self.processes[port].kill()
        self.processes[port].wait()

    def move_slots(self, count):
        first, second = self.primaries()[:2]
        names = [self.ask(port, "cluster", "myid") for port in (first, second)]
        self.network.inside(self.network.servers, "redis-cli", "--cluster", "reshard", f"{SERVERS}:{first}", "--cluster-from",
                            names[0], "--cluster-to", names[1], "--cluster-slots", str(count), "--cluster-yes")

    def set(self, name, value):
        for port in self.ports:
            self.ask(port, "config", "set", name, value)

    def close(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


class Alone:
    """One Redis with TLS, and a user of its access lists who has the rights of docs/fleet.md and no more."""

    PORT = 6390
    RIGHTS = ["~pfx:*", "resetchannels", "-@all", "+@connection", "+get", "+set", "+exists", "+readonly", "+cluster|slots"]

    def __init__(self, network, folder):
        self.folder = Path(folder)
        self.certificates()
        password = secrets.token_hex(16)
        (self.folder / "password").write_text(password)
        os.chmod(self.folder / "password", 0o600)
        (self.folder / "users.acl").write_text(
            f"user default off\nuser store on >{password} {' '.join(self.RIGHTS)}\n")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", network.servers, "redis-server", "--port", "0", "--tls-port", str(self.PORT), "--bind",
             SERVERS, "--tls-cert-file", f"{folder}/server.crt", "--tls-key-file", f"{folder}/server.key",
             "--tls-ca-cert-file", f"{folder}/ca.crt", "--tls-auth-clients", "no", "--aclfile", f"{folder}/users.acl",
             "--save", "", "--dir", str(folder), "--logfile", f"{folder}/alone.log"])
        self.url = f"rediss://store@{SERVERS}:{self.PORT}?ca={folder}/ca.crt&password_file={folder}/password"

    def certificates(self):
        """An authority, and the certificate of the server's address."""
        def openssl(*arguments):
            run("openssl", *arguments, cwd=self.folder, stderr=subprocess.DEVNULL)
        key = ["-newkey", "rsa:2048", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=authority")
        openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=cache")
        (self.folder / "names").write_text(f"subjectAltName=IP:{SERVERS}\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", "server.crt")

    def close(self):
        self.process.kill()
        self.process.wait()


class Objects:
    """An S3 server that checks signatures: moto, or Ceph's radosgw."""

    def __init__(self, network, folder, is_radosgw=False):
        run(ROOT / "tools/engines/install-moto")
        self.folder = Path(folder)
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", network.servers, ROOT / ".build-engines/moto/venv/bin/python",
             ROOT / "tools/remote/s3_server", folder, "--address", SERVERS, *(["--radosgw"] if is_radosgw else [])],
            stdout=subprocess.DEVNULL, stderr=open(f"{folder}/s3.log", "w"))
        end = time.monotonic() + 180
        while not (self.folder / "server.json").exists():
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise TimeoutError("the S3 server did not start: " + (self.folder / "s3.log").read_text()[-500:])
            time.sleep(0.1)
        port = json.loads((self.folder / "server.json").read_text())["port"]
        self.url = f"s3://pages/fleet?endpoint=http://{SERVERS}:{port}&credentials_file={folder}/store"

    def close(self):
        self.process.kill()
        self.process.wait()

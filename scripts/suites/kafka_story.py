"""One Kafka broker over one server: its steps, as lines `test kafka::STEP ... ok` or `FAILED`.

Usage: kafka_story.py JARS FOLDER COMMAND...

JARS is a folder with Kafka's jars. COMMAND, with a zoo.cfg behind it, starts the server.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

SESSION_S = 6
START_S = 90
JAVA = ["java", "-Xmx400m", "-XX:TieredStopAtLevel=1"]
FIRST = [f"m{number}" for number in range(100)]


class Story:
    """The server, the broker, and what is known of them."""

    def __init__(self, jars, folder, command):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self.command, self.running = folder, command, {}
        self.classpath = f"{jars}/*"
        # Both have to keep their ports over restarts.
        self.ports = {name: free_port() for name in ("server", "broker")}
        (folder / "zoo.cfg").write_text(
            f"dataDir={folder}/data\nclientPort={self.ports['server']}\ntickTime=2000\n"
            "maxClientCnxns=0\nadmin.enableServer=false\n"
        )
        (folder / "broker.properties").write_text(
            f"broker.id=1\nlisteners=PLAINTEXT://127.0.0.1:{self.ports['broker']}\n"
            f"log.dirs={folder}/logs\nzookeeper.connect=127.0.0.1:{self.ports['server']}/kafka\n"
            f"zookeeper.session.timeout.ms={SESSION_S * 1000}\n"
            "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=3\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "group.initial.rebalance.delay.ms=0\n"
        )

    def start(self, name):
        command = [*self.command, str(self.folder / "zoo.cfg")]
        if name == "broker":
            file = str(self.folder / "broker.properties")
            command = [*JAVA, "-cp", self.classpath, "kafka.Kafka", file]
        with open(self.folder / f"{name}.log", "a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.running[name] = process
        deadline = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.ports[name]), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the {name} does not serve: see {self.folder}/{name}.log")

    def stop(self, name, number=signal.SIGTERM):
        process = self.running.pop(name)
        process.send_signal(number)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def tool(self, name, *words, text=None):
        """Runs one of Kafka's tools: what it printed."""
        command = [*JAVA, "-cp", self.classpath, name]
        command += ["--bootstrap-server", f"127.0.0.1:{self.ports['broker']}", *words]
        result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            raise RuntimeError((result.stdout + result.stderr).strip().replace("\n", " ")[-300:])
        return result.stdout.split()

    def topics(self, *words):
        return self.tool("org.apache.kafka.tools.TopicCommand", *words)

    def create(self, topic):
        self.topics("--create", "--topic", topic, "--partitions", "2", "--replication-factor", "1")

    def produce(self, topic, messages):
        self.tool("kafka.tools.ConsoleProducer", "--topic", topic, text="\n".join(messages) + "\n")

    def expect(self, topic, messages, group):
        name = "org.apache.kafka.tools.consumer.ConsoleConsumer"
        words = ["--topic", topic, "--from-beginning", "--group", group, "--timeout-ms", "60000"]
        found = self.tool(name, *words, "--max-messages", str(len(messages)))
        assert sorted(found) == sorted(messages), f"{len(found)} of {len(messages)} messages"

    # The steps, in order.

    def a_broker_starts(self):
        self.start("server")
        self.start("broker")

    def messages_are_kept(self):
        self.create("one")
        self.produce("one", FIRST)
        self.expect("one", FIRST, "first")

    def a_broker_restarts(self):
        self.stop("broker")
        self.start("broker")
        self.expect("one", FIRST, "second")

    def the_server_is_killed_and_comes_back(self):
        self.stop("server", signal.SIGKILL)
        self.start("server")
        self.create("two")
        self.produce("two", ["a", "b", "c"])
        self.expect("two", ["a", "b", "c"], "first")

    def a_killed_broker_comes_back_after_its_session(self):
        self.stop("broker", signal.SIGKILL)
        # A broker refuses to start while the ephemeral znode of its former life is there.
        time.sleep(2 * SESSION_S)
        self.start("broker")
        self.expect("two", ["a", "b", "c"], "second")

    def the_server_is_away_for_longer_than_a_session(self):
        self.stop("server")
        time.sleep(1.5 * SESSION_S)
        self.start("server")
        self.create("three")

    def configurations_change_and_topics_go(self):
        words = ["--entity-type", "topics", "--entity-name", "three"]
        words += ["--alter", "--add-config", "retention.ms=1000000"]
        self.tool("kafka.admin.ConfigCommand", *words)
        self.topics("--delete", "--topic", "one")
        found = self.topics("--list")
        assert {"two", "three"} <= set(found) and "one" not in found, found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


STEPS = [
    Story.a_broker_starts,
    Story.messages_are_kept,
    Story.a_broker_restarts,
    Story.the_server_is_killed_and_comes_back,
    Story.a_killed_broker_comes_back_after_its_session,
    Story.the_server_is_away_for_longer_than_a_session,
    Story.configurations_change_and_topics_go,
]


def main(jars, folder, *command):
    story = Story(jars, Path(folder), command)
    why = ""
    try:
        for step in STEPS:
            begin = time.monotonic()
            try:
                if not why:
                    step(story)
            except (AssertionError, RuntimeError, subprocess.TimeoutExpired) as error:
                why = f": {error}"
            took_ms = round((time.monotonic() - begin) * 1000)
            outcome = f"FAILED ({took_ms} ms){why}" if why else f"ok ({took_ms} ms)"
            print(f"test kafka::{step.__name__} ... {outcome}", flush=True)
            # The steps that follow stand on this one.
            why = why and ": an earlier step failed"
    finally:
        for name in list(story.running):
            story.stop(name)
    return bool(why)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The work queue as the public Python client of Queen MQ sees it. Run by tests/interop/run."""

import asyncio
import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from queen import Queen

PATIENCE = 30


class Relay:
    """Two processes over one file, or one Redis; the client may ask either."""

    def __init__(self, over_redis=False):
        self.over_redis = over_redis

    def store(self):
        """The flags that name it."""
        if not self.over_redis:
            return ["--db", f"{self.folder.name}/relay.db"]
        return ["--redis", f"redis+unix://{self.folder.name}/redis.sock"]

    def start_redis(self):
        socket = f"{self.folder.name}/redis.sock"
        command = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", self.folder.name]
        self.processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        for line in self.processes[0].stdout:
            if "eady to accept connections" in line:
                return
        raise AssertionError("Redis does not start")

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.processes = []
        self.urls = []
        if self.over_redis:
            self.start_redis()
        for _ in range(2):
            command = [os.environ["SCUMBLE"], "serve", "--listen=127.0.0.1:0", *self.store()]
            process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={})
            self.processes.append(process)
            for line in process.stderr:
                if ready := re.search(r"ready on (http://\S+)", line):
                    self.urls.append(ready[1])
                    break
            else:
                raise AssertionError("the relay does not start")
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stderr.close()
            if process.stdout:
                process.stdout.close()
        self.folder.cleanup()


class QueenClient(unittest.IsolatedAsyncioTestCase):
    over_redis = False

    @classmethod
    def setUpClass(cls):
        cls.relay = cls.enterClassContext(Relay(cls.over_redis))

    async def asyncSetUp(self):
        # The client talks on standard output.
        self.quiet = contextlib.redirect_stdout(io.StringIO())
        self.quiet.__enter__()
        self.queen = Queen(self.relay.urls)
        self.name = self._testMethodName

    async def asyncTearDown(self):
        await self.queen.close()
        self.quiet.__exit__(None, None, None)

    def queue(self):
        return self.queen.queue(self.name)

    async def push(self, *payloads, partition="Default"):
        return await self.queue().partition(partition).push([{"data": {"n": n}} for n in payloads])

    async def consume(self, builder, handler):
        await asyncio.wait_for(builder.consume(handler), PATIENCE)

    async def test_queues_are_made_configured_and_deleted(self):
        made = await self.queue().namespace("n").task("t").config({"lease_time": 60, "retry_limit": 1}).create()
        self.assertTrue(made["configured"])
        self.assertEqual(made["options"]["leaseTime"], 60)
        await self.queue().create()
        await self.queue().delete()
        with self.assertRaises(Exception):
            await self.queue().config({"encryption_enabled": True}).create()

    async def test_pushes_tell_what_is_queued_duplicate_or_failed(self):
        told = {}

        async def note(kind, items):
            told[kind] = len(items)

        for _ in range(2):
            push = self.queue().push([{"data": 1, "transactionId": "one"}, {"data": 2, "transactionId": "two"}])
            push.on_success(lambda items: note("queued", items))
            await push.on_duplicate(lambda items, error: note("duplicate", items))
        self.assertEqual(told, {"queued": 2, "duplicate": 2})
        with self.assertRaises(Exception):
            await self.queen.queue("x" * 200).push([{"data": 1}])

    async def test_buffered_pushes_arrive(self):
        for n in range(25):
            await self.queue().buffer({"message_count": 10, "time_millis": 50}).push([{"data": {"n": n}}])
        await self.queen.flush_all_buffers()
        got = await self.queue().batch(100).wait(False).pop()
        self.assertEqual([m["data"]["n"] for m in got], list(range(25)))

    async def test_pop_acks_one_and_many(self):
        await self.push(*range(5))
        one = await self.queue().batch(1).wait(False).pop()
        self.assertTrue((await self.queen.ack(one[0], True))["success"])
        many = await self.queue().batch(10).wait(False).pop()
        acked = await self.queen.ack(many, True)
        self.assertEqual([item["success"] for item in acked["results"]], [True] * 4)
        late = await self.queen.ack(many[0], True)
        self.assertFalse(late["success"])
        self.assertEqual(await self.queue().batch(1).wait(False).pop(), [])

    async def test_a_long_poll_gets_what_another_process_takes(self):
        async def later():
            await asyncio.sleep(0.3)
            async with Queen(self.relay.urls[1]) as other:
                await other.queue(self.name).push([{"data": "hello"}])

        async with Queen(self.relay.urls[0]) as waiting:
            pop = waiting.queue(self.name).batch(1).wait(True).timeout_millis(20_000).pop()
            got, _ = await asyncio.wait_for(asyncio.gather(pop, later()), PATIENCE)
        self.assertEqual(got[0]["data"], "hello")

    async def test_several_partitions_in_one_pop_share_a_lease(self):
        for partition in "abc":
            await self.push(partition, partition=partition)
        got = await self.queue().batch(10).partitions(3).wait(False).pop()
        self.assertEqual(len(got), 3)
        self.assertEqual(len({m["leaseId"] for m in got}), 1)
        renewed = await self.queen.renew(got)
        self.assertTrue(renewed[0]["success"] and renewed[0]["newExpiresAt"])
        one = await self.queue().partition("a").batch(1).wait(False).pop()
        self.assertEqual(one, [])

    async def test_a_namespace_is_popped_as_one(self):
        await self.queue().namespace("ns-pop").task("task-a").create()
        await self.push("a")
        got = await self.queen.queue().namespace("ns-pop").batch(5).wait(False).pop()
        self.assertEqual([m["data"]["n"] for m in got], ["a"])

    async def test_consumers_run_side_by_side_and_ack_by_themselves(self):
        for partition in range(4):
            await self.push(*range(10), partition=f"p{partition}")
        seen = []

        async def handler(message):
            seen.append((message["partition"], message["data"]["n"]))

        async def all_of_them():
            # Each worker stops when it is idle, and counts a slow ack as idle too.
            while len(seen) < 40:
                await self.queue().concurrency(4).batch(1).idle_millis(500).timeout_millis(300).consume(handler)

        await asyncio.wait_for(all_of_them(), PATIENCE)
        self.assertEqual(len(seen), 40)
        for partition in range(4):
            self.assertEqual([n for p, n in seen if p == f"p{partition}"], list(range(10)))

    async def test_batches_and_each_with_lease_renewal(self):
        await self.queue().config({"lease_time": 3}).create()
        await self.push(*range(6))
        batches = []

        async def handler(messages):
            await asyncio.sleep(4)
            batches.append(len(messages))

        await self.consume(self.queue().batch(6).limit(6).renew_lease(True, 300).timeout_millis(1_000), handler)
        self.assertEqual(batches, [6])
        await self.push(*range(6, 9))
        seen = []

        async def one(message):
            seen.append(message["data"]["n"])

        # The first six were acked: they don't come again.
        await self.consume(self.queue().batch(3).each().limit(3).timeout_millis(1_000), one)
        self.assertEqual(seen, [6, 7, 8])

    async def test_a_handler_that_raises_sends_its_message_to_the_dead_letter_queue_at_last(self):
        await self.queue().config({"retry_limit": 1, "retry_delay": 50}).create()
        await self.push("poison")
        attempts = []

        async def handler(message):
            attempts.append(message["retryCount"])
            raise RuntimeError("no")

        await self.consume(self.queue().batch(1).limit(2).timeout_millis(300), handler)
        self.assertEqual(attempts, [0, 1])
        self.assertEqual(await self.queue().batch(1).wait(False).pop(), [])
        dead = await self.queue().dlq().limit(10).get()
        self.assertEqual(dead["total"], 1)
        self.assertEqual(dead["messages"][0]["data"], {"n": "poison"})

    async def test_transactions_ack_and_push_together(self):
        await self.push("a")
        got = await self.queue().batch(1).wait(False).pop()
        transaction = self.queen.transaction().ack(got[0])
        result = await transaction.queue(f"{self.name}-next").push([{"data": {"n": "b"}}]).commit()
        self.assertTrue(result["success"])
        again = self.queen.transaction().ack(got[0])
        with self.assertRaises(Exception):
            await again.queue(f"{self.name}-next").push([{"data": {"n": "c"}}]).commit()
        rest = await self.queen.queue(f"{self.name}-next").batch(5).wait(False).pop()
        self.assertEqual([m["data"]["n"] for m in rest], ["b"])

    async def test_groups_see_all_begin_where_they_say_and_seek(self):
        await self.push("old")
        seen = []

        async def handler(message):
            seen.append(message["data"]["n"])

        new = self.queue().group("new").subscription_mode("new").batch(1)
        await self.consume(new.idle_millis(300).timeout_millis(200), handler)
        await self.push("fresh")
        await self.consume(self.queue().group("new").batch(1).limit(1).timeout_millis(2_000), handler)
        self.assertEqual(seen, ["fresh"])
        # What every group that there was has completed is gone.
        await self.consume(self.queue().group("all").batch(1).limit(1).timeout_millis(2_000), handler)
        self.assertEqual(seen, ["fresh", "old"])
        groups = await self.queen.admin.list_consumer_groups()
        self.assertIn("all", [g["name"] for g in groups if g["queueName"] == self.name])
        await self.queen.admin.seek_consumer_group("all", self.name, {"toEnd": True})
        await self.queen.update_consumer_group_timestamp("all", "2020-01-01T00:00:00Z")
        await self.queen.delete_consumer_group("all")

    async def test_the_admin_calls_answer(self):
        await self.queue().namespace("ns-admin").create()
        await self.push(1, 2, 3)
        admin = self.queen.admin
        self.assertGreaterEqual((await admin.get_overview())["queues"], 1)
        self.assertIn(self.name, [q["name"] for q in (await admin.list_queues())["queues"]])
        found = await admin.list_queues(search=self.name, limit=1, offset=0)
        self.assertEqual([q["name"] for q in found["queues"]], [self.name])
        self.assertEqual((await admin.get_queue(self.name))["depth"], 3)
        self.assertEqual((await admin.get_queue_detail(self.name))["pending"], 3)
        self.assertTrue((await admin.get_namespaces())["namespaces"])
        await admin.get_tasks()
        await admin.get_status()
        await admin.get_queue_stats(limit=5)
        await admin.get_analytics(interval="hour")
        await admin.get_partitions(queue=self.name)
        await admin.refresh_consumer_stats()
        await admin.get_lagging_consumers(1)
        messages = (await admin.list_messages(queue=self.name, limit=10))["messages"]
        self.assertEqual(len(messages), 3)
        first = messages[0]
        found = await admin.get_message(first["partitionId"], first["transactionId"])
        self.assertEqual(found["payload"], {"n": 1})
        await self.queue().batch(1).wait(False).pop()
        await admin.retry_message(first["partitionId"], first["transactionId"])
        # Version 2 of the client has neither this call nor clear_queue.
        try:
            await admin.move_message_to_dlq(first["partitionId"], first["transactionId"])
        except (AttributeError, NotImplementedError):
            [popped] = await self.queue().batch(1).wait(False).pop()
            self.assertTrue((await self.queen.ack(popped, "dlq"))["success"])
        await admin.delete_message(messages[1]["partitionId"], messages[1]["transactionId"])
        self.assertEqual((await admin.get_queue(self.name))["depth"], 1)
        with contextlib.suppress(AttributeError, NotImplementedError):
            await admin.clear_queue(self.name)
            self.assertEqual((await admin.get_queue(self.name))["depth"], 0)
        await self.queue().delete()
        self.assertNotIn(self.name, [q["name"] for q in (await admin.list_queues())["queues"]])

    async def test_the_example_in_the_documents_does_its_work(self):
        documents = pathlib.Path(__file__).resolve().parents[2] / "docs/JOBS.md"
        [example] = re.findall(r"^```python\n(.*?)^```", documents.read_text(), re.MULTILINE | re.DOTALL)
        example = example.replace("http://127.0.0.1:8080", self.relay.urls[0])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-u", "-c", example, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
        try:
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
            self.assertEqual(line.decode().strip(), "{'canvas': 'board-7'}")
        finally:
            process.kill()
            await process.wait()

    async def test_traces_of_a_message_are_kept(self):
        await self.push("a")

        async def handler(message):
            self.assertTrue((await message["trace"]({"data": {"step": 1}, "traceName": "order-1"}))["success"])

        await self.consume(self.queue().batch(1).limit(1).timeout_millis(2_000), handler)
        named = await self.queen.admin.get_traces_by_name("order-1")
        self.assertEqual(named["traces"][0]["data"], {"step": 1})
        late = await self.queen.admin.get_traces_by_name("order-1", **{"from": "2020-01-01", "to": "2020-01-02"})
        self.assertEqual(late["traces"], [])
        names = await self.queen.admin.get_trace_names(search="order", limit=5)
        self.assertEqual([n["trace_name"] for n in names["trace_names"]], ["order-1"])


class QueenClientOverRedis(QueenClient):
    over_redis = True


if __name__ == "__main__":
    unittest.main()

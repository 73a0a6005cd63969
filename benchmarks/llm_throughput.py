"""How much of a server's throughput the client leaves unused: ours against a bare load generator, in one run.

The server is a loopback one of its own process with a number of slots and a service time, as an inference
server has: beyond its slots requests queue. The bare generator keeps as many raw keep-alive connections
busy as our client makes calls at once, and does nothing else: it writes prepared bytes, reads the reply,
writes the next. Ours does all that it does in a run: render, scan, look up, claim, call through ``openai``,
validate, commit, collect.

    python benchmarks/llm_throughput.py --calls 2000 --slots 32 --service-ms 300
    python benchmarks/llm_throughput.py --url http://127.0.0.1:8000/v1 --model NAME --calls 200

Bar: ours reaches at least 95% of the bare generator's calls per second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from tags_assets.llm import Client, ClientSettings, LLMTagger
from tags_assets.llm.answer_cache import Account
from tags_assets.llm.resolver import Item, Resolver
from tags_assets.llm.status import Tally
from tags_assets.llm.tagger import _Questions


def serve(port, slots, service_s, ready):
    """Answer after the service time, at most ``slots`` at once."""
    content = json.dumps({"tags": ["quadratic formula", "completing the square"]})
    message = {"role": "assistant", "content": content}
    body = json.dumps(
        {
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 20},
        }
    ).encode()
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    reply = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    jitter = random.Random(0)  # noqa: S311

    async def main():
        free = asyncio.Semaphore(slots)

        async def handle(reader, writer):
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(length_of(head))
                    async with free:
                        await asyncio.sleep(service_s * jitter.uniform(0.5, 1.5))
                    writer.write(reply)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", port, limit=2**22, backlog=1024)
        ready.set()
        await server.serve_forever()

    asyncio.run(main())


def length_of(head):
    """Read the content-length of a request or reply."""
    found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    if found is None:
        raise SystemExit("the bare generator reads replies with a content-length only")
    return int(found.group(1))


async def bare(url, bodies, connections):
    """Keep the connections busy with prepared requests; gives the seconds it took."""
    place = urlsplit(url)
    waiting = iter(bodies)
    streams = [await asyncio.open_connection(place.hostname, place.port) for _ in range(connections)]

    async def work(reader, writer):
        for body in waiting:
            head = (
                f"POST {place.path}/chat/completions HTTP/1.1\r\nhost: {place.netloc}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(length_of(answer))

    started = time.perf_counter()
    await asyncio.gather(*(work(*stream) for stream in streams))
    seconds = time.perf_counter() - started
    for _, writer in streams:
        writer.close()
    return seconds


def conversations(n):
    """Rows of about 200 tokens, no two alike."""
    words = random.Random(1)  # noqa: S311
    vocabulary = ["solve", "equation", "derive", "table", "query", "verb", "cell", "court", "tax", "supply"]
    return [
        [
            {"role": "user", "content": f"Case {i}: " + " ".join(words.choices(vocabulary, k=60))},
            {"role": "assistant", "content": " ".join(words.choices(vocabulary, k=100))},
        ]
        for i in range(n)
    ]


def prepared(client, rows):
    """Write the very bodies that our client will send."""
    resolver = Resolver(client.settings, client.cache, Account("", ""), Tally(0, None))
    questions = _Questions(LLMTagger(client).task, rows)
    return [json.dumps(resolver.request(Item(0, q, b""), "json_schema").body).encode() for q in questions]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--service-ms", type=float, default=300)
    parser.add_argument("--concurrency", type=int, help="calls at once; 1.5 times the slots where absent")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url")
    parser.add_argument("--model", default="test")
    options = parser.parse_args()
    concurrency = options.concurrency or int(1.5 * options.slots)
    url, server = options.url, None
    if url is None:
        port = random.randint(20000, 40000)  # noqa: S311
        ready = multiprocessing.Event()
        server = multiprocessing.Process(
            target=serve, args=(port, options.slots, options.service_ms / 1000, ready), daemon=True
        )
        server.start()
        ready.wait(30)
        url = f"http://127.0.0.1:{port}/v1"
    rows = conversations(options.calls)
    ids = [str(i) for i in range(options.calls)]
    ratios = []
    for round_ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            settings = ClientSettings(base_url=url, model=options.model, concurrency=concurrency)
            with Client(settings, Path(folder) / "answers.sqlite") as client:
                bodies = prepared(client, rows)
                tagger = LLMTagger(client)
                # The first call finds out how to speak to the server.
                tagger.tag(ids[:1], [[{"role": "user", "content": f"warm {round_}"}]])
                bare_s = asyncio.run(bare(url, bodies, concurrency))
                started, cpu = time.perf_counter(), time.process_time()
                result = tagger.tag(ids, rows)
                ours_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
                assert result.failures.is_empty()
                assert result.figures["calls"] == options.calls
        ratios.append(bare_s / ours_s)
        print(
            f"bare {options.calls / bare_s:7.1f} calls/s   ours {options.calls / ours_s:7.1f} calls/s   "
            f"ratio {ratios[-1]:.3f}   our CPU {1000 * cpu_s / options.calls:.2f} ms a call"
        )
    if server is not None:
        server.terminate()
    ideal = "" if options.url else f", {options.slots / options.service_ms * 1000:.0f} calls/s at most"
    median = sorted(ratios)[len(ratios) // 2]
    print(f"median ratio {median:.3f} (bar 0.95), {concurrency} calls at once{ideal}")


if __name__ == "__main__":
    main()

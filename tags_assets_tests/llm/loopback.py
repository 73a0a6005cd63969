"""A small OpenAI-compatible server on 127.0.0.1 that misbehaves on request."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Call:
    """A request as it came."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: dict
    raw: bytes = b""

    @property
    def row(self) -> str:
        """The last message: the question."""
        return self.body["messages"][-1]["content"]


@dataclass
class Reply:
    """What to send back, and how."""

    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    manner: str = "whole"  # whole, reset, cut, drip, hang, endless, raw (the body is all that is sent)


def completion(content, *, finish="stop", prompt_tokens=100, completion_tokens=20, refusal=None) -> Reply:
    message = {"role": "assistant", "content": content}
    if refusal:
        message["refusal"] = refusal
    return Reply(
        {
            "id": "c",
            "object": "chat.completion",
            "model": "test",
            "choices": [{"index": 0, "finish_reason": finish, "message": message}],
            "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens},
        }
    )


def error(status, message, **more) -> Reply:
    headers = more.pop("headers", {})
    return Reply({"error": {"message": message, **more}}, status, headers)


def tags_of(text: str) -> list[str]:
    """Give the tags that the well-behaved server gives: the row's longest words."""
    body = re.sub(r"</?\w+>", "", text.split("Concepts of the row", maxsplit=1)[0])
    words = sorted(set(re.findall(r"[a-z]{4,}", body.lower())), key=lambda w: (-len(w), w))
    return words[:3] or ["nothing in particular"]


def well_behaved(call: Call) -> Reply:
    if call.path.endswith("/models"):
        return Reply({"object": "list", "data": [{"id": "test", "max_model_len": 8192}]})
    if call.path.endswith("/embeddings"):
        inputs = call.body["input"]
        data = [{"index": i, "embedding": [float(len(t)), 1.0, 2.0]} for i, t in enumerate(inputs)]
        return Reply({"data": data, "usage": {"prompt_tokens": 3 * len(inputs)}})
    return completion(json.dumps({"tags": tags_of(call.row)}), prompt_tokens=tokens_of(call))


def tokens_of(call: Call) -> int:
    """Count about as a tokenizer would."""
    return sum(len(m["content"]) for m in call.body["messages"]) // 4


class Loopback:
    """The server; ``behave`` says what it answers and may be changed at any time."""

    def __init__(self, behave=well_behaved):
        self.behave = behave
        self.calls: list[Call] = []
        self.port = 0
        self.most_at_once = 0
        self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._server = None
        self._started = threading.Event()
        self._tasks: set[asyncio.Task] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def chats(self) -> list[Call]:
        return [c for c in self.calls if c.path.endswith("/chat/completions")]

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._started.set()
        self._loop.run_forever()

    async def _listen(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**26)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self):
        """Stop listening and drop all connections, as a server that dies."""

        async def drop():
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(drop(), self._loop).result(5)

    def restart(self):
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)

    def close(self):
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            while True:
                call = await self._read(reader)
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                try:
                    if not await self._answer(call, writer):
                        break
                finally:
                    self._at_once -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            with suppress(Exception):
                writer.transport.abort() if not writer.is_closing() else None

    async def _read(self, reader) -> Call:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        headers = {
            k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)
        }
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        is_json = raw and headers.get("content-type", "").startswith("application/json")
        call = Call(
            len(self.calls), method, urlsplit(target).path, headers, json.loads(raw) if is_json else {}, raw
        )
        self.calls.append(call)
        return call

    async def _answer(self, call, writer) -> bool:  # noqa: C901  # one branch for each manner
        reply = self.behave(call)
        if asyncio.iscoroutine(reply):
            reply = await reply
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.manner == "reset":
            writer.transport.abort()
            return False
        if reply.manner == "raw":
            writer.write(reply.body)
            await writer.drain()
            writer.close()
            return False
        if reply.manner == "hang":
            await asyncio.sleep(3600)
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"content-type": "application/json", "content-length": str(len(content)), **reply.headers}
        if reply.manner in {"endless", "drip"}:
            headers["content-length"] = str(2**40)
        head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode())
        if reply.manner == "cut":
            writer.write(content[: len(content) // 2])
            await writer.drain()
            writer.transport.abort()
            return False
        if reply.manner == "drip":
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        if reply.manner == "endless":
            while True:
                writer.write(b" " * 2**20)
                await writer.drain()
        writer.write(content)
        await writer.drain()
        return True

"""OpenAI's Batch API as far as the transport uses it, in memory, for the loopback server."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from tags_assets_tests.llm.loopback import Call, Reply, error, well_behaved


@dataclass
class BatchDouble:
    """Answers /files and /batches; other calls go to ``chat``.

    ``looks`` says how often a batch is seen pending before it is done.
    """

    chat: object = well_behaved
    looks: int = 1
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict] = field(default_factory=dict)
    uploads: int = 0
    answered: list[str] = field(default_factory=list)
    refuse_create: list[Reply] = field(default_factory=list)
    fail_with: dict | None = None
    expire_after: int | None = None

    def __call__(self, call: Call) -> Reply:
        path = call.path.removeprefix("/v1")
        if call.method == "POST" and path == "/files":
            self.uploads += 1
            name = f"file-{len(self.files)}"
            self.files[name] = re.search(rb"\r\n\r\n(\{.*\n)\r\n--", call.raw, re.DOTALL).group(1)
            return Reply(
                {
                    "id": name,
                    "object": "file",
                    "bytes": 1,
                    "created_at": 0,
                    "filename": "x",
                    "purpose": "batch",
                    "status": "processed",
                }
            )
        if call.method == "POST" and path == "/batches":
            return self._create(call)
        if path == "/batches":
            return Reply(
                {"object": "list", "data": [self._shown(b) for b in self.batches.values()], "has_more": False}
            )
        if found := re.fullmatch(r"/batches/([\w-]+)", path):
            return Reply(self._look(found.group(1)))
        if found := re.fullmatch(r"/files/([\w-]+)/content", path):
            return Reply(self.files[found.group(1)])
        return self.chat(call)

    def _create(self, call: Call) -> Reply:
        made = None
        name = f"batch-{len(self.batches)}"
        if not (self.refuse_create and self.refuse_create[0].status >= 500):
            made = self.batches[name] = {
                "id": name, "object": "batch", "endpoint": "/v1/chat/completions", "completion_window": "24h",
                "created_at": 0, "status": "in_progress", "input_file_id": call.body["input_file_id"],
                "metadata": call.body["metadata"], "looks": 0,
            }  # fmt: skip
        if self.refuse_create:
            return self.refuse_create.pop(0)  # a reset: the batch is made and the reply is lost
        return Reply(self._shown(made))

    @staticmethod
    def _shown(batch: dict) -> dict:
        return {k: v for k, v in batch.items() if k != "looks"}

    def _look(self, name: str) -> dict:
        batch = self.batches[name]
        batch["looks"] += 1
        if batch["looks"] > self.looks and batch["status"] == "in_progress":
            self._finish(batch)
        return self._shown(batch)

    def _finish(self, batch: dict) -> None:
        if self.fail_with:
            batch |= {"status": "failed", "errors": {"object": "list", "data": [self.fail_with]}}
            return
        good, bad = [], []
        lines = self.files[batch["input_file_id"]].splitlines()
        for n, line in enumerate(lines):
            if self.expire_after is not None and n >= self.expire_after:
                break
            request = json.loads(line)
            self.answered.append(request["custom_id"])
            reply = self.chat(Call(n, "POST", request["url"], {}, request["body"]))
            out = {
                "id": "r",
                "custom_id": request["custom_id"],
                "response": {"status_code": reply.status, "body": reply.body},
                "error": None,
            }
            (good if reply.status == 200 else bad).append(json.dumps(out))
        name = batch["id"]
        # The order of answers is the provider's business.
        self.files[f"{name}-out"] = "\n".join(reversed(good)).encode()
        self.files[f"{name}-err"] = "\n".join(bad).encode()
        batch |= {"status": "completed" if self.expire_after is None else "expired"}
        batch |= {"output_file_id": f"{name}-out"} if good else {}
        batch |= {"error_file_id": f"{name}-err"} if bad else {}
        self.expire_after = None


def refused() -> Reply:
    return error(500, "oops")

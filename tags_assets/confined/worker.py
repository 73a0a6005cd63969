"""The confined process: it runs one SELECT after another for its parent, and can do nothing else.

It imports nothing of the package, so that it starts fast and can be started as a file. Four walls stand
between a query and the machine, each of which would hold by itself against most of what a query can try:

- DuckDB may touch no file but the one that it opened, load no extension, and change no setting.
- Only one SELECT is run, and only after a walk over its parse tree. It may name the given tables and
  functions that compute something from their arguments, not those that read files, memory, settings or the
  catalogue. What views, macros and generated columns of a DuckDB file are made of is walked in the same way.
- The process gets no secrets in its environment, can write to no file, and has a limit on its memory.
- An alarm of the operating system kills it when an answer takes too long.

Messages in both directions are one letter, the length in eight bytes, and the content: ``R`` a request,
``F`` its rows, ``B`` a batch of the answer (Arrow streams), ``D`` the end, with an error or without.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import struct
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import duckdb
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

# DuckDB's own limit covers tables, sorts and joins, the process's also text and lists that functions make.
MEMORY = "2GB"
ADDRESS_SPACE = 4 << 30
RESTART_ABOVE_KB = 1 << 20
BATCH_ROWS, BATCH_BYTES = 1024, 32 << 20
MOST_ROWS = 50_000_000

CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "memory_limit": MEMORY,
    # The order of rows, and the numbers that random() gives them, do not depend on the machine.
    "threads": "1",
    "lock_configuration": "true",
}
SYSTEM_SCHEMAS = ("information_schema", "pg_catalog")

FUNCTIONS = (
    "select lower(function_name), bool_or(function_type = 'macro' or stability = 'CONSISTENT') "
    "from system.main.duckdb_functions() where internal group by 1"
)
TABLE_FUNCTIONS = {"unnest", "range", "generate_series", "json_each", "json_tree", "regexp_split_to_table"}
ALSO = {
    # Chance falls alike each time, and time is known to every program.
    *("random", "now", "today", "current_date", "get_current_time", "get_current_timestamp"),
    *("transaction_timestamp", "unnest"),
}
REFUSED = re.compile(
    r"pg_(?!size_pretty|typeof).*|has_.*_privilege|inet_.*|current_.*|.*_description|__internal.*|"
    "session_user|user|version|get_block_size|json_serialize_plan|json_copy_.*|format_pg_type|format_type|"
    "combine|finalize|invoke|to_aggregate_state|combine_aggr|parse_duckdb_log_message"
)
SYSTEM_VIEWS = "select lower(view_name) from system.main.duckdb_views() where internal"
DEFINITIONS = (
    "select schema_name, view_name, sql from system.main.duckdb_views() where not internal union all "
    "select table_schema, table_name, 'select ' || generation_expression "
    "from system.information_schema.columns where is_generated = 'ALWAYS'"
)
MACROS = (
    "select lower(function_name), if(function_type = 'macro', 'select ', '') || macro_definition "
    "from system.main.duckdb_functions() where not internal"
)
VIEW = re.compile(r'CREATE VIEW (?:"(?:[^"]|"")*+"|[^"])*? AS (.*)', re.DOTALL)


class UnansweredError(Exception):
    """Why there is no answer, in a word for the parent and in a sentence for people."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class RefusedError(UnansweredError):
    """The statement asks for what no confined query may do."""

    def __init__(self, message: str) -> None:
        super().__init__("Refused", message)


class Statement:
    """A walk over what a statement, and the views and macros that it uses, are made of.

    Parameters
    ----------
    connection
        Where the names stand for something.
    functions
        Functions of DuckDB that may be called.
    tables
        Names of the tables that may be read, of one part, or of several where a schema and a database are
        named; for each the SQL of what is computed when it is read: its view, its generated columns.
    macros
        The SQL behind each macro of the file.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        functions: AbstractSet[str],
        tables: dict[tuple[str, ...], list[str]],
        macros: dict[str, list[str]] | None = None,
    ) -> None:
        self.connection, self.functions = connection, functions
        self.tables, self.macros = tables, macros or {}
        self.seen: set[str] = set()

    def check(self, sql: str) -> dict[str, Any]:
        """Return the tree of a statement that may be run.

        Raises
        ------
        RefusedError
            For every other.
        """
        statements = self.connection.extract_statements(sql)
        if len(statements) != 1:
            raise RefusedError(f"holds {len(statements)} statements; only one may be run")
        kind = statements[0].type
        if kind == duckdb.StatementType.MULTI:
            raise RefusedError("becomes several statements in DuckDB, as PIVOT without IN (...) does")
        if kind != duckdb.StatementType.SELECT:
            raise RefusedError(f"is a statement of the kind {kind.name} and not a plain SELECT")
        return self.walk_sql(sql)

    def walk_sql(self, sql: str) -> dict[str, Any]:
        try:
            answer = self.connection.execute("select json_serialize_sql(?::varchar)", [sql]).fetchall()
            tree: dict[str, Any] = json.loads(answer[0][0])
            if tree["error"]:
                raise RefusedError(f"cannot be checked: {tree['error_message']}")
            if len(tree["statements"]) != 1:
                raise RefusedError("holds more than one statement")
            self._walk(tree["statements"][0], frozenset())
        except RecursionError:
            raise RefusedError("is nested too deeply") from None
        return tree

    def _walk(self, part: object, names: frozenset[str]) -> None:
        if isinstance(part, list):
            for one in part:
                self._walk(one, names)
        elif isinstance(part, dict):
            names = self._common(part, names)
            self._look_at(part, names)
            for key, one in part.items():
                if key != "cte_map":
                    self._walk(one, names)

    def _look_at(self, part: dict[str, Any], names: frozenset[str]) -> None:
        match part.get("type"):
            case "BASE_TABLE":
                self._table(part["qualified_name"]["path"], names)
            case "TABLE_FUNCTION":
                self._function(part["function"]["function_name"], TABLE_FUNCTIONS)
            case "SHOW_REF":
                raise RefusedError("describes tables; a query may only read their rows")
            case "VALUE_PARAMETER":
                raise RefusedError("has a parameter: write its value")
            case _ if "function_name" in part:
                self._function(part["function_name"], self.functions)

    def _common(self, node: dict[str, Any], names: frozenset[str]) -> frozenset[str]:
        """Walk the common table expressions of a node; return the names that it may use."""
        for entry in (node.get("cte_map") or {}).get("map", ()):
            # A recursive expression may name itself.
            name = entry["key"].lower()
            recursive = str(entry["value"].get("query_node", {}).get("type", "")).startswith("RECURSIVE")
            self._walk(entry["value"], names | {name} if recursive else names)
            names |= {name}
        return names

    def _table(self, path: list[str], names: frozenset[str]) -> None:
        name = tuple(part.lower() for part in path)
        if len(name) == 1 and name[0] in names:
            return
        if name not in self.tables:
            raise RefusedError(f"reads {'.'.join(path)!r}, which is none of its tables")
        for sql in self.tables[name]:
            self._definition(sql)

    def _function(self, name: str, known: AbstractSet[str]) -> None:
        called = name.lower()
        if called not in known and called not in self.macros:
            raise RefusedError(f"calls {name}(), which may not be used here or does not exist")
        for sql in self.macros.get(called, ()):
            self._definition(sql)

    def _definition(self, sql: str) -> None:
        if sql not in self.seen:
            self.seen.add(sql)
            self.walk_sql(sql)


class Worker:
    """Answers requests until the parent closes the pipe."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self.requests, self.answers = requests, answers
        self.functions: frozenset[str] = frozenset()
        self.refused: frozenset[str] = frozenset()
        self.ahead: duckdb.DuckDBPyConnection | None = None

    def serve(self) -> None:
        while head := self.requests.read(9):
            request = json.loads(self.requests.read(_length(head)))
            rows = self.requests.read(_length(self.requests.read(9))) if "condition" in request else b""
            signal.setitimer(signal.ITIMER_REAL, request["seconds"])
            try:
                self.answer(request, rows)
                self.end()
            except UnansweredError as error:
                self.end(error.kind, str(error))
            except (duckdb.Error, pa.ArrowException, MemoryError, RecursionError, ValueError) as error:
                self.end(type(error).__name__, str(error))
            signal.setitimer(signal.ITIMER_REAL, 0)
            # The next condition need not wait for it.
            self.ahead = self.ahead or _open(None)

    def answer(self, request: dict[str, Any], rows: bytes) -> None:
        database = request.get("database")
        opened, self.ahead = (_open(database), self.ahead) if database else (self.ahead or _open(None), None)
        with closing(opened):
            if not self.functions:
                known = dict(opened.execute(FUNCTIONS).fetchall())
                allowed = {name for name, plain in known.items() if plain and not REFUSED.fullmatch(name)}
                self.functions = frozenset(allowed | ALSO)
                self.refused = frozenset(known) - self.functions
            if database is None:
                self.condition(opened, request["condition"], pa.ipc.open_stream(rows).read_all())
            elif "relation" in request:
                self.relation(opened, request)
            else:
                names = pa.record_batch({"name": pa.array(list(_tables(opened)), pa.string())})
                self.stream(pa.RecordBatchReader.from_batches(names.schema, [names]), 0)

    def condition(self, connection: duckdb.DuckDBPyConnection, text: str, rows: pa.Table) -> None:
        """Evaluate an expression on each of the rows."""
        expression = duckdb.SQLExpression(text)
        statement = Statement(connection, self.functions, {("instances",): []})
        (alone,) = statement.walk_sql("select null")["statements"]
        (found,) = statement.check(f"select {expression}\n")["statements"]
        if len(found["node"]["select_list"]) != 1 or _without_columns(found) != _without_columns(alone):
            raise RefusedError("is not one expression")
        connection.execute("select setseed(0.0)").fetchall()
        connection.register("instances", rows)
        row = duckdb.ColumnExpression(rows.schema.names[-1])
        answer = connection.table("instances").select(row, expression.alias("keep"))
        self.stream(answer.to_arrow_reader(BATCH_ROWS * 64), 0)

    def relation(self, connection: duckdb.DuckDBPyConnection, request: dict[str, Any]) -> None:
        """Read a table, a view or a query of a DuckDB file."""
        tables = _tables(connection)
        sql = request["relation"]
        if not request["query"]:
            if sql not in tables:
                raise UnansweredError("NoTable", f"has no table named {sql!r}")
            sql = "from " + ".".join('"' + part.replace('"', '""') + '"' for part in tables[sql])
        self.statement_for(connection, tables).check(sql)
        self.stream(connection.sql(sql).to_arrow_reader(BATCH_ROWS), request["seconds"])

    def statement_for(
        self, connection: duckdb.DuckDBPyConnection, tables: dict[str, tuple[str, str]]
    ) -> Statement:
        """Gather what the tables, views and macros of a file are made of."""
        paths: dict[tuple[str, str], list[tuple[str, ...]]] = {}
        ((database,),) = connection.execute("select system.main.current_database()").fetchall()
        system = {name for (name,) in connection.execute(SYSTEM_VIEWS).fetchall()}
        for schema, name in tables.values():
            inner, whole = name.lower(), (database.lower(), schema.lower(), name.lower())
            paths[schema, name] = [whole, whole[1:]]
            # A view of another schema names what stands beside it by the name alone.
            if schema == "main" or inner not in system:
                paths[schema, name] += [(inner,), (whole[0], inner)]
        known: dict[tuple[str, ...], list[str]] = {path: [] for every in paths.values() for path in every}
        for schema, name, sql in connection.execute(DEFINITIONS).fetchall():
            made = VIEW.fullmatch(sql)
            for path in paths.get((schema, name), ()):
                known[path].append(made[1] if made else sql)
        macros: dict[str, list[str]] = {}
        for name, sql in connection.execute(MACROS).fetchall():
            if name not in self.refused:
                macros.setdefault(name, []).append(sql)
        return Statement(connection, self.functions, known, macros)

    def stream(self, batches: pa.RecordBatchReader, seconds: float) -> None:
        """Send batches; the time that the parent takes for one is not counted."""
        n_rows = 0
        for batch in batches:
            n_rows += batch.num_rows
            if n_rows > MOST_ROWS:
                raise RefusedError(f"has more than {MOST_ROWS:,} rows")
            for piece in _pieces(batch):
                buffer = io.BytesIO()
                with pa.ipc.new_stream(buffer, piece.schema) as writer:
                    writer.write_batch(piece)
                if seconds:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                self.send(b"B", buffer.getbuffer())
                if seconds:
                    signal.setitimer(signal.ITIMER_REAL, seconds)

    def send(self, kind: bytes, content: bytes | memoryview) -> None:
        self.answers.write(kind + struct.pack(">Q", len(content)))
        self.answers.write(content)
        self.answers.flush()

    def end(self, error: str | None = None, message: str = "") -> None:
        # Memory that was once used is not always given back.
        again = _peak_kb() < RESTART_ABOVE_KB
        self.send(b"D", json.dumps({"again": again, "error": error, "message": message[:65536]}).encode())


def _open(database: str | None) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(database or ":memory:", read_only=database is not None, config=CLOSED)
    except duckdb.Error as error:
        raise UnansweredError("CannotOpen", str(error)) from error


def _length(head: bytes) -> int:
    return int(struct.unpack(">Q", head[1:])[0])


def _without_columns(statement: dict[str, Any]) -> dict[str, Any]:
    return {**statement, "node": {**statement["node"], "select_list": []}}


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch of long rows in pieces that the parent can hold."""
    rows = batch.num_rows
    step = max(1, rows * BATCH_BYTES // max(batch.nbytes, 1))
    if rows and batch.nbytes // rows * step > BATCH_BYTES * 8:
        raise RefusedError(f"has a row of more than {BATCH_BYTES * 8 >> 20} MiB")
    for start in range(0, rows, step):
        # A slice keeps the buffers of the whole: take copies what belongs to it.
        piece = batch.slice(start, step)
        yield piece if step >= rows else piece.take(pa.array(range(piece.num_rows)))


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, str]]:
    """Name the tables and views of a file; those outside of the main schema with their schema."""
    found = connection.execute(
        "select schema_name, table_name from system.main.duckdb_tables() where not internal union all "
        "select schema_name, view_name from system.main.duckdb_views() where not internal order by all"
    ).fetchall()
    return {
        name if schema == "main" else f"{schema}.{name}": (schema, name)
        for schema, name in found
        if schema not in SYSTEM_SCHEMAS
    }


def _peak_kb() -> int:
    """Measure the most memory that this program has held, in kB.

    `getrusage` also counts what the parent held when it started this process, which may be a gigabyte.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS has no /proc


def _confine() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and kills
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_AS": ADDRESS_SPACE}
    for name, limit in limits.items():
        with suppress(ValueError, OSError, AttributeError):  # macOS knows no limit of memory
            _, hard = resource.getrlimit(getattr(resource, name))
            most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(getattr(resource, name), (most, most))


if __name__ == "__main__":
    _confine()
    # What libraries print must not stand between the answers.
    with os.fdopen(os.dup(1), "wb") as pipe, suppress(BrokenPipeError):
        os.dup2(2, 1)
        Worker(sys.stdin.buffer, pipe).serve()

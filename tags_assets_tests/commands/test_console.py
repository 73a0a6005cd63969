from __future__ import annotations

from rich.table import Table

from tags_assets.commands import console


def test_nothing_that_is_printed_steers_the_terminal(capsys):
    table = Table("file")
    table.add_row("a\x1b[2Jb\x9b31m.jsonl")
    console.out.print("x\x1b]0;title\x07y\u202e", markup=False)
    console.out.print(table)
    console.err.print("note: \x1b[31mred")
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said
    assert not set(said) & set("\x07\x9b\u202e")
    assert "x\ufffd]0;titley\ufffd" in said

from __future__ import annotations

import pytest

from tags_assets.commands.outputs import check_outputs
from tags_assets.errors import UserError
from tags_assets.store.mark import mark_home


def test_a_selection_is_not_written_into_a_folder_of_a_home(tmp_path):
    home = tmp_path / "home"
    mark_home(home)
    (tmp_path / "link").symlink_to(home)
    for folder in (home / "artifacts", home / "exports" / "maths", tmp_path / "link" / "cache"):
        with pytest.raises(UserError, match=r"belongs to the home .* Name a folder outside of it with --out"):
            check_outputs(folder)
    check_outputs(home / "out")  # a home may be the folder that a project lies in
    check_outputs(tmp_path / "artifacts")

from __future__ import annotations

from tags_assets.settings.home import Home


def test_a_home_below_a_user_that_does_not_exist_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Home.resolve("~nobody-of-this-name/h").path == tmp_path / "~nobody-of-this-name" / "h"

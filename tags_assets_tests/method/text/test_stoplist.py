from __future__ import annotations

import subprocess
import sys

from tags_assets.method.text.stoplist import stop_words


def test_stop_words_are_those_of_the_language_and_of_no_other():
    assert {"the", "of"} <= stop_words("en") == stop_words("en-GB")
    assert "und" in stop_words("de")
    assert stop_words("zh-cn") == stop_words("zh") != frozenset()
    assert stop_words("zz") == stop_words("../en") == stop_words("") == frozenset()


def test_they_are_read_without_loading_spacy():
    module = "tags_assets.method.text.stoplist"
    code = f"import sys; from {module} import stop_words; stop_words('en'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "spacy" not in done.stdout.split()

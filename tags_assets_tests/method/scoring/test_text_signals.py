# ruff: noqa: RUF001 - Russian and Chinese
"""Text signals: what each is after, what it leaves alone, and that no text breaks them."""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tags_assets.method.scoring import text_signals as module
from tags_assets.method.scoring.text_signals import SIGNALS, TEXT_SIGNAL_SCHEMA, text_signals

QUESTION = "How do plants turn the light of the sun into food?"

PHOTOSYNTHESIS = (
    "Plants make food from light in a process called photosynthesis. Chlorophyll in the leaves takes up "
    "the light of the sun, and the plant uses that energy to join water from the soil with carbon "
    "dioxide from the air. The result is sugar, which the plant uses as food, and oxygen, which it "
    "gives off."
)

SWAPPED = (
    "A mortgage is a loan that a bank gives for a house. The borrower pays interest each month, and the "
    "bank may sell the building if the payments stop. Most contracts run for twenty or thirty years."
)

SHUFFLED = (
    "of process called the light Plants the a sun, from leaves Chlorophyll photosynthesis. takes The "
    "and in food that dioxide make water the to of soil join up with The in plant light energy uses the "
    "from carbon air. from food, the is plant as oxygen, which the off. sugar, and uses result gives "
    "which it"
)

CLEAN = {
    "en": (QUESTION, PHOTOSYNTHESIS),
    "de": (
        "Wie machen Pflanzen aus dem Licht der Sonne ihre Nahrung?",
        (
            "Pflanzen stellen ihre Nahrung durch Photosynthese her. Das Chlorophyll in den Blättern "
            "nimmt das Licht der Sonne auf. Mit dieser Energie verbindet die Pflanze Wasser aus dem "
            "Boden mit Kohlendioxid aus der Luft."
        ),
    ),
    "fr": (
        "Comment les plantes transforment-elles la lumière du soleil en nourriture ?",
        (
            "Les plantes produisent leur nourriture par la photosynthèse. La chlorophylle des "
            "feuilles absorbe la lumière du soleil, et la plante utilise cette énergie pour unir "
            "l'eau du sol au dioxyde de carbone de l'air."
        ),
    ),
    "es": (
        "¿Cómo convierten las plantas la luz del sol en alimento?",
        (
            "Las plantas producen su alimento por medio de la fotosíntesis. La clorofila de las hojas "
            "absorbe la luz del sol, y la planta usa esa energía para unir el agua del suelo con el "
            "dióxido de carbono del aire."
        ),
    ),
    "it": (
        "Come fanno le piante a trasformare la luce del sole in nutrimento?",
        (
            "Le piante producono il loro nutrimento con la fotosintesi. La clorofilla delle foglie "
            "assorbe la luce del sole, e la pianta usa questa energia per unire l'acqua del suolo con "
            "l'anidride carbonica dell'aria."
        ),
    ),
    "pt": (
        "Como as plantas transformam a luz do sol em alimento?",
        (
            "As plantas produzem o seu alimento por meio da fotossíntese. A clorofila das folhas "
            "absorve a luz do sol, e a planta usa essa energia para unir a água do solo com o dióxido "
            "de carbono do ar."
        ),
    ),
    "ru": (
        "Как растения превращают солнечный свет в пищу?",
        (
            "Растения получают пищу с помощью фотосинтеза. Хлорофилл в листьях поглощает солнечный "
            "свет, и растение соединяет воду из почвы с углекислым газом из воздуха."
        ),
    ),
    "zh": (
        "植物是怎样把阳光变成食物的？",
        "植物通过光合作用制造食物。叶子里的叶绿素吸收阳光，植物利用这些能量把土壤中的水和空气中的二氧化碳结合起来。",
    ),
    "ja": (
        "植物はどのようにして太陽の光を養分に変えますか。",
        "植物は光合成によって養分を作ります。葉にある葉緑素が太陽の光を吸収し、そのエネルギーで水と二酸化炭素から糖を作ります。",
    ),
    "ar": (
        "كيف تحول النباتات ضوء الشمس إلى غذاء؟",
        (
            "تصنع النباتات غذاءها بعملية البناء الضوئي. يمتص الكلوروفيل في الأوراق ضوء الشمس، وتستعمل "
            "النباتات هذه الطاقة."
        ),
    ),
}

CODE = (
    "Write a Python function that returns the largest number of a list.",
    """def largest(numbers):
    best = numbers[0]
    for number in numbers[1:]:  # the first is taken already
        if number > best:
            best = number
    return best""",
)


SHORT = [
    ("What is 12 times 12?", "144"),
    ("Which of these is a fruit?\nA) carrot\nB) apple", "B"),
    ("Which of these planets has rings: Saturn or none?", "None"),
    ("Who wrote Faust?", "Goethe"),
    ("Hi!", "Hi!"),
    ("List three colours.", "- red\n- green\n- blue"),
    ("Which songs should I play?", "1) How Will I Know\n2) I Have Nothing"),
    ("Which emoji stands for fire?", "\U0001f525"),
    ("Write a tweet about our team's win.", "What a night for our team! #Winners"),
]

DEFECTS = [
    ("empty", QUESTION, ""),
    ("empty", QUESTION, " \n\u200b "),
    ("degenerate", QUESTION, "N/A"),
    ("degenerate", QUESTION, "<nooutput>"),
    ("degenerate", QUESTION, "?"),
    ("degenerate", QUESTION, "@#%^&*()_+{}|<>?~@#%^&*()_+{}|<>?~@#%^&*()_+{}|<>?~"),
    ("refused", QUESTION, "I'm sorry, but as an AI language model I can't answer that question."),
    ("refused", QUESTION, "I\u2019m sorry, I cannot help with that."),
    ("truncated", QUESTION, PHOTOSYNTHESIS[:190]),
    ("truncated", QUESTION, "Plants use light, water and"),
    ("truncated", CODE[0], CODE[1][: CODE[1].index("numbers):") + 4]),
    ("truncated", CODE[0], "Here it is:\n```python\n" + CODE[1]),
    ("repetitive", QUESTION, "Plants use the light of the sun to make sugar. " * 6),
    ("disordered", QUESTION, SHUFFLED),
    ("prompt_copied", QUESTION, QUESTION),
    ("prompt_copied", QUESTION, QUESTION.upper()),
    (
        "incoherent",
        f"{QUESTION} Explain each step, name the gases, and say why leaves are green.",
        SWAPPED,
    ),
    ("off_language", QUESTION, CLEAN["es"][1]),
    ("off_language", QUESTION, CLEAN["zh"][1]),
    ("off_language", QUESTION, CLEAN["de"][1]),
    ("off_language", CLEAN["ru"][0], PHOTOSYNTHESIS),
]


@cache
def found():
    """Signals of all the texts above, looked at together."""
    texts = [*CLEAN.values(), CODE, *SHORT, *((prompt, response) for _, prompt, response in DEFECTS)]
    prompts, responses = zip(*texts, strict=True)
    ids = [str(i) for i in range(len(texts))]
    rows = pl.DataFrame({"instance_id": ids, "prompt": prompts, "response": responses})
    return dict(zip(texts, text_signals(rows).select(SIGNALS).iter_rows(named=True), strict=True))


def signals_of(prompt, response):
    rows = pl.DataFrame({"instance_id": ["a"], "prompt": [prompt], "response": [response]})
    return text_signals(rows).drop("instance_id").row(0, named=True)


@pytest.mark.parametrize("language", CLEAN)
def test_clean_text_has_no_defect_in_any_language(language):
    signals = found()[CLEAN[language]]
    assert max(signals.values()) < 0.1, signals


def test_code_is_no_defect():
    signals = found()[CODE]
    assert max(signals.values()) < 0.1, signals


@pytest.mark.parametrize(("prompt", "response"), SHORT)
def test_short_answers_are_no_defect(prompt, response):
    signals = found()[prompt, response]
    assert max(signals.values()) < 0.2, signals


@pytest.mark.parametrize(("signal", "prompt", "response"), DEFECTS)
def test_a_textbook_example_is_found(signal, prompt, response):
    assert found()[prompt, response][signal] > 0.5


def test_what_was_asked_for_is_no_other_language():
    found = signals_of(
        "Translate into Spanish: Plants make food from light.", "Las plantas hacen su alimento con luz."
    )
    assert found["off_language"] == 0
    assert found["incoherent"] == 0


def test_code_is_no_other_language_than_its_prompt():
    assert signals_of("用Python写一个求最大值的函数。", CODE[1])["off_language"] == 0


def test_an_answer_that_quotes_its_passage_is_no_copy():
    passage = f"Read the passage and say what plants give off.\n\n{PHOTOSYNTHESIS}"
    assert signals_of(passage, PHOTOSYNTHESIS)["prompt_copied"] < 0.5


def test_an_answer_that_repeats_the_question_and_goes_on_is_no_copy():
    assert signals_of(QUESTION, f"{QUESTION} {PHOTOSYNTHESIS}")["prompt_copied"] == 0


def test_an_apology_that_goes_on_to_answer_weighs_little():
    short = signals_of(QUESTION, "I'm sorry, but I cannot help with that.")["refused"]
    long = signals_of(QUESTION, "I'm sorry that this was unclear. " + PHOTOSYNTHESIS * 6)["refused"]
    assert long < 0.5 < short


def test_the_table_has_its_schema_and_the_rows_their_order():
    rows = pl.DataFrame({"instance_id": ["b", "a"], "prompt": [QUESTION, None], "response": [None, "Yes."]})
    found = text_signals(rows)
    assert dict(found.schema) == TEXT_SIGNAL_SCHEMA
    assert found["instance_id"].to_list() == ["b", "a"]
    assert found["empty"].to_list() == [1.0, 0.0]


def test_no_rows_give_an_empty_table():
    rows = pl.DataFrame(schema={"instance_id": pl.String, "prompt": pl.String, "response": pl.String})
    assert dict(text_signals(rows).schema) == TEXT_SIGNAL_SCHEMA


def test_a_huge_row_is_read_in_part():
    found = signals_of("word " * 300_000, "\x00(" * 500_000)
    assert all(0 <= value <= 1 for value in found.values())


TEXTS = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="ab the.!?\n()[]{}`\x00\u0301\u200d\ud7ff\U0001f525\u7684\ub97c\u0627", max_size=60),
    st.sampled_from(
        [QUESTION, PHOTOSYNTHESIS, SWAPPED, SHUFFLED, CODE[1], *(text for _, text in CLEAN.values())]
    ),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8), st.integers(1, 7))
def test_every_text_has_signals_between_0_and_1_that_depend_on_its_row_alone(texts, cut):
    ids = [str(i) for i in range(len(texts))]
    prompts, responses = zip(*texts, strict=True)
    rows = pl.DataFrame({"instance_id": ids, "prompt": prompts, "response": responses})
    whole = text_signals(rows)
    assert whole.select(pl.all_horizontal(pl.col(SIGNALS).is_between(0, 1)).all()).item()
    parts = [text_signals(rows[:cut]), text_signals(rows[cut:])]
    assert whole.equals(pl.concat(parts))


def test_blocks_make_no_difference(monkeypatch):
    texts = [*CLEAN.values(), (QUESTION, SHUFFLED), (QUESTION, SWAPPED), CODE]
    rows = pl.DataFrame(
        {
            "instance_id": [str(i) for i in range(len(texts))],
            "prompt": [prompt for prompt, _ in texts],
            "response": [response for _, response in texts],
        }
    )
    whole = text_signals(rows)
    monkeypatch.setattr(module, "BLOCK_ROWS", 3)
    assert text_signals(rows).equals(whole)


def test_a_trace_of_reasoning_is_no_part_of_the_answer():
    step = "Wait, let me check that again. Yes, it is three. "
    traces = {
        "short": f"<think>\n{step}\n</think>\n\nThe sum of both is three hundred and one.",
        "long": f"<think>\n{step * 300}\n</think>\n\nThe sum of both is three hundred and one.",
        "none": "The sum of both is three hundred and one.",
        "open": f"<think>\n{step * 3}",
        "blank": f"<think>\n{step}\n</think>\n\n",
    }
    prompt = "What is the sum of one and three hundred?"
    rows = pl.DataFrame(
        {"instance_id": list(traces), "prompt": [prompt] * len(traces), "response": list(traces.values())}
    )
    found = {row["instance_id"]: row for row in text_signals(rows).iter_rows(named=True)}
    sound = {name: value for name, value in found["none"].items() if name != "instance_id"}
    for name in ("short", "long"):
        assert {key: found[name][key] for key in sound} == sound
    assert found["open"]["truncated"] == found["open"]["empty"] == 1
    assert found["blank"]["empty"] == 1
    assert sound["empty"] == sound["repetitive"] == 0

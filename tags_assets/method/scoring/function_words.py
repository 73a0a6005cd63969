"""Words that hold sentences together: what language they betray, and which never stand side by side."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(word for word in _words(text) if len(word) > 1)
    for language, text in {
        "en": """the of and to is that it with for are was this be you which what how can your from
            have not or by they their we will an as at if would should has been there these""",
        "de": """der die das und ist nicht ein eine mit für auf sich den von zu wie wird dem des im
            sie ich es auch werden sind oder aus bei nach einen einer kann durch dass haben""",
        "fr": """le la les des et est une dans pour que qui pas sur avec du au vous il je ce sont par
            plus ou aux cette être nous votre elle ont comme mais peut ces""",
        "es": """el la los las una que por para con es del se como más su qué está en de al lo pero
            son este esta sus puede ser ha sobre también entre cuando muy hay""",
        "it": """il di che è una per con non sono della gli nel più anche questo le la del si un da
            come delle alla dei essere ma nella può lo ed o questa""",
        "pt": """os uma que não com para por dos são mais como você em da do um se na no ao das é ou
            seu sua pode ser isso também está foi pela pelo""",
        "nl": """het een van en niet dat zijn met voor op aan ook wordt deze de is te die bij door als
            naar maar om uit kan worden heeft nog dit""",
        "sv": """och att det som en är av för på med den inte ett till har de om var kan från men vi
            du eller när också ska jag detta""",
        "da": """og at det er en til på som af for med ikke den har et de kan fra vi du om var men
            eller også skal jeg være denne""",
        "fi": """on ja ei se että oli ovat mutta kun myös joka hän tai voi olla sen ne kuin jos ole
            niin tämä sekä mitä minä""",
        "pl": """i w na z się nie do że jest to są jak od przez dla o po oraz lub który która może być
            ale jego tym co za""",
        "cs": """a v na je se že do s pro jsou nebo jako to by který která jeho ale byl být ve při
            může také jsem podle tak""",
        "ro": """și în de la cu pe este nu care un o pentru din că sunt mai sau să al ale prin fi ce
            dar această acest au""",
        "hu": """a az és hogy nem egy is van meg ez de vagy mint csak volt ha már el lehet azt ami
            kell ezt után minden""",
        "tr": """ve bir bu için ile da de olarak daha çok olan gibi en ne ya kadar veya ancak sonra
            değil var ise her olduğu""",
        "id": """yang dan di untuk dengan dari ini pada dalam tidak itu adalah ke akan atau juga dapat
            oleh sebagai bisa anda saya mereka""",
        "vi": """là và của có không cho một các trong được với những này người khi để đã từ như đó về
            bạn tôi sẽ""",
    }.items()
}
"""Frequent words of languages in Latin letters, lower case; single letters stand for too much else."""

SCRIPTS: dict[str, str] = {
    "cyrillic": r"\p{Cyrillic}",
    "han": r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    "hangul": r"\p{Hangul}",
    "arabic": r"\p{Arabic}",
    "devanagari": r"\p{Devanagari}",
    "thai": r"\p{Thai}",
    "greek": r"\p{Greek}",
    "hebrew": r"\p{Hebrew}",
}
"""Patterns of the scripts that tell a language, or a few, by themselves."""

NEVER_TOGETHER: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (_words(first), _words(second))
    for first, second in (
        # English: what cannot follow an article, a preposition, "to", an auxiliary, "is", "and". Not "the for
        # loop", "an in-house team", "is of use", "will in turn", "can and should", "and of course".
        (
            "a an the your my our their its every",
            """a an and are because been but can from has have he is it of she that the they to was we
            were will""",
        ),
        (
            "of in for with by from at into",
            "and are but can has have he if is of she they was we were will",
        ),
        ("to", "and are but can has is of or they was we were will"),
        ("can will would should could must may", "are has is of to was were with"),
        ("is are was were be", "are be have is was were"),
        ("and or", "and or"),
        # Articles and prepositions of other languages, such as are no English words.
        (
            "der das dem ein eine einen einem einer für auf mit vom zum",
            "auf dass für ist mit oder sind und von wird zu zum",
        ),
        ("le les une aux dans avec cette ces", "avec dans de est et ou par pour que sont"),
        ("el las una unos unas del con sus", "con del es o pero son una y"),
        ("il gli una dei della delle nella con", "che della di e è ma per sono una"),
        ("os uma dos das pela pelo com", "com dos e é mas ou para são uma"),
        ("het een voor", "dat en het is of van voor wordt zijn"),
        ("ett av på", "att av eller och på som är"),
        ("в на с из для к от за по", "а в за из или к на не но от по с что и как"),  # noqa: RUF001 - Russian
    )
)
"""Pairs of word classes: a word of the first is hardly ever followed at once by one of the second."""

SENTENCE_OPENERS: frozenset[str] = _words(
    """the a an in on at for with by from to of and but or if when while although however therefore
    this that these those there here it its we you they he she his her their our your my what how why
    as is are be can finally additionally overall then also because since once after before such some
    many each all other not der die das und ein eine wenn aber es sie wir le la les un une et il elle
    dans pour el los las y en para con os as uma e lo gli het een och att det и в на с что как но а по
    для"""  # noqa: RUF001 - Russian
)
"""Words with a capital only where a sentence, or a title, begins."""

ABBREVIATIONS: frozenset[str] = _words(
    """etc vs approx fig dr mr mrs ms st inc jr sr ltd co corp dept prof al cf ca eg ie no vol pp ed
    usw bzw str"""
)
"""Words whose full stop does not end a sentence."""

COMMON_WORDS: frozenset[str] = SENTENCE_OPENERS.union(
    *FUNCTION_WORDS.values(),
    _words("""me him us them who where do does did could might must had having being am were so more
        most any here about over under up down out off only own same too very just don ll ve re isn
        doesn didn please provide given following write create generate describe explain give find
        make list use using used example"""),
)
"""Words that prompt and answer share whatever they are about."""

"""Words that are no concepts: the language of instructions, answers and counting."""

from __future__ import annotations

import importlib
from functools import lru_cache

GENERIC_NOUNS = frozenset(
    # the form of the task
    "answer question example sentence paragraph word phrase text passage article essay instruction task "
    "prompt request response reply output input result statement description explanation summary list "
    "bullet option choice step point line item section title heading content context topic subject format "
    "document note detail reason reasoning conclusion introduction overview information info following "
    "problem solution approach method way manner technique tip advice suggestion recommendation idea "
    "assistant user human ai chatbot model language system message conversation chat dialog scenario "
    "situation case instance sample version draft piece name label category class type kind sort form "
    "set group series sequence order pair part portion section side half rest whole amount "
    "number figure value quantity count rate level degree range size length height width term "
    # time, place, people as such
    "time day week month year hour minute second moment period date today tomorrow yesterday morning "
    "evening night afternoon past future present beginning start end middle place location area region "
    "world country city town home house room person people man woman boy girl child kid guy lady friend "
    "family member individual someone anyone everyone everybody nobody mr mrs ms dr "
    "january february march april may june july august september october november december "
    "monday tuesday wednesday thursday friday saturday sunday "
    # abstract filler
    "thing something anything everything nothing stuff lot bit fact matter issue aspect factor feature "
    "element component characteristic property quality purpose goal objective aim need want use usage "
    "effect impact role function ability chance possibility opportunity benefit advantage disadvantage "
    "difference similarity relationship relation change increase decrease addition improvement process "
    "activity action event experience practice example e.g i.e etc etc. help support importance "
    "significance meaning sense view opinion perspective thought feeling concern attention care effort "
    "job work life hand head eye face body water money cost price "
    "variety range multitude plenty majority minority number couple dozen hundred thousand million "
    "billion one two three four five six seven eight nine ten first last next "
    "yes no true false none null correct incorrect ok okay sure hello hi thanks please sorry "
    "a b c d e f g h i j k l m n o p q r s t u v w x y z ii iii iv vs vs. "
    "code program script snippet function data parameter argument return print "
    "page website site link url email address button self int str var let const def foo bar baz main "
    "sister brother mother father mom dad son daughter wife husband uncle aunt cousin grandma grandpa "
    "lorem ipsum edit figure table column row cell image picture photo video book story".split()
)
"""Nouns that are no concept by themselves, nor with only words of these lists beside them."""

GENERIC_MODIFIERS = frozenset(
    "following given several many various certain specific different same other such new own next previous "
    "first second third last final good better best bad worse worst great nice important possible common "
    "main similar particular appropriate necessary current available entire whole overall more most less "
    "least few additional correct incorrect right wrong simple basic single double multiple numerous "
    "potential major minor key relevant related useful helpful interesting unique proper suitable typical "
    "general original actual real true sure able likely unlikely easy easier hard difficult complex detailed "
    "short shorter brief concise long longer longest shortest big bigger biggest small smaller smallest "
    "large larger largest little high higher highest low lower lowest full complete total extra "
    "above below aforementioned current recent early late latest former latter old older oldest young "
    "younger beautiful wonderful amazing favorite favourite special perfect clear fun happy sad "
    "using including based used made called named provided written generated listed described mentioned "
    "having making being doing going getting taking giving finding creating writing adding providing "
    "showing saying trying looking working starting ending remaining existing corresponding resulting "
    "every each any all some no another much enough only just also very too quite rather always never "
    "necessary desired required needed known unknown positive negative further alternative valid invalid "
    "effective efficient successful significant essential crucial vital valuable ideal popular "
    "famous well-known so-called non one-time step-by-step e.g. i.e.".split()
)
"""Modifiers that say nothing of the concept; they are taken off the front of a phrase."""

FIRST_NAMES = frozenset(
    "james john robert michael william david richard joseph thomas charles christopher daniel matthew "
    "anthony mark donald steven paul andrew joshua kenneth kevin brian george edward ronald timothy jason "
    "jeffrey ryan jacob gary nicholas eric jonathan stephen larry justin scott brandon benjamin samuel "
    "gregory frank alexander raymond patrick jack dennis jerry tyler aaron jose adam henry nathan douglas "
    "zachary peter kyle walter ethan jeremy harold keith christian roger noah gerald terry sean austin "
    "carl arthur lawrence dylan jesse jordan bryan billy joe bruce gabriel logan albert willie alan juan "
    "mary patricia jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy betty margaret "
    "sandra ashley kimberly emily donna michelle carol amanda dorothy melissa deborah stephanie rebecca "
    "sharon laura cynthia kathleen amy angela shirley anna brenda pamela emma nicole helen samantha "
    "katherine christine debra rachel carolyn janet catherine maria heather diane ruth julie olivia joyce "
    "virginia victoria kelly lauren christina joan evelyn judith megan andrea cheryl hannah jacqueline "
    "martha gloria teresa ann sara madison frances kathryn janice jean abigail alice julia judy sophia "
    "grace denise amber doris marilyn danielle beverly isabella theresa diana natalie brittany charlotte "
    "marie kayla alexis lori tom tim bob bill jim mike dave steve sam ben dan max leo luke liam oliver "
    "lily mia ava ella zoe chloe lucy molly kate katie jane jenny jill sally sue ted tony greg jeff matt "
    "nick pete phil ron rick randy todd troy wayne harry fred ed carlos miguel luis jorge pedro ali ahmed "
    "tina tracy gina toby marcus mario anne annie alex charlie bobby johnny tommy jimmy danny andy".split()
)
"""Common English first names: in a word problem they stand for anyone."""

TASK_GERUNDS = frozenset(
    "using including following having making being doing going getting taking giving finding creating writing "
    "adding providing showing saying trying looking working starting ending generating calculating computing "
    "solving increasing reducing improving building keeping setting putting helping allowing ensuring avoiding "
    "considering containing requiring developing designing implementing understanding explaining describing "
    "identifying analyzing choosing selecting comparing completing answering returning removing changing "
    "converting printing displaying applying performing producing preventing causing becoming bringing buying "
    "calling carrying checking combining cooking covering cutting drawing eating encouraging establishing "
    "examining exploring facing feeling filling focusing gaining handling holding implying involving joining "
    "knowing leading leaving letting living losing maintaining meaning meeting moving multiplying dividing "
    "subtracting offering opening paying placing playing preparing promoting protecting providing raising "
    "reaching receiving representing running seeing sending serving sharing spending standing supporting "
    "surrounding telling thinking treating turning visiting wearing winning assuming based depending given "
    "passing replacing defining determining enabling extracting inserting deleting updating".split()
)
"""-ing forms that mostly take an object ("creating art"), so that what follows them is the concept."""

PROGRAM_NOUNS = frozenset("function program script code snippet method".split())

PROGRAMMING_LANGUAGES = frozenset(
    "python java javascript typescript sql html css php c c++ c# go rust ruby bash shell r swift kotlin scala "
    "perl matlab haskell lua assembly powershell latex".split()
)
"""A "Python function" is Python."""

_CODE_OF = {"ja": "ja", "zh": "zh", "zh-cn": "zh", "zh-tw": "zh", "pt-br": "pt", "uk-ua": "uk"}


@lru_cache(maxsize=64)
def stop_words(language: str) -> frozenset[str]:
    """Give spaCy's stop words of a language by its ISO 639-1 code, case folded; empty where it has none."""
    code = _CODE_OF.get(language.lower(), language.lower().split("-")[0])
    if not (code.isalpha() and len(code) in {2, 3}):
        return frozenset()
    try:
        module = importlib.import_module(f"spacy.lang.{code}.stop_words")
    except ImportError:
        return frozenset()
    return frozenset(word.casefold().replace("_", " ") for word in module.STOP_WORDS if word.strip())

"""Whatever a language model writes, the guard says what is wrong with it, and takes away what it can."""

from __future__ import annotations

import pytest

from cutline.styles.guard import Fault, Text, check, mend, parse
from cutline.styles.support import supported, unsupported
from cutline.styles.voice import Length, Voice

DOG = ["A dog runs along the beach."]
MEDIUM = Voice(tone="quirky")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The dog runs, all paws and tail, over sand and along the sea.", ()),
        ("Chasing nothing, and catching all of it.", ()),
        ("Dogs on beaches have no deadlines.", ()),
        ("A dog and a cat run along the beach.", ("cat",)),
        ("Three dogs run.", ("three",)),
        ("A dog runs 5 miles.", ("5",)),
        ("Here, even Rex forgets the time.", ("rex",)),
        ("A dog under the moon. #BeachDog #MoonCat", ("cat", "moon")),
        ("A dog runs. #BeachDog", ()),
        ("Rex runs, and the beach is his.", ("rex",)),
        ("Max is all paws, \u201cMax\u201d and nothing else.", ("max",)),
        ("Max power on the beach.", ()),
        ("Paris mornings, and a dog by the sea.", ("paris",)),
        ("Mood: Zadok on the beach with a dog.", ("zadok",)),
        ("Sponsored by coca-cola, nike and instagram: a dog.", ("coca", "cola", "instagram", "nike")),
        ("A dog in the sand. #Nike #NYC #Malibu #Zorblax", ("malibu", "nike", "nyc", "zorblax")),
        ("A dog in the sand. #beachcat #sanddog #2dogs", ("2", "cat")),
        ("Twenty waves, fifty birds, hundreds of paws.", ("bird", "fifty", "hundreds", "twenty")),
        ("A dog runs. #ThreeWaves", ("three",)),
        ("Grandpa's dog, and an accordion.", ("accordion", "grandpa")),
        (
            "\u0421\u043e\u0431\u0430\u043a\u0430 runs along the beach.",
            ("\u0441\u043e\u0431\u0430\u043a\u0430",),
        ),
        ("Pawsome! Wasn't that a run? Homecoming, meanwhile. #Wanderlust #BeachVibes", ()),
    ],
)
def test_things_numbers_and_names_need_a_source(text: str, found: tuple[str, ...]) -> None:
    assert unsupported(text, DOG) == found


def test_a_further_candidate_supports_what_it_names() -> None:
    assert unsupported("A dog with a stick.", [*DOG, "A dog with a frisbee and two sticks."]) == ()
    assert unsupported("Two dogs.", [*DOG, "Two dogs."]) == ()


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("Europe, you charmer.", "An old European cathedral."),
        ("The 2 of them run.", "Two dogs run."),
        ("Hundreds of windows.", "A tower with hundreds of windows."),
        ("Rex runs. #Rex #Malibu", "Rex runs in Malibu."),
        ("Rails. #Streetcar", "A street with streetcar rails."),
    ],
)
def test_what_a_description_says_may_be_said_in_another_form(text: str, source: str) -> None:
    assert unsupported(text, [source]) == ()


def test_an_insult_that_is_glued_to_a_word_is_one() -> None:
    text = Text(body=GOOD, hashtags=("#stupiddog",))
    assert Fault.INSULT in check(text, Voice(hashtags=1), DOG)
    assert Fault.AVOIDED in check(Text(body=GOOD, hashtags=("#beachdog",)), Voice(avoid=("beach",)), DOG)


def test_what_goes_without_saying_is_supported() -> None:
    assert {"paw", "sand", "ocean"} <= supported(DOG)
    assert "cat" not in supported(DOG)


@pytest.mark.parametrize(
    ("answer", "body", "tags"),
    [
        ("Run, dog, run. #Beach #Dog", "Run, dog, run.", ("#Beach", "#Dog")),
        ('"Run, dog, run."\n#Beach', "Run, dog, run.", ("#Beach",)),
        ("<think>tone: quirky</think>Run, dog, run.", "Run, dog, run.", ()),
        ("Here is a caption:\n```\nRun, dog, run.\n```", "Run, dog, run.", ()),
        ("soft paws\nwide sand\nno clock", "soft paws / wide sand / no clock", ()),
        ("1. Run, dog.\n2. Run along.", "Run, dog.", ()),
        ("soft paws / / / and/or sand / / #Sand", "soft paws / and/or sand", ("#Sand",)),
        ("", "", ()),
        ("Run #Beach #Beach", "Run", ("#Beach",)),
        ("Run\u202e, dog\x00.", "Run , dog .", ()),
    ],
)
def test_an_answer_is_taken_apart(answer: str, body: str, tags: tuple[str, ...]) -> None:
    parsed = parse(answer)
    assert (parsed.body, parsed.hashtags) == (body, tags)


GOOD = "All paws and no plans: this dog has the whole beach to itself."


@pytest.mark.parametrize(
    ("text", "voice", "fault"),
    [
        (Text(body="I'm sorry, but I can't help with that, it is a dog."), MEDIUM, Fault.REFUSAL),
        (Text(body="This dog and this cat own the beach, and they know it."), MEDIUM, Fault.UNSUPPORTED),
        (Text(body="What an idiot of a dog, running along the whole beach."), MEDIUM, Fault.INSULT),
        (Text(body=GOOD, hashtags=("#StupidDog",)), Voice(hashtags=1), Fault.INSULT),
        (Text(body=GOOD), Voice(avoid=("Paws",)), Fault.AVOIDED),
        (Text(body=GOOD * 3), MEDIUM, Fault.TOO_LONG),
        (Text(body="A dog."), MEDIUM, Fault.TOO_SHORT),
        (Text(body=GOOD), Voice(hashtags=2), Fault.HASHTAGS),
        (Text(body=GOOD + " \U0001f415"), MEDIUM, Fault.EMOJI),
        (Text(body=GOOD + " \U0001f415\U0001f30a\u2728"), Voice(emoji=True), Fault.EMOJI),
        (Text(body="Tone: quirky. A dog runs along the whole long beach."), MEDIUM, Fault.ECHO),
    ],
)
def test_each_fault_is_found(text: Text, voice: Voice, fault: Fault) -> None:
    assert check(text, voice, DOG) == (fault,)


@pytest.mark.parametrize("body", ["", "\u2728", "..."])
def test_a_text_without_words_is_none(body: str) -> None:
    assert Fault.EMPTY in check(Text(body=body), MEDIUM, DOG)


def test_a_good_text_has_no_fault() -> None:
    assert check(Text(body=GOOD), MEDIUM, DOG) == ()
    assert (
        check(Text(body=GOOD + " \U0001f415", hashtags=("#BeachDog",)), Voice(hashtags=1, emoji=True), DOG)
        == ()
    )


def test_a_word_of_the_description_is_no_insult() -> None:
    assert (
        check(Text(body="A fool in a play bows low, and nobody minds it."), MEDIUM, ["A fool in a play."])
        == ()
    )


def test_what_can_be_taken_away_is() -> None:
    text = Text(body=f"{GOOD} A cat watches. \U0001f415", hashtags=("#BeachDog", "#Cats", "#Sand", "#Dog"))
    mended = mend(text, Voice(hashtags=2), DOG)
    assert mended.body == GOOD
    assert mended.hashtags == ("#BeachDog", "#Sand")
    assert set(mended.removed) == {"#Cats", "#Dog", "A cat watches.", "\U0001f415"}
    assert check(mended, Voice(hashtags=2), DOG) == ()


@pytest.mark.parametrize(
    ("signs", "wrong"),
    [
        ("\U0001f418", "\U0001f418"),
        ("\U0001f436\U0001f30a", ""),
        ("\U0001f60e\U0001f525", ""),
        ("\U0001f431", "\U0001f431"),
    ],
)
def test_an_emoji_shows_no_thing_that_is_not_there(signs: str, wrong: str) -> None:
    said = Text(body=f"A dog runs along the beach. {signs}")
    assert (Fault.EMOJI in check(said, Voice(emoji=True), DOG)) == bool(wrong)
    left = mend(said, Voice(emoji=True), DOG).body
    assert left == f"A dog runs along the beach. {signs.replace(wrong, '') if wrong else signs}".strip()


def test_a_long_text_ends_with_a_sentence() -> None:
    mended = mend(Text(body=f"{GOOD} {GOOD} {GOOD}"), MEDIUM, DOG)
    assert mended.body == f"{GOOD} {GOOD}"
    assert mend(Text(body="A dog " * 60), Voice(length=Length.SHORT), DOG).body == ""


def test_a_good_text_is_left_alone() -> None:
    text = Text(body=GOOD, hashtags=("#BeachDog",))
    assert mend(text, Voice(hashtags=1), DOG) == text

"""What language models say around their answers: thoughts, fences, JSON, tags, lead-ins, emphasis, quotes.

`clean_lines` takes it away, and leaves every ordinary caption as it is.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Callable, Sequence

MAX_CHARS = 4_000
"""What is looked at of an answer, after its thoughts. No caption is that long."""


def clean_lines(answer: str) -> list[str]:
    """What a model meant, line by line. Of a list of proposals, the first; empty where nothing is left.

    Of JSON, the caption, and a last line of its "hashtags". JSON without a caption gives nothing.
    """
    text = _after_tokens(_without_thoughts(answer).strip(_BLANK)[:MAX_CHARS])
    text = _settled(text, _STEPS)
    if _NOTHING.fullmatch(text):
        return []
    lines = (_settled(" ".join(line.split()), _LINE_STEPS) for line in text.splitlines())
    return [line for line in lines if _says_something(line)]


def may_lead_in(unfinished: str) -> bool:
    """Whether an answer, as far as it has come, may begin with something that `clean_lines` takes away."""
    text = unfinished.lstrip(_BLANK)
    if text.startswith(_MARKS) or _THINKING.match(text) or _NUMBER_OF_ITEM.fullmatch(text):
        return True
    leads = _MAY_LEAD.match(text) and ":" not in text and "\n" not in text
    return bool(leads) and len(text) < _LEAD_CHARS


_BLANK = " \t\r\n\f\v\ufeff\u200b\u2060"


def _settled(text: str, steps: Sequence[Callable[[str], str]]) -> str:
    """The text after all steps, again and again until none changes it."""
    for _ in range(_MAX_LAYERS):
        before = text
        for step in steps:
            text = step(text).strip(_BLANK)
        if text == before:
            break
    return text


_MAX_LAYERS = 20  # of wrapping


def _says_something(line: str) -> bool:
    """Whether a line has a letter, a digit or an emoji."""
    return any(unicodedata.category(character) == "So" or character.isalnum() for character in line)


_NOTHING = re.compile(
    r"\W{0,9}(?:n/?a|none|null|nil|undefined|error|unknown|sorry|i can't|i can\u2019t|i cannot|(?:there is )?"
    r"no (?:caption|description|answer|response|output|image|photo|picture)"
    r"(?: (?:available|provided|possible|generated|found))?)\W{0,9}",
    re.IGNORECASE,
)

# -- thoughts ------------------------------------------------------------------------------------------------

_THOUGHT_TAG = re.compile(
    r"(?:<\|?|&lt;|\u25c1|\[(?=/?think))(?P<closing>/|end_(?:of_)?)?(?:(?:begin|start)_(?:of_)?"
    r"|[a-z]{1,12}:|ant)?"
    r"(?:(?:think|thinking|thought|reasoning)(?:[_-]process)?|thoughts|reason|reflect"
    r"|reflection|analysis|plan"
    r"|planning|rationale|scratchpad|cot|chain[_-]of[_-]thought|(?:inner|internal)[_-]monologue|details)"
    r"(?:\s[^<>\]]{0,200})?(?:\|?>|&gt;|\u25b7|\])"
    r"|<unused94>|(?P<ends><unused95>|\.\.\.done thinking\.)",
    re.IGNORECASE,
)
_IN_A_SENTENCE = re.compile(r"[ \t]*(?:[a-z]|[\"'\u201d\u2019][ \t])")  # after a closing tag: it's only named


def _without_thoughts(answer: str) -> str:
    """Without what stands between tags of thoughts, or before a closing tag whose opening one was not sent.

    A tag that is never closed counts at the start alone: "A man in a <think> T-shirt" is a caption.
    """
    kept: list[str] = []
    start, opened = 0, -1
    for tag in _THOUGHT_TAG.finditer(answer):
        if tag["closing"] or tag["ends"]:
            if opened < 0:
                if _IN_A_SENTENCE.match(answer, tag.end()):
                    continue
                kept.clear()
            start, opened = tag.end(), -1
        elif opened < 0:
            kept.append(answer[start : tag.start()])
            opened = tag.start()
    if opened < 0:
        return "".join((*kept, answer[start:]))
    said = "".join(kept)
    return said + answer[opened:] if said.strip(_BLANK) else ""


# -- tokens of templates, and channels -----------------------------------------------------------------------

_TOKEN = (
    r"(?:<[|\uff5c][^<>\n]{1,40}[|\uff5c]>|</?s>|\[/?INST\]"
    r"|<(?:eos|bos|pad|end_of_turn|start_of_turn|end_of_utterance)>)"
)
_FIRST_TOKENS = re.compile(rf"(?:\s*{_TOKEN}(?:\s*(?:assistant|model)(?=\s*(?:\n|<)))?)+")
_NEXT_TOKEN = re.compile(_TOKEN)
_BOX = re.compile(
    r"<\|begin_of_(?:box|solution|answer)\|>(.*?)(?:<\|end_of_\w+\|>|\Z)|\\boxed\{(?:\\text\{)?([^{}]*)\}",
    re.DOTALL,
)
_CHANNEL = re.compile(r"(?:<\|start\|>assistant)?<\|channel\|>")
_FINAL = re.compile(
    r".*<\|channel\|>\s*final\b[^<]*<\|message\|>|analysis.*assistant\s*final|\[INST\].*\[/INST\]", re.DOTALL
)


def _after_tokens(text: str) -> str:
    """What the tokens of chat templates enclose, where a server leaves them in."""
    if final := _FINAL.match(text):
        text = text[final.end() :]
    elif _CHANNEL.match(text):
        return ""
    if box := _BOX.search(text):
        text = box[1] or box[2] or ""
    if first := _FIRST_TOKENS.match(text):
        text = text[first.end() :]
    return _NEXT_TOKEN.split(text, maxsplit=1)[0]


# -- Markdown, JSON and tags ---------------------------------------------------------------------------------

_LINE_MARKS = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+(?!of\b)|>[ \t]+(?!\d)|(?:[-*_=][ \t]?){3,}$)", re.MULTILINE)
_FENCE = re.compile(
    r"(?P<mark>`{3,}|~{3,})(?:[\w+-]*[ \t]*\n|(?:json|text|markdown|plaintext)\b)?\s*(?P<inside>.*?)"
    r"\s*(?:(?P=mark)|\Z)",
    re.DOTALL,
)
_BOLD = re.compile(r"(\*{2,3})(?=[^\s*])([^*]*[^\s*])\1(?!\*)")
_ITALIC = re.compile(
    r"(?<![\w*])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![\w*])|\A(_{1,3})(?=[^\s_][^\n]*\s)([^\n]*[^\s_])\2\Z"
)


def _without_line_marks(text: str) -> str:
    """Without the marks of headings and quotations, and without rules."""
    return _LINE_MARKS.sub("", text)


def _out_of_fence(text: str) -> str:
    return fence["inside"] if (fence := _FENCE.match(text)) else text


def _without_emphasis(text: str) -> str:
    if "*" not in text and not text.startswith("_"):
        return text
    text = _BOLD.sub(r"\2", text)
    text = _ITALIC.sub(lambda found: found[1] or found[3], text)
    return text.removeprefix("**") if text.count("**") == 1 else text


_ENCLOSING = r"(?:\w+_)?caption|answer|response|output|description|sentence|result|text|alt_text"
_CONCLUSION = r"conclusion|final_\w+|final|answer"
_TAGGED = (
    re.compile(rf"<({_CONCLUSION})>(.+?)</\1>", re.DOTALL | re.IGNORECASE),
    re.compile(
        rf"\A<({_CONCLUSION}|{_ENCLOSING})>(.*?)(?:</\1>.*)?\Z",
        re.DOTALL | re.IGNORECASE,
    ),
    re.compile(
        rf"<({_ENCLOSING}|p|b|i|em|strong|div|span|q|figcaption|blockquote|alt)(?:\s[^<>]{{0,100}})?>"
        r"(.+?)</\1>",
        re.DOTALL | re.IGNORECASE,
    ),
)


def _out_of_tags(text: str) -> str:
    """What the tags of an answer enclose; first what they call its end."""
    if "<" not in text:
        return text
    return next((tagged[2] for each in _TAGGED if (tagged := each.search(text))), text)


_SAYS_THE_CAPTION = re.compile(
    r"(?!error)(?:.*(?:caption|descri|sentence|alt.?text|answer|response|styled|unterschrift|beschreibung"
    r"|légende|leyenda|pie.?de.?foto)|(?:text|alt|output|result|content)\Z)",
    re.IGNORECASE,
)
_LOOSE = re.compile(
    r"[{,]\s*[\"']?(?P<key>[\w -]+)[\"']?\s*:\s*(?P<mark>[\"'])(?P<text>.+?)(?P=mark)(?=\s*(?:[,}]|\Z))",
    re.DOTALL,
)


def _out_of_json(text: str) -> str:
    """The caption in a JSON object, or the first in a list, and its hashtags; nothing of other objects."""
    if not text.startswith(("{", "[")):
        return text
    try:
        given, end = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        if text.startswith("[") or not re.search("[\"']", text):
            return text
        pairs = {pair["key"]: pair["text"] for pair in _LOOSE.finditer(text)}  # nearly JSON
        return _caption_in(pairs)
    return _caption_in(given) if given or end == len(text) else text


def _caption_in(given: object, depth: int = 4) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, list) and given and depth:
        return _caption_in(given[0], depth - 1)
    if not isinstance(given, dict) or not depth:
        return ""
    keys = sorted(
        (key for key in given if _SAYS_THE_CAPTION.match(key)), key=lambda key: "caption" not in key
    )
    inner = [given[key] for key in keys] or [given.get("data")]
    text = next((said for each in inner if (said := _caption_in(each, depth - 1))), "")
    return "\n".join((text, _hashtags_in(given))) if text else ""


def _hashtags_in(given: dict[str, object]) -> str:
    tags = given.get("hashtags")
    words = [tag.lstrip("#") for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return " ".join(f"#{word}" for word in words if re.fullmatch(r"\w+", word))


# -- lead-ins ------------------------------------------------------------------------------------------------

# What only a lead-in speaks of, and what a caption may speak of, too.
_NOUN = (
    r"(?:(?:caption|description|sentence|suggestion|option|rewrite|rephrasing)s?|alt(?:ernative)?[- ]text"
    r"|\w*(?:unterschrift|bildtext|beschreibung|beschriftung|vorschlag"
    r"|alternativtext)(?:en)?"
    r"|vorschläge|légendes?|propositions?|texte alternatif|pies? de foto|descripci(?:ón|ones)"
    r"|leyendas?|sugerencias?|propuestas?|texto alternativo|didascali[ae]|legendas?)"
)
_LABEL = (
    r"(?:answer|response|output|title|headline|summary|assistant|ai|bot|json|image|photo"
    r"|picture|antwort|satz|titel|bild|foto|imagen"
    r"|ausgabe|phrase|réponse|titre|résumé|frase|respuesta|título|resumen|oración)"
)
_KIND = (
    r"(?:(?:image|photo|picture|newspaper(?:'s)?|news|press|media|suggested|possible|potential|proposed|final"
    r"|short|shorter|simple|plain|brief|concise|one|single|one-sentence|single-sentence|alternative|generated"
    r"|updated|revised|rewritten|new|good|fitting|appropriate|suitable|neutral|styled|restyled|quirky|catchy"
    r"|instagram|newspaper-style|english|visual|detailed|first|requested|descriptive|factual"
    r"|gewünschte|mögliche|kurze|neue|passende|vorgeschlagene|finale|deutsche|nouvelle"
    r"|petite|courte|simple|possible|brève|posible|nueva|breve|corta)\s+)"
)
_THE = r"(?:the|my|your|die|der|mein|meine|eine|la|le|ma|une|una|el|un)\s+"
_NUMBER = r"(?:\s*(?:#|no\.?)?\s*(?:\d{1,2}|[A-C]))?"
_FOR = (
    r"(?:\s+(?:for|of|in|with|as|für|zu|des|de|du|pour|para|proposée|suggérée|possible|sugerida|propuesta"
    r"|posible|(?=\())[^:\n]{0,60})?"
)
_COLON = r"\s*[:\uff1a]\s*"
_LABELLED = (
    rf"(?!one option|option \d[^\n]*\boption \d)(?:{_THE})?{_KIND}{{0,4}}{_NOUN}{_NUMBER}"
    rf"(?:{_FOR}(?:{_COLON}|[ \t]*\n\s*)|\s+[-\u2013\u2014]\s+)|an?\s+{_KIND}{{1,4}}{_NOUN}{_FOR}{_COLON}"
)
_WEAK_LABELLED = rf"{_KIND}{{0,3}}{_LABEL}(?:{_COLON}|[ \t]*\n\s*)"

_YES = (
    r"(?:sure(?: thing)?|of course|certainly|absolutely|natürlich|gern(?:e)?|sehr gerne?|selbstverständlich"
    r"|bien sûr|avec plaisir|certainement|claro(?: que sí)?|por supuesto|con (?:mucho )?gusto)"
)
_YES_PLEASED = (
    r"(?:i'd be (?:happy|glad|delighted) to|happy to help|glad to help|i can (?:certainly )?help with"
    r"|great question|good question"
    r"|got it|no problem|(?:thank you|thanks) for (?:sharing|providing|uploading|sending"
    r"|(?:the|your|this) (?:\w+ )?(?:photo|image|picture|request|question)))[^!.:\n]{0,80}"
)
_SOFT_YES = (
    rf"(?:okay|ok|alright|yes|great|perfect|understood|klar|sicher|d'accord|vale|{_YES}|{_YES_PLEASED})"
)
_HERE = (
    r"(?:here(?:'s| is| are)|below (?:is|are)|the following|this is|hier(?: ist| sind| kommt| wäre| haben sie"
    r"| hast du)?|est[ae] es|voici|voilà"
    r"|aquí (?:tienes?|están?|va|te dejo|hay)|te dejo|aqui (?:está|vai|tem)|ecco)"
)
_NO_THING = (
    r"(?!(?:with|of|in|on|at|by|and|who|that|which|near|under|holding|reading|saying|showing"
    r"|wearing|mit|auf|und|das|avec|sur|et|qui|con|sobre|y|que)\b)"
)
_WORDS = rf"(?:{_NO_THING}[\w'-]+,?\s+){{0,10}}?"
_ENDS_LEAD = rf"(?:{_COLON}|\.?[ \t]*\n\s*|\.\s+)"
_HERE_LEAD = (
    rf"{_HERE}\s+{_WORDS}(?:{_NOUN}\b(?:[^:.\n]{{0,200}}{_ENDS_LEAD}|\.?\Z)|(?:{_LABEL}|one"
    r"|one-liner|attempt|draft|version|result)\s*:\s*)"
    r"|(?:here you (?:go|are)|here it is|here goes|bitte sehr|bitte schön|voilà|voici"
    r"|aquí (?:está|va|tienes))"
    r"\s*[:!.]\s*"
)
_BE = (
    r"(?:is|are|would be|could be|might be|may be|can be|(?:could|would|might) read|as follows"
    r"|lautet|wäre|ist"
    r"|könnte lauten|könnte sein|est|serait|pourrait être|es|sería|podría ser)"
)
_STATED = (
    rf"(?:the|my|an?|one|die|der|mein|meine|eine?|la|le|ma|une|una?|el)\s+{_KIND}{{0,4}}"
    rf"(?:{_NOUN}\b[^:.\n]{{0,80}}?\b{_BE}\s*(?::|\n)|(?:final )?{_LABEL}\s+{_BE}\s*:)\s*"
    r"|i(?:'d|'ll| would| will)\s+(?:(?:caption|describe|summari[sz]e)\b[^:.\n]{0,60}|(?:call"
    r"|title|say|suggest)(?: it| this)?\s*):\s*"
    r"|(?:the|this)\s+(?:image|photo|picture)\s+(?:can|could|may|might|would)\s+be\s+"
    r"(?:described|captioned|summari[sz]ed)\b[^:.\n]{0,60}:\s*"
    r"|(?:how about|try)(?: this(?: one)?| something like)?\s*:\s*|let me (?:describe"
    r"|caption)\b[^:.\n]{0,40}:\s*"
    r"|(?:in (?:one|a single|a short|plain) (?:sentence|line|word)|as requested|to describe th"
    rf"|as an? {_KIND}{{0,3}}{_NOUN})"
    r"[^:.\n]{0,40}:\s*"
)
_BASED = (
    r"(?:based on|for|from|given|looking at|judging by|as requested|basierend auf|d'après"
    r"|según)\b[^:.\n]{0,80},\s*"
)
_SIGN = r"(?:\u00a1|[\u2600-\u27bf\U0001f300-\U0001faff]\ufe0f?\s*)?"
_THINKS = (
    r"(?:(?:okay|ok|alright|all right|hmm+|so)\b[,.]? (?:so,? )?(?:let me (?:think|see|analy"
    r"|look|describe|start|try)"
    r"|let's see|the user|i need to|i'm looking)|the user (?:wants|is asking|asks|asked|has|provided)"
    r"|let me (?:think(?:[.:\u2026]| about| through| carefully| step)|analy|describe|start by|look at the)"
    r"|(?:we|i) (?:need|have|should)(?: to)? (?:describe|write|produce|create|craft|caption|come up|rewrite))"
)
_THINKING = re.compile(_THINKS, re.IGNORECASE)
_MARKS = tuple("{[<*_\"'`#>~\u201c\u201e\u00ab\u00bb\u2018\u2039\u203a\u300c\u25c1&\\")
_MAY_LEAD = re.compile(
    rf"\W*(?:(?:{_SOFT_YES}|{_HERE}|here|hier|aquí|based on|for this|i'd|i would)\b"
    rf"|(?:{_THE}|an?\s+|one\s+)?{_KIND}{{0,4}}(?:\Z|(?:{_NOUN}|{_LABEL})\b))",
    re.IGNORECASE,
)
_LEAD_CHARS = 160


@functools.cache
def _lead() -> re.Pattern[str]:
    """Compiled when it is needed, for that takes longer than to import all else here."""
    return re.compile(
        rf"{_SIGN}(?:(?:{_SOFT_YES}(?:\s?[!,.:])*\s+(?:[-\u2013\u2014]\s+)?){{0,2}}(?:{_BASED})?"
        rf"(?:{_HERE_LEAD}|{_STATED})"
        rf"|(?:{_YES}|{_YES_PLEASED})(?:\s?[!:]\s+|\.?[ \t]*\n\s*)|(?:{_YES_PLEASED})\.\s+"
        rf"|{_LABELLED}|{_WEAK_LABELLED}|\[{_NOUN}\]:?\s+)",
        re.IGNORECASE,
    )


@functools.cache
def _thought_aloud() -> re.Pattern[str]:
    return re.compile(
        r"\W*(?:(?:(?:here(?:'s| is) )?(?:my |the )?thought process|thoughts?|thinking|reasoning|analysis"
        rf"|rationale)\W*:|{_THINKS}).*\n[\W_]{{0,20}}(?=(?:{_LABELLED}|{_WEAK_LABELLED}|{_HERE_LEAD}))",
        re.IGNORECASE | re.DOTALL,
    )


def _without_lead(text: str) -> str:
    plain = text.replace("\u2019", "'")
    if aloud := _thought_aloud().match(plain):
        return text[aloud.end() :]
    if lead := _lead().match(plain):
        return text[lead.end() :]
    return "" if _THINKING.match(plain) else text


# -- lists ---------------------------------------------------------------------------------------------------

_ITEM = re.compile(
    r"^[ \t]*(?:\(?(?P<number>\d{1,2})[.)]|\d\ufe0f?\u20e3|[a-cA-C]\)(?![^\n]*\b[b-dB-D]\))"
    r"|[-*\u2022\u25aa\u25e6\u00b7\u2013\u2014\u2192\u25ba\u2460-\u2464]"
    rf"|{_KIND}{{0,2}}(?:{_NOUN}|version|variante?|alternative|choice|opción|opzione)\s*#?(?:\d{{1,2}}|[A-C])"
    r"\s*[:.)\u2013-](?![^\n]*\boption\s*\d))\s+",
    re.MULTILINE | re.IGNORECASE,
)
_NUMBER_OF_ITEM = re.compile(r"(?:\(?\d{1,2}[.)]|\d\ufe0f?\u20e3)\s*")
_ORDINAL = re.compile(
    r"(?:f+c|liga|bundesliga|januar|februar|märz|april|mai|juni|juli|august|september|oktober|november"
    r"|dezember|advent|weltkrieg|klasse|platz|preis)\b",
    re.IGNORECASE,
)


def _first_of_list(text: str) -> str:
    """The first of a list of proposals. "3. Liga players", "1. FC" and "1. Mai" begin no list."""
    items = [item for item in _ITEM.finditer(text) if not _ORDINAL.match(text, item.end())]
    if not items:
        return text
    first = items[0]
    is_list = len(items) > 1 or (first.start() == 0 and int(first["number"] or 1) == 1)
    if not is_list:
        return text
    end = items[1].start() if len(items) > 1 else len(text)
    return re.split(r"\n\s*\n", text[first.end() : end].strip())[0]


# -- what follows --------------------------------------------------------------------------------------------

_OFFER = re.compile(
    r"(?:\n[^\S\n]*|(?<=[.!?\"\u201d*)])[^\S\n]+)[*_(\[]*"
    r"(?:let me know (?:if|how|whether) (?:you(?:'d| would| want| need|\u2019d)|this|i|it)"
    r"|would you like (?:me|another|a different|any|to (?:adjust|change|see another))"
    r"|do you want me|want me to|feel free to (?:ask|adjust|edit|modify|let|use)"
    r"|(?:i )?hope (?:this|that) (?:(?:helps|works)(?: you)?[.!]|meets|caption)|is there anything else"
    r"|if you(?:'d|\u2019d| would)? (?:like|want|need) (?:me|another|a different|any|more)"
    r"|lassen sie (?:es )?mich wissen|soll ich|möchten sie,? dass ich|n['\u2019]hésitez pas"
    r"|souhaitez-vous|\u00bf?(?:quieres|te gustaría|deseas) que|avísame|házmelo saber"
    r"|\d+ (?:words|characters)[)\]]).*\Z"
    r"|\n[^\S\n]*[*_(\[]*(?:note|explanation|word count|character count|words|reasoning|rationale"
    r"|anmerkung|hinweis"
    r"|remarque|nota)\b[*_]*\s*:.*\Z"
    r"|\n[^\S\n]*(?:(?:alternatively|this caption|diese bildunterschrift|cette légende|esta descripción)\b"
    r"|(?:or|oder|ou|o)[.:]*[ \t]*\n).*\Z",
    re.DOTALL | re.IGNORECASE,
)


def _without_offer(text: str) -> str:
    """Without what models add: offers, notes, counts of words."""
    return _OFFER.sub("", text)


# -- quotation marks -----------------------------------------------------------------------------------------

_QUOTES = {
    '"': '"',
    "'": "'",
    "`": "`'",
    "\u201c": '\u201d\u201c"',
    "\u201d": "\u201d",
    "\u201e": '\u201c\u201d"',
    "\u2018": "\u2019'",
    "\u201a": "\u2018\u2019",
    "\u00ab": "\u00bb",
    "\u00bb": "\u00ab",
    "\u2039": "\u203a",
    "\u203a": "\u2039",
    "\u300c": "\u300d",
    "\u300e": "\u300f",
    "\u2019": "\u2019",
    "(": ")",
    "[": "]",
}
_DOUBLED = re.compile(r"(?P<mark>''|``|\"{2,3})\s*(?P<inside>[^\"`]+?)\s*(?:(?P=mark)|'')", re.DOTALL)
_SHORTENED = re.compile(r"['\u2019\u2018](?:tis|twas|til|em|cause|n)\b", re.IGNORECASE)


def _unquoted(text: str) -> str:
    """Without the quotation marks around all of it; with them where one stands inside as well."""
    if doubled := _DOUBLED.fullmatch(text):
        return doubled["inside"]
    closing = _QUOTES.get(text[:1])
    if closing is None or _SHORTENED.match(text):
        return text
    quoted = text.rstrip(".,;!?")
    marks = re.escape(text[0] + closing)
    if len(quoted) < 2 or quoted[-1] not in closing:
        alone = text[0] not in "'`\u2019([" and not re.search(f"[{marks}]", text[1:])
        return text[1:] if alone else text
    inside, after = quoted[1:-1].strip(), text[len(quoted) :]
    if re.search(rf"(?<!\w)[{marks}]|[{marks}](?!\w)", inside):
        return text
    return inside if inside.endswith((".", "!", "?")) else inside + after.strip(",;")


_STEPS = (
    _without_line_marks,
    _out_of_fence,
    _out_of_json,
    _out_of_tags,
    _without_emphasis,
    _first_of_list,
    _without_lead,
    _without_offer,
    _unquoted,
)
_LINE_STEPS = (_without_emphasis, _unquoted)

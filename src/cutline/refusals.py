"""Whether a language model says that it will not, or cannot, instead of answering: in four languages.

A refusal is told by how it begins. A caption may quote one: 'A sign reads "I can't help falling in love".'
"""

from __future__ import annotations

import functools
import re


def is_refusal(text: str) -> bool:
    """Whether a model says that it will not or cannot, or that there is no photo, instead of answering."""
    said = " ".join(text.replace("\u2019", "'").replace("\u2018", "'").split()).lstrip(
        "\"'*_([\u201c\u201e\u00bf\u00a1"
    )
    return bool(_refusal().match(said))


# -- English -------------------------------------------------------------------------------------------------

_PHOTO = r"(?:images?|photos?|pictures?|photographs?|pics?)"
_TASK = (
    rf"(?:{_PHOTO}|captions?|descriptions?|requests?|attachments?|files?|links?|visuals?|content"
    r"|individuals?|identity"
    r"|people|persons?|guidelines|sentences?)\b"
)
_NAMED = rf"(?:[^.!?]{{0,60}}?\b{_TASK}|[^.!?]{{0,30}}\b(?:that|this|it)(?: here)?[.!,;])"
_ABLE = r"(?:unable|not able|not allowed|not permitted|not authori[sz]ed|not equipped|not designed) to"
_CANNOT = (
    r"(?:(?:i|we) (?:\w+ly )?(?:can't|cannot|can not|couldn't|could not|(?:won't|will not"
    r"|wouldn't|would not) be able to|won't|will not|should not|shouldn't|don't think i can)"
    rf"|(?:i|we)(?:'m|'re| am| are| was| were)(?: \w+ly)? {_ABLE}|(?:i|we) (?:wasn't|weren't) able to"
    rf"|cannot|can't|can not|could not|couldn't|{_ABLE}|failed to)(?: \w+ly)?"
)
_DO = r"(?:describ|identif|provid|writ|creat|generat|caption|discuss|comment|assist|help|shar|analy|mak)\w*"
_VERBS = (
    r"(?:describe|identify|provide|comply|process|analy[sz]e|fulfil|caption|assist|do (?:that"
    r"|this|so)\b|be (?:certain|sure) what (?:this|the)\b"
    r"|help(?: you)?(?: with\b| here\b| (?:describ|identif|writ|creat)\w*|[.!,;])"
    r"|(?:see|view|look|make|tell|write|create|generate|determine|recogni[sz]e|discuss|comment"
    r"|engage|confirm|verify|say"
    r"|produce|access|display|open|load|read|answer|respond|perform|continue|interpret|give|offer|share|infer"
    r"|speculate|assess|evaluate|judge|craft|compose|rewrite|rephrase|summari[sz]e|detect|find|perceive"
    rf"|retrieve|download|complete|accept|accommodate|proceed)\b {_NAMED})"
)
_SENT = r"(?:attach|upload|provid|includ|shar|send|sent|giv|receiv)\w*"
_ENGLISH = (
    rf"{_CANNOT} {_VERBS}",
    r"(?:i'm|i am|we're|we are) (?:(?:so|very|really|truly|deeply|terribly) )?sorry\b",
    r"sorry[,.!;:]* but\b",
    r"i (?:\w+ )?apologi[sz]e(?:[,.;!]| but\b| that\b| for (?:the|any) (?:confusion|inconvenience))",
    r"(?:my )?apologies[,.;!]* (?:but|i)\b",
    r"as (?:an ai\b|an artificial intelligence|a (?:[\w-]+ ){0,2}language model|a text-(?:based|only))",
    r"(?:i'm|i am) (?:(?:just|only|merely) )?an? (?:ai\b|(?:[\w-]+ ){0,2}language model|text-(?:based|only))",
    rf"(?:i|we) (?:\w+ly )?(?:decline|refuse) to {_DO}",
    r"(?:i|we)(?:'ll have to|'m going to have to| am going to have to| must| have to| need to"
    r"| will have to)(?: \w+ly)? (?:decline|refuse)"
    rf"(?: to {_DO}|[.,!;]| this\b| that\b| your\b)",
    rf"i(?:'d| would)? (?:rather|prefer) not (?:to )?{_DO}",
    r"(?:(?:i'm|i am) not|i (?:do not|don't|wouldn't|would not) feel) (?:\w+ly )?comfortable"
    rf" (?:with )?(?:{_DO}|this\b|that\b)",
    r"(?:i (?:don't|do not) think )?it(?:'s| is| would be| isn't) (?:not )?(?:in)?appropriate"
    rf"(?: for me)? to {_DO}|it(?:'s| is) (?:not possible|impossible)(?: for me)? to {_DO}",
    rf"i (?:don't|do not) (?:describe|identify|recogni[sz]e|caption|comment|generate) {_NAMED}",
    rf"(?:i'm|i am) not seeing (?:[^.!?]{{0,20}}\b)?{_PHOTO}|i see no {_PHOTO}\b",
    r"i(?:'m| am)? (?:can )?only [^.!?]{0,40}\btext\b",
    rf"there (?:was|is|seems to be|appears to be) an? (?:issue|problem|error) (?:with|process|load|view)\w*"
    rf" (?:the|your|this) (?:{_PHOTO}|request)",
    r"there (?:isn't|is not|does(?:n't| not) (?:appear|seem) to be) (?:an?"
    rf"|any) (?:\w+ )?{_PHOTO}(?:[.!]| {_SENT})",
    rf"{_DO} [^.!?]{{0,40}}\b(?:would|could|may|might) (?:violate|be against|go against|be inappropriate)",
    r"your request (?:was|has been) (?:rejected|blocked|declined|flagged)|content (?:was )?filtered\b",
    rf"if you (?:can |could )?{_SENT} [^.!?]{{0,40}}\b{_PHOTO}\b[^.!?]{{0,20}}\bi\b",
    rf"i need (?:an?|the|your) (?:\w+ )?{_PHOTO} (?:to (?:describe|caption|see)|in order|before|first)",
    rf"(?:i'm|i am) not (?:sure|certain) what (?:the|this|your) {_PHOTO}",
    r"(?:i'm|i am) (?:having|experiencing) (?:trouble|difficulty|difficulties|issues|problems)"
    r" (?:with|view|see|load|access|process|open|identify)\w*",
    r"(?:i|we) (?:(?:do not|don't|did not|didn't|haven't|have not|can't|cannot) (?:\w+ ){0,2}"
    r"(?:see|have|find|detect|received?|possess|get(?= an?\b))|have no|lack) (?:[^.!?]{0,40}\b)?"
    rf"(?:{_PHOTO}|attachments?|files?|access|abilit(?:y|ies)|capabilit(?:y|ies)|permission"
    r"|way to see|eyes|anything attached)\b",
    r"(?:i|i'd|i would|i'll) (?:\w+ )?need (?:to (?:see|view|look at)|you to"
    rf"|access)\b[^.!?]{{0,40}}{_PHOTO}",
    rf"(?:i'd|i would|i'll|i will) (?:be )?(?:[\w ]+ )?(?:happy|glad|love) to {_DO}[^.!?]{{0,80}}"
    r"\b(?:but|once|as soon as|if you (?:can|could|share|provide|upload|attach|send))\b",
    rf"(?:there (?:\w+ ){{1,4}}|there's )?(?:no|not an?|not any) (?:\w+ ){{0,2}}(?:{_PHOTO}|attachment|file)"
    rf"(?:[.!]| (?:(?:was|were|is|are|has been|have been|actually) )?(?:{_SENT}|found|available|detected"
    r"|to (?:describe|caption|see|view|analy[sz]e)\b|in (?:your|this) (?:message|request|prompt"
    r"|conversation)))",
    rf"(?:it (?:seems|looks like|appears) )?you (?:haven't|have not|didn't|did not|forgot to)"
    rf" (?:\w+ ){{0,2}}{_SENT}",
    rf"(?:(?:the|this|that|your) (?:\w+ )?)?(?:{_PHOTO}|requests?|content|link|file"
    r"|attachment) (?:you \w+ )?(?:"
    r"(?:violates?|goes against|is against|is inappropriate|may violate)\b"
    r"|(?:cannot|can't|could not|couldn't|can not) be (?:\w+ly )?(?:describ|process|display|load|shown|open"
    r"|view|read|caption|analy|access|fulfil|complet)"
    r"|(?:is not|isn't|was not|wasn't) (?:\w+ly )?(?:available(?! in)|attached|uploaded|provided"
    r"|included|accessible)"
    r"|(?:is|seems to be|appears to be) (?:missing[.!,;]|unavailable|inaccessible)"
    r"|contains? (?:\w+ )?(?:inappropriate|explicit|sensitive|prohibited) (?:content|material)"
    r"|(?:did not|didn't|failed to|has not|hasn't|doesn't seem to) (?:\w+ )?(?:load|upload"
    r"|come through|attach))",
    rf"{_PHOTO} (?:is |was )?(?:not (?:available|found|provided|attached|accessible|supported)|unavailable)",
    rf"(?:the )?{_PHOTO} you \w+ is (?:blank|empty|corrupted|broken)",
    r"(?:please|kindly|could you|can you|would you)(?: please)? (?:\w+ ){0,2}"
    r"(?:upload|provid|attach|shar(?!\w+ your)|send|reupload|re-upload|past|submit|resend)\w*\b[^.!?]{0,50}?"
    rf"\b(?:{_PHOTO}|file|link|url|attachment|it again)\b",
    r"(?:it|that|this)(?:'s| is| goes| would be| would go) against (?:my|our|the) (?:\w+ )?(?:polic"
    r"|guideline|rule)",
    r"my (?:\w+ )?(?:guidelines|policies|policy|programming) (?:prevents?|prohibits?|do|does"
    r"|don't|doesn't)\b",
)

# -- German, French, Spanish ---------------------------------------------------------------------------------

_BILD = r"(?:bild\w*|fotos?|fotografien?|aufnahme|datei\w*|anhang)"
_TUN = (
    r"(?:helfen|weiterhelfen|beschreiben|sehen|identifizieren|erkennen|anzeigen|verarbeiten"
    r"|erstellen|analysieren|ansehen"
    r"|öffnen|schreiben|beantworten|erfüllen|generieren|nachkommen|liefern|einsehen|betrachten)"
)
_GERMAN = (
    r"(?:es )?tut (?:mir|uns) (?:\w+ )?leid\b",
    r"(?:ich bitte um )?entschuldigung[,.!]* (?:aber|doch|ich|das|es)\b",
    r"ich entschuldige mich\b",
    rf"(?:leider )?(?:ich )?(?:kann|konnte|darf|werde|möchte|können wir|wir können)\b[^.!?]{{0,60}}"
    rf"\b(?:nicht|kein\w*)\b[^.!?]{{0,60}}\b(?:{_TUN}\b|dabei|bei dieser)",
    r"ich kann (?:das|dies|dem)(?: leider)? nicht[.!]",
    r"(?:diese\w* \w+|dabei|damit|hierbei) kann ich (?:\w+ ){0,2}(?:nicht|kein\w*)\b",
    r"(?:leider )?(?:ist es mir|es ist mir)(?: leider)? nicht möglich\b",
    r"ich bin (?:nur |lediglich )?eine? (?:ki\b|künstliche intelligenz|\w*sprachmodell|ki-\w+)",
    rf"ich (?:benötige|brauche) (?:das|ein) {_BILD},? um\b",
    rf"bitte (?:senden|schicken?|laden?|stellen?|sende|teilen|fügen)\b[^.!?]{{0,30}}\b{_BILD}\b",
    rf"(?:leider )?(?:sehe ich|ich sehe|ich erkenne|habe ich|ich habe|ich erhielt)(?: \w+)? kein\w* (?:\w+ )?"
    rf"(?:{_BILD}|zugriff|zugang|möglichkeit)\b",
    r"(?:leider )?(?:ich bin|bin ich)(?: \w+)? nicht (?:in der lage|fähig|berechtigt|befugt|imstande)\b",
    r"als (?:ein |eine |reines )?(?:ki\b|künstliche intelligenz|\w*sprachmodell|ki-\w+|textbasiert\w*)",
    rf"(?:(?:leider )?(?:es )?(?:wurde|ist|liegt|gibt es|gibt)(?: \w+)? )?kein\w* {_BILD}(?:[.!,]| (?:\w+ )?"
    r"(?:vorhanden|gefunden|verfügbar|hochgeladen|angehängt|beigefügt|erhalten|bereitgestellt|gesendet"
    r"|mitgeschickt|übermittelt|zu beschreiben|vor\b))",
    rf"(?:leider )?(?:das|dieses|ihr|dein) {_BILD} (?:kann|konnte|ist|wurde|verstößt)\b[^.!?]{{0,30}}"
    r"\b(?:nicht|gegen)\b[^.!?]{0,30}\b(?:werden|verfügbar|geladen|hochgeladen|richtlinien)",
    rf"(?:bitte|könnten sie|können sie|kannst du|könntest du)\b[^.!?]{{0,40}}\b{_BILD}\b[^.!?]{{0,20}}"
    r"\b(?:hoch|bereit|erneut|senden|schicken|anhängen|zur verfügung|teilen|hochladen|bereitstellen)",
    r"ich (?:muss|möchte)[^.!?]{0,40}\bablehnen\b",
)
_IMAGE = r"(?:images?|photos?|photographies?|pièce jointe|fichier)"
_FAIRE = (
    r"(?:décrire|identifier|voir|aider|fournir|traiter|répondre|créer|générer|analyser|rédiger"
    r"|accéder|faire (?:cela|ça)|écrire|visualiser|donner suite|reconnaître|satisfaire)"
)
_FRENCH = (
    r"(?:je suis |nous sommes )?(?:vraiment |sincèrement )?désolée?s?(?:[,.!;]| mais\b| de ne\b)",
    r"(?:je m'excuse|toutes mes excuses|mes excuses|je regrette|je vous prie de m'excuser)\b[,.!;]*",
    r"je ne (?:peux|puis|pourrai|parviens|suis|saurais)\b(?: \w+)?(?: pas)?"
    rf"(?:[.!]|(?: [\w']+){{0,6}}? (?:l'|d'|vous |y )?{_FAIRE}\b)",
    rf"je suis (?:incapable|dans l'incapacité) de (?:vous )?{_FAIRE}\b|je ne dispose pas\b",
    r"je suis une? (?:ia\b|intelligence artificielle|modèle de langage|assistant)",
    rf"il n'y a (?:pas d'|aucune ){_IMAGE}(?:[.!,]| jointe| à décrire)",
    rf"impossible d[e'] ?\w+ (?:cette |l'|la )?{_IMAGE}\b",
    rf"je ne (?:vois|reçois|trouve) (?:pas |aucune? )[^.!?]{{0,30}}{_IMAGE}\b",
    rf"je n'ai (?:pas|aucune?|malheureusement pas)\b[^.!?]{{0,30}}\b(?:accès|{_IMAGE}|capacité|possibilité)",
    r"en tant (?:qu'(?:ia\b|intelligence|assistant ia|une? (?:ia\b|intelligence|modèle))|que modèle)",
    rf"(?:il semble qu'|il n'y a )?aucune? {_IMAGE} (?:n'|jointe|fournie|disponible|à décrire|dans)",
    rf"(?:veuillez|merci de|pouvez-vous|pourriez-vous)\b[^.!?]{{0,40}}\b{_IMAGE}\b",
    r"je (?:dois|préfère)\b[^.!?]{0,30}\b(?:décliner|refuser|ne pas)\b",
    rf"(?:cette|l'|la) ?{_IMAGE} (?:ne peut|n'est pas disponible|n'a pas|enfreint|viole)\b",
)
_IMAGEN = r"(?:imágen(?:es)?|imagen(?:es)?|fotos?|fotografías?|archivos?)"
_HACER = (
    r"(?:describir|identificar|ver|ayudar|proporcionar|procesar|crear|generar|analizar|acceder|cumplir"
    r"|responder|hacer (?:eso|esto)|escribir|visualizar|reconocer|ofrecer|atender)"
)
_SPANISH = (
    r"(?:lo siento|lo lamento|lamento)\b",
    r"(?:mis disculpas|disculpas?|disculpe|perdón|perdone)[,.!]* (?:pero|no|por (?:la|el|los|las))\b",
    r"(?:yo )?no (?:puedo|podemos|podré|logro|soy capaz de|estoy autorizad[oa] a|me es posible)"
    rf"(?:[.!]|(?: \w+){{0,3}}? {_HACER}\w*)",
    rf"no (?:veo|hay|tengo|recibí|he recibido|encuentro|se \w+|ha \w+|has \w+) (?:\w+ ){{0,4}}?"
    rf"(?:{_IMAGEN}(?:[.!,]| (?:adjunt|disponible|para|en (?:tu|su|el|este))\w*)|acceso|capacidad)",
    r"soy (?:solo )?(?:una? )?(?:ia\b|inteligencia artificial|modelo de lenguaje|asistente)",
    rf"(?:es )?imposible {_HACER} (?:la|esta|el)\b",
    r"como (?:una? )?(?:ia\b|inteligencia artificial|modelo de lenguaje|asistente de ia)",
    rf"(?:por favor,? |podrías |puedes |podría )(?:\w+ ){{0,3}}(?:sub|adjunt|proporcion|enví"
    r"|envi|compart|carg)\w*"
    rf"[^.!?]{{0,30}}\b{_IMAGEN}\b",
    r"debo (?:declinar|rechazar|negarme)\b",
    rf"(?:la|esta|el) {_IMAGEN} no (?:está disponible|se (?:puede|pudo|ha)|puede ser|pudo)\b",
)

# What may come before: "Unfortunately,", "Thank you for the photo, but", "For privacy reasons,".
_BEFORE = (
    r"(?:(?:unfortunately|regrettably|sadly|sorry(?: about that)?|however|oops|hmm|error|note"
    r"|hello|hi|leider|malheureusement"
    r"|désolée?|lamentablemente|desafortunadamente|lo siento|hallo|bonjour|hola)[,.!:;]*"
    r"|i'm afraid(?: that)?|i (?:see|notice|noticed|think|believe)(?: that)?"
    r"|i(?:'m| am)? [^.!?]{0,80}?,? (?:but|and)|for (?:\w+ ){1,3}reasons,?"
    r"|i regret(?: to (?:say|inform you))?(?: that)?"
    r"|(?:it|there) (?:seems|appears|looks)(?: like| as if| as though| that)*(?: to be)?"
    r"|es (?:scheint|sieht so aus),? (?:dass|als ob)|il semble que?|parece que"
    r"|(?:thank you|thanks|danke|merci|gracias)\b[^,.!?]{0,60}[,.!]"
    r"|(?:while|although|though|without|out of|to (?:describe|write|create)|due to|for"
    r"|because of|given|since|to protect|aus|pour des"
    r"|por)\b[^,.!?]{0,80},)"
    r" (?:but |aber |mais |pero )?"
)


@functools.cache
def _refusal() -> re.Pattern[str]:
    """Compiled when it is needed: that takes long, and a service that starts does not need it."""
    said = "|".join((*_ENGLISH, *_GERMAN, *_FRENCH, *_SPANISH))
    return re.compile(rf"(?:{_BEFORE}){{0,3}}(?:{said})", re.IGNORECASE)

"""What cameras, phones and programs write by themselves where a person could describe a photo.

A person's words must never be taken for these, for they would be overwritten. So names are listed, and a text
is a default only as a whole: "OLYMPUS DIGITAL CAMERA", and not "Grandma with her Olympus digital camera".
"""

from __future__ import annotations

import re
from collections.abc import Collection

_LONGEST_DEFAULT = 2000
# Makers whose name says something else, too: a photo of an apple may be made by one of theirs.
_WORDS_TOO = frozenset({"apple", "blackberry", "honor", "nothing", "orange", "polaroid", "sharp"})

# What follows is for re.VERBOSE and re.IGNORECASE.
_MAKER = r"""(?: canon | casio | dji | (?:eastman [ ])? kodak | (?:seiko [ ])? epson | fujifilm | gopro
    | htc | huawei | fuji [ ] photo [ ] film | hewlett-packard | konica (?:[ ] minolta)?
    | lg [ ] electronics | minolta | motorola | nikon | nokia | olympus (?:[ ] (?:imaging|optical))?
    | panasonic | pentax | ricoh (?:[ ] imaging)? | samsung (?:[ ] (?:techwin|electronics))?
    | sanyo (?:[ ] electric)? | sony (?:[ ] ericsson)? | toshiba | xiaomi )"""
_OTHER_MAKER = r"""(?: agfa(?:photo)? | aiptek | apple | benq | concord | dxg | ge | general [ ] imaging
    | genius | hp | jenoptik | jvc | kyocera | leica | lg | maginon | medion | minox | mustek | polaroid
    | praktica | premier | rollei | sigma | traveler | umax | vimicro | vivitar | yakumo | yashica )"""
_COMPANY = r"(?: [ ,]+ (?: corporation | company | corp\.? | co\.? | ltd\.? | inc\.? ) )"
_MODEL = r"""(?: [a-z*()./-]*+ \d [\w*()./-]*+
    | coolpix | dimage | easyshare | finepix | photosmart | powershot | zoom )"""
_PROGRAM = rf"""(?: adobe (?:[ ] (?:photoshop|imageready|lightroom))? | photoshop | imageready | lightroom
    | gimp | krita | accusoft {_COMPANY}? | acdsee | affinity [ ] photo
    | camscanner | canva | capture [ ] one | dall[-\u00b7]?e
    | darktable | digikam | dxo (?:[ ] one)? | ezgif (?:\.com (?:[ ] gif [ ] maker)?)?
    | faceapp | flair | google [ ] ai | ijg [ ] jpeg [ ] library
    | imagej | imagemagick | inkscape | instagram | irfanview | jpegmini | luminar | microsoft [ ] office
    | midjourney | moldiv
    | paint(?:\.net | [ ] shop [ ] pro)? | picasa | picsart | pixlr | rawtherapee | rookie (?:[ ] cam)?
    | snapseed | stable [ ] diffusion | vsco(?:cam)? | xnview )"""
_VERSION = r"""[\u00a8\u00ae]? (?: [ ,:]+ (?: [a-z.(]*+ \d [\w.()-]*+ | cs | cc | pro | plus | elements
    | classic | express | lightroom | with [ ] [\w-]+ [ ] preset | on [ ] (?:a [ ])? mac
    | (?:for [ ])? (?:windows|macintosh|mac|linux|android|ios|iphone) ) )*"""
# What a camera or a phone calls its files.
_STEM = r"""_? (?: cimg | dcp | dji | dsc[fn]? | epsn | fb_img | gopr | g[hx] | hpim | im[gp] | imag | image
    | img[ep] | kif | mg | mvimg | pano | pict | pxl | sdim | vid | wp | burst | screenshot )
    [_-]? \d{3,}+ (?:{more})*+
    | sam_\d{4} | whatsapp [ ] image (?:{more})++
    | p[0-9a-c]\d{6} | [lr]\d{7} | \d{3}_\d{4} | \d{8}[_-]\d{6}""".replace(
    "{more}", "[ ._-]? (?: at | \\d++ | hdr | pano | burst | cover | mp | portrait | night )"
)
_ENDING = r"\. (?: jpe?g | tiff? | png | hei[cf] | dng | mp4 )"
_HUAWEI = r"""(?:oz)? _? (?:nor|r?hdr|sdr|edf|ptr|bty|btf|fbt|mdn|mde|cof|dav|ptf|nfr|maf)+
    (?:COR?|MF|pl|_soft|_vivid?)?"""
_DATA_KEY = r"""(?: fileterIntensity | filterMask | captureOrientation | algolist | multi-frame | brp_mask
    | hw-remosaic | sceneMode | cct_value | AI_Scene | aec_lux | motionLevel )"""

_DEFAULT = re.compile(
    rf"""(?ix)
    # Cameras
    (?: (?:{_MAKER}|{_OTHER_MAKER}) [ ] )? (?:{_MODEL} [ ])* digital [ ] (?:still [ ])? camera
      (?:[ ] {_MODEL})* \.?
    | {_MAKER} {_COMPANY}* | (?: casio [ ] computer | asahi [ ] optical | general [ ] imaging ) {_COMPANY}*
    | {_MAKER} [ ] (?: dsc (?:[ ] picture)? | image | picture ) | pentax [ ] \*ist (?:[ ] \w+)?
    | cyber-?shot | digital (?:[ ] camera)? [ ] (?:image|photo|picture)
    | (?:konica [ ])? minolta [ ] dimage (?:[ ] {_MODEL})* | [<] (?:digimax|kenox|samsung) [^>]* [>]
    | gc-\w+ [ ] image | gcm_tag | applemark | dcf [ ] [\d.]+ | exif [ _] jpeg (?:[ _] picture)?
    | jpe?g (?:[ ] picture)? | ascii | default
    | untitled (?:[ ] design)? (?:[ ]? [-(]? \d+ \)?)? | screenshot | user [ ] comments?
    | binary [ ] comment | type [ ] \d+ | r: \s* \d+ \s+ g: \s* \d+ \s+ b: .*
    # Phones
    | hdr | sdr | (?-i: {_HUAWEI} ) | (?:oplus|oppo)_\d+ | metadata-start
    | (?= .* \b{_DATA_KEY} \s* : ) (?: \s*+ [\w~-]++ \s*+ : [^;]*+ (?:;|\Z) )++
    # Programs
    | (?: created | made | generated | edited | processed | captured | shot | scanned | resized
    | file [ ] written ) [ ]+ (?:with|using|by|in) [ ]+ (?:the [ ])? {_PROGRAM} {_VERSION}
    | adobe [ ] photoshop {_VERSION} | acd [ ] systems [ ] digital [ ] imaging
    | software: [ ] {_PROGRAM} {_VERSION}
    | lead [ ] technologies (?:[ ,]+ inc\.?)? (?:[ ] v[\d.]+ (?: {_MAKER} [ ] digital [ ] camera )?)?
    | file [ ] written [ ] with [ ] compupic .* | generated [ ] by [ ]+ ijg [ ] jpeg [ ] library .*
    | tilt-shift [ ] effect [ ] by [ ] tiltshiftmaker .* | gif [ ] \w+ [ ] (?:on|with) [ ] https?://ezgif\S*
    | imagej= .* | lav[cf] [\d.]+ | libjpeg .* | creator: [ ] (?:gd-jpeg|polyview|xv) .*
    | optimi[sz]ed [ ] by [ ] jpegmini .* | intel\(r\) [ ] (?:ipp [ ])? jpeg .*
    | jpeg [ ] encoder [ ] copyright .* | xv [ ] [\d.]+\w* .* | handmade [ ] software, [ ] inc .*
    | u-lead [ ] systems .* | file [ ] source: [ ] https?:\S*
    | processed [ ] by [ ] ebay [ ] with [ ] imagemagick .*
    | compressed [ ] (?:by|with) [ ] (?:jpeg-recompress|jpeg [ ] optimizer|mozjpeg|guetzli|tinypng) .*
    | cmp[\d.]+ l?q\d+ [ ] 0x[\da-f]+ | xr:d:[\w:,.-]+
    # Names of files, times, numbers, and nothing
    | (?: [\w:.~-]*+ [\\/] )*+ (?:{_STEM}) (?:{_ENDING})?
    | \d{{1,2}} : \d\d (?: : \d\d)? | \d{{4}} ([:.-]) \d\d \1 \d\d [ T] \d\d : \d\d (?: : \d\d)? | \d{{9,}}
    | [\s.,:;?*_\#~=+|/\\0\ufffd-]*
    """,
    re.DOTALL,
)
_JSON = re.compile(
    r'\s*[{]\s*(?: [}] | "?[\w.-]+"? \s* [:=] \s* (?: [-\d"\[{] | null | true | false ) )', re.VERBOSE
)


def is_a_persons(text: str, names: Collection[str] = ()) -> bool:
    """Whether a text is more than what a camera or a program writes by itself.

    names: in small letters, what the photo itself calls its camera, its program and its file.
    """
    text = text.strip()
    if text.lower() in names and text.lower() not in _WORDS_TOO:
        return False
    if _JSON.match(text) and text.endswith("}"):
        return False
    return len(text) > _LONGEST_DEFAULT or _DEFAULT.fullmatch(text) is None

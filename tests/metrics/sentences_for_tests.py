"""Sentences written to try a tokenizer: everyday captions first, then what trips one."""

from __future__ import annotations

_NOUNS = ("dog", "woman", "bus", "kite", "plate of food", "surfer", "pair of skis", "clock tower", "T-shirt")
_PLACES = (
    "on a snow-covered hill.",
    "in the man's garden",
    "near 3 parked cars, a truck and a bike.",
    "at the beach;the sky is grey",
    'under a sign that says "STOP!"',
)
_BEGINNINGS = (
    "A",
    "The",
    "There's a",
    "I see one",
    "Here is somebody's",
    "Isn't that a",
    "two-year-old with a",
)

EVERYDAY: tuple[str, ...] = tuple(
    f"{beginning} {noun} {place}" for beginning in _BEGINNINGS for noun in _NOUNS for place in _PLACES
)

CONTRACTIONS: tuple[str, ...] = (
    "It's a dog that isn't theirs and doesn't bark.",
    "She'll say they've seen what I'd call a giant; we're sure you're not.",
    "The girls' bikes and the boy's kite and the boss's car",
    "Can't, won't, DON'T, shouldn't've, ain't",
    "You cannot say gonna, gotta, wanna, gimme or lemme.",
    "'Tis the season, 'twas the night, 'til dawn, let 'em in, rock 'n' roll",
    "He 's here and does n't mind",
    "The '60s, the 1960's and the 80s",
    "Y'all and ma'am at five o'clock, o'er the hill, O'Neil and d'Angelo eat hors d'oeuvres",
    "the dog's' bone",
)
QUOTES: tuple[str, ...] = (
    "A \"quoted\" word, a 'single' one and a ``double'' one.",
    'A sign says "No Parking".',
    "A 'No Parking' sign",
    "\u201cCurly\u201d and \u2018single\u2019 quotes don\u2019t matter",
    'it"s a typo',
    "5'10\" tall and 6' wide",
)
PUNCTUATION: tuple[str, ...] = (
    "Wait... what?! No!! Yes -- really - no \u2014 dash \u2013 en\u2026",
    "dog,cat and mouse.The cat sat .Then it ran",
    "a dog ;a cat : a bird ,a fish",
    "A computer on it.; and more",
    "A phone., no",
    "sign:stop sign: go",
    "cat*dog * ** ~ ^ % = + | \\",
    "A (small) dog [sic] {here}",
    "he said :) and then ;-)",
    "dog!cat dog?cat dog!! dog!?",
    "a <b>bold</b> dog &amp; a cat",
    "under_score and _edge_",
    "  too   many \t spaces  ",
    "",
    ".",
    "...",
)
NUMBERS: tuple[str, ...] = (
    "3,000 people at 10:30 p.m. or 4:45pm, 7am, 10.30",
    "1/2 of 2nd, 3rd and 21st; 1980s, 24/7, 9-to-5, 50-50",
    "$5.00, 50%, 5 %, #1, # 1, +5, -5, 5+5, 5=5",
    "2x4, 4x4, 3D, 10cc, 6in, F-16, 747-400, M16, mp3",
    "\u20ac10 and \u00a37 and 5\u00a2 and US$5",
    "a 3.5-inch screen and a 5,000-foot peak",
    "it.5 and .5 and cat,5 and 11.01.2009",
    "No. 5 and no.5 but no. Yes",
    "an area of 5\u00b2 and half: \u00bd",
)
ABBREVIATIONS: tuple[str, ...] = (
    "Mr. Smith and Dr. Jones live on St. Mary's Ave. near the U.S. border",
    "An old T.V. and a tv, e.g. in L.A. or Washington D.C. today",
    "Jan. 5 vs. Feb. 6, Inc. and Ltd. and Co. and etc. things",
    "I took car B. The dog took car C. Dogs are odd",
    "In Miss. and in miss. and in Pa. with pa. here",
    "J.R.R. and M&Ms, AT&T, A&W, black&white, Q&A, B & B",
)
JOINED: tuple[str, ...] = (
    "t-shirt, x-ray, merry-go-round, black-and-white, mid-air",
    "snow - covered hill--side -pipe pipe- - and-",
    "black/white his/her and/or w/ w/o a/b/c a/b/c/d",
    "www.example.com, http://example.com/a?b=c and me@example.com.",
    "#dog @home #dog's",
    "jack-o'-lantern and jack o' lantern, Dunkin' Donuts, cap'n",
)
FOREIGN: tuple[str, ...] = (
    "caf\u00e9, na\u00efve fa\u00e7ade and jalape\u00f1o",
    "\u00bfqu\u00e9? \u00a1hola! \u00abbon\u00bb",
    "\u65e5\u672c a \u00b0 b \u00a9 \u2122 \u2665",
    "a dog \U0001f600 smiles",
    "Ho'ohu and Pe'e roads in Hawai'i",
)

ALL: tuple[str, ...] = (
    EVERYDAY + CONTRACTIONS + QUOTES + PUNCTUATION + NUMBERS + ABBREVIATIONS + JOINED + FOREIGN
)

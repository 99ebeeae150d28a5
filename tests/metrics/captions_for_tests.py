"""Captions written for these tests: three descriptions of each scene, and two systems' attempts."""

from __future__ import annotations

REFERENCES: tuple[tuple[str, ...], ...] = (
    (
        "A brown dog leaps over a fallen log in the woods.",
        "The dog is jumping over a log.",
        "A dog jumps across a tree trunk in a forest.",
    ),
    (
        "Two children build a sandcastle at the beach.",
        "A boy and a girl are playing in the sand near the sea.",
        "Kids make a castle out of wet sand.",
    ),
    (
        "An old man reads a newspaper on a park bench.",
        "A man in a grey coat sits on a bench, reading.",
        "An elderly man with a newspaper is sitting on a bench in the park.",
    ),
    (
        "A woman rides a red bicycle down a wet street.",
        "A cyclist is riding through the rain.",
        "The woman on the bike wears a yellow raincoat.",
    ),
    (
        "Three kayaks float side by side on a calm lake.",
        "Kayakers paddle on still water.",
        "Three people in kayaks on a lake in front of mountains.",
    ),
    (
        "A cat sleeps on top of a closed laptop.",
        "A grey cat is lying on a computer.",
        "The cat naps on the warm laptop's lid.",
    ),
    (
        "A chef tosses vegetables in a pan over a high flame.",
        "A man is cooking in a restaurant's kitchen.",
        "The cook flips food in a frying pan.",
    ),
    (
        "A football player kicks the ball towards the goal.",
        "Two soccer players run after a ball on a green field.",
        "A player in a white shirt shoots at the goal.",
    ),
    (
        "A train crosses a stone bridge above a river.",
        "The steam train is on an old viaduct.",
        "A train with many cars travels over a high bridge.",
    ),
    (
        "A girl blows out seven candles on a birthday cake.",
        "A child leans over a cake with candles.",
        "The birthday girl's friends watch her blow out the candles.",
    ),
)

GOOD: tuple[str, ...] = (
    "A dog jumps over a log in the woods.",
    "Two children are playing in the sand at the beach.",
    "A man reads a newspaper on a bench.",
    "A woman rides a bicycle in the rain.",
    "Three people paddle kayaks on a lake.",
    "A cat is lying on a laptop.",
    "A man is cooking food in a pan.",
    "A soccer player kicks the ball at the goal.",
    "A train is crossing a bridge over a river.",
    "A girl blows out the candles on a cake.",
)

POOR: tuple[str, ...] = (
    "A dog is running through the grass.",
    "A man is standing on a beach.",
    "A man is sitting on a bench.",
    "A man rides a bike a bike.",
    "A boat on the water.",
    "A dog is lying on the floor.",
    "A man in a red shirt.",
    "A boy in a red shirt is playing soccer.",
    "A man is standing on a bridge.",
    "A man.",
)

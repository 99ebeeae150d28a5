"""Write src/cutline/styles/data/words.txt: what the built-in writer may say beside a description's words.

    python recipes/styles/words.py coco/text_only_captions.json

They are the words of captions that are trained on, and what MS-COCO's captions (CC BY 4.0) have five times.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from check import FOLDER, read

from cutline.styles.support import all_words

TARGET = FOLDER.parents[1] / "src" / "cutline" / "styles" / "data" / "words.txt"
LEAST = 5
HEAD = (
    "# Words that people write in captions, by recipes/styles/words.py: others were made up of syllables.\n"
)


def main(coco: Path) -> int:
    rows = [row for path in sorted((FOLDER / "corpus").glob("*.jsonl")) for row in read(path)]
    found = {word for row in rows if row.split == "train" for word in all_words(row.caption)}
    counted = Counter(
        word
        for captions in json.loads(coco.read_text(encoding="utf-8")).values()
        for caption in captions
        for word in all_words(caption)
    )
    found |= {word for word, count in counted.items() if count >= LEAST}
    TARGET.write_text(
        HEAD + "\n".join(sorted(word for word in found if not word.isdigit())) + "\n", encoding="utf-8"
    )
    print(f"{len(found)} words")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

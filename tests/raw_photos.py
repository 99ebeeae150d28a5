"""Raw photos as cameras lay them out, with a preview of the tests' own and random data for the sensor's."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Mapping, Sequence

from PIL import Image

Value = int | Sequence[int] | bytes | str

SENSOR_PX = (600, 400)
SENSOR = random.Random(5).randbytes(40_000).replace(b"\xff\xd8", b"\0\0")


def jpeg(
    size: tuple[int, int] = (320, 213), colour: str = "red", left: str = "blue", **options: object
) -> bytes:
    """A JPEG whose left half has another colour, so that turning it shows."""
    picture = Image.new("RGB", size, colour)
    picture.paste(left, (0, 0, size[0] // 2, size[1]))
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


class Tiff:
    """Writes TIFF-like files: data first, then directories."""

    def __init__(self, order: str = "<", magic: bytes = b"", head: bytes = b"") -> None:
        self.order = order
        self.data = bytearray((magic or (b"II*\0" if order == "<" else b"MM\0*")) + b"\0\0\0\0" + head)

    def blob(self, data: bytes) -> int:
        """Append bytes; returns where they stand."""
        self.data += b"\0" * (len(self.data) % 2)
        self.data += data
        return len(self.data) - len(data)

    def directory(self, tags: Mapping[int, Value], following: int = 0) -> int:
        """Append a directory; returns where it stands."""
        entries = []
        for tag, value in sorted(tags.items()):
            kind, count, raw = self._encoded(value)
            if len(raw) > 4:
                raw = struct.pack(self.order + "I", self.blob(raw))
            entries.append(struct.pack(self.order + "HHI", tag, kind, count) + raw.ljust(4, b"\0"))
        whole = struct.pack(self.order + "H", len(entries)) + b"".join(entries)
        return self.blob(whole + struct.pack(self.order + "I", following))

    def _encoded(self, value: Value) -> tuple[int, int, bytes]:
        if isinstance(value, str):
            raw = value.encode("latin-1") + b"\0"
            return 2, len(raw), raw
        if isinstance(value, bytes):
            return 7, len(value), value
        numbers = [value] if isinstance(value, int) else list(value)
        kind = 3 if max(numbers) < 65536 else 4
        return (
            kind,
            len(numbers),
            struct.pack(f"{self.order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers),
        )

    def whole(self, first: int) -> bytes:
        """The file, with its first directory at that place."""
        self.data[4:8] = struct.pack(self.order + "I", first)
        return bytes(self.data)


def sensor(tiff: Tiff, compression: int = 1, **_: object) -> dict[int, Value]:
    """The tags of the sensor's picture."""
    at = tiff.blob(SENSOR)
    width, height = SENSOR_PX
    return {
        254: 0, 256: width, 257: height, 258: 16, 259: compression, 262: 32803, 273: at, 277: 1,
        279: len(SENSOR),
    }  # fmt: skip


def embedded(tiff: Tiff, data: bytes) -> dict[int, Value]:
    """The tags of a JPEG by JPEGInterchangeFormat."""
    return {513: tiff.blob(data), 514: len(data)}


def strip(tiff: Tiff, data: bytes, size: tuple[int, int]) -> dict[int, Value]:
    """The tags of a JPEG that is a directory's one strip."""
    return {
        254: 1, 256: size[0], 257: size[1], 258: (8, 8, 8), 259: 6, 262: 6, 273: tiff.blob(data), 277: 3,
        279: len(data),
    }  # fmt: skip


def dng(preview: bytes | None, orientation: int = 1) -> bytes:
    """Adobe's converter: an uncompressed thumbnail first, below it the sensor's picture and the preview."""
    tiff = Tiff()
    below = [tiff.directory(sensor(tiff, 7))]
    if preview is not None:
        below.append(tiff.directory(strip(tiff, preview, (320, 213)) | {259: 7}))
        thumb = tiff.blob(bytes(range(48)) * 3)
        first = {254: 1, 256: 8, 257: 6, 258: (8, 8, 8), 259: 1, 262: 2, 273: thumb, 277: 3, 278: 6, 279: 144}
    else:
        first = sensor(tiff)
    return tiff.whole(
        tiff.directory(first | {271: "Leica", 274: orientation, 330: below, 50706: b"\1\4\0\0"})
    )


def cr2(preview: bytes | None, orientation: int = 1) -> bytes:
    """Canon: the preview is the first directory's strip, the sensor's data a lossless JPEG in the fourth."""
    tiff = Tiff(head=b"CR\2\0\0\0\0\0")
    lossless = b"\xff\xd8\xff\xc4\0\4\0\0\xff\xc3\0\x0e\x0e\1\x90\2\x58\4\0\0\0\0\0\0" + SENSOR
    last = tiff.directory({259: 6, 273: tiff.blob(lossless), 279: len(lossless)})
    second = tiff.directory(embedded(tiff, jpeg((160, 120), "white")) if preview else {259: 6}, last)
    first = strip(tiff, preview, (320, 213)) if preview else {256: 600, 257: 400}
    return tiff.whole(tiff.directory(first | {271: "Canon", 274: orientation}, second))


def nef(preview: bytes | None, orientation: int = 1, make: str = "NIKON CORPORATION") -> bytes:
    """Nikon: an uncompressed thumbnail, JpgFromRaw and the sensor's data below it; big-endian."""
    tiff = Tiff(">")
    below = [tiff.directory({254: 1, 259: 6} | embedded(tiff, preview))] if preview else []
    below.append(tiff.directory(sensor(tiff, 34713)))
    return tiff.whole(tiff.directory({254: 1, 271: make, 274: orientation, 330: below}))


def arw(preview: bytes | None, orientation: int = 1) -> bytes:
    """Sony: the preview in the first directory, a thumbnail in the second."""
    tiff = Tiff()
    below = tiff.directory(sensor(tiff, 32767))
    first: dict[int, Value] = {254: 1, 259: 6, 271: "SONY", 274: orientation, 330: below}
    if not preview:
        return tiff.whole(tiff.directory(first))
    second = tiff.directory({259: 6} | embedded(tiff, jpeg((160, 120), "white")))
    return tiff.whole(tiff.directory(first | embedded(tiff, preview), second))


def pef(preview: bytes | None, orientation: int = 1) -> bytes:
    """Pentax: the sensor's data first, the preview in the third directory; big-endian."""
    tiff = Tiff(">")
    third = tiff.directory({259: 6} | embedded(tiff, preview)) if preview else 0
    return tiff.whole(
        tiff.directory(sensor(tiff, 65535) | {271: "PENTAX Corporation", 274: orientation}, third)
    )


def srw(preview: bytes | None, orientation: int = 1) -> bytes:
    return nef(preview, orientation, "SAMSUNG")


def rw2(preview: bytes | None, orientation: int = 1) -> bytes:
    """Panasonic: its own number in the header, the preview as the tag JpgFromRaw."""
    tiff = Tiff(magic=b"IIU\0", head=b"\x88\xe7\x74\xd8\xf8\x25\x1d\x4d\x94\x7a\x6e\x77\x82\x2b\x5d\x6a")
    tags: dict[int, Value] = {2: 600, 3: 400, 271: "Panasonic", 274: orientation, 0x118: tiff.blob(SENSOR)}
    return tiff.whole(tiff.directory(tags | ({0x2E: preview} if preview else {})))


def orf(preview: bytes | None, orientation: int = 1) -> bytes:
    """Olympus: its own number in the header, the preview in the maker note, which counts from its start."""
    tiff = Tiff(magic=b"IIRO")
    note = b"OLYMPUS\0II\3\0" + struct.pack("<HHHII", 1, 0x2020, 13, 1, 30) + b"\0\0\0\0"
    if preview:
        note += struct.pack("<HHHIIHHIII", 2, 0x101, 4, 1, 60, 0x102, 4, 1, len(preview), 0) + preview
    exif = tiff.directory({0x927C: note})
    raw = sensor(tiff) | {262: 1, 271: "OLYMPUS CORPORATION", 274: orientation, 34665: exif}
    return tiff.whole(tiff.directory(raw))


def raf(preview: bytes | None, orientation: int = 1) -> bytes:
    """Fujifilm: a header with the place of a JPEG, which states its own orientation."""
    if preview:
        exif = Image.Exif()
        exif[274] = orientation
        with Image.open(io.BytesIO(preview)) as picture:
            file = io.BytesIO()
            picture.save(file, "JPEG", exif=exif, quality=95)
            preview = file.getvalue()
    head = b"FUJIFILMCCD-RAW 0201FF383501" + b"X-T3".ljust(32, b"\0") + b"0100" + bytes(20)
    places = struct.pack(">II", 148 if preview else 0, len(preview or b""))
    return (head + places).ljust(148, b"\0") + (preview or b"") + SENSOR


def cr3(preview: bytes | None, orientation: int = 1) -> bytes:
    """Canon since 2018: boxes; metadata as TIFF in one, a thumbnail and the preview in two others."""

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 8 + len(content)) + kind + content

    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    other = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
    cmt = Tiff()
    tags = box(b"CMT1", cmt.whole(cmt.directory({271: "Canon", 274: orientation})))
    small, prvw = b"", b""
    if preview:
        thumb = jpeg((160, 120), "white")
        small = box(b"THMB", struct.pack(">IHHIHH", 0, 160, 120, len(thumb), 1, 0) + thumb)
        prvw = box(b"PRVW", struct.pack(">IHHHHI", 0, 1, 320, 213, 1, len(preview)) + preview)
    moov = box(b"moov", box(b"uuid", canon + box(b"CNCV", b"CanonCR3_001/00.09.00/00.00.00") + tags + small))
    previews = box(b"uuid", other + bytes(8) + prvw)
    return box(b"ftyp", b"crx \0\0\0\1crx isom") + moov + previews + box(b"mdat", SENSOR)


def mrw(preview: bytes | None, orientation: int = 1) -> bytes:
    """Minolta: blocks; the preview anywhere. Which way up it is, is not read."""
    del orientation
    return b"\0MRM\0\0\0\x20" + bytes(40) + (preview or b"") + SENSOR


KINDS: Mapping[str, Callable[[bytes | None, int], bytes]] = {
    "dng": dng, "cr2": cr2, "cr3": cr3, "nef": nef, "arw": arw, "raf": raf, "orf": orf, "rw2": rw2,
    "pef": pef, "srw": srw, "mrw": mrw,
}  # fmt: skip

"""Files that nobody should have to open: more than a thousand, made from small valid ones or of nothing."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import pillow_heif
from PIL import Image, PngImagePlugin

Pieces = Iterator[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """A file: what it is, what it calls itself, and its bytes."""

    kind: str
    name: str
    data: bytes


@lru_cache(maxsize=1)
def corpus() -> tuple[Hostile, ...]:
    """All of them, each different from the others in its bytes or its name."""
    seeds = dict(_seeds())
    found: dict[tuple[str, bytes], Hostile] = {}
    families: Iterable[tuple[str, Iterable[tuple[str, bytes]]]] = (
        ("truncated", _truncated(seeds)),
        ("flipped", _flipped(seeds)),
        ("bomb", _bombs()),
        ("polyglot", _polyglots(seeds)),
        ("wrong type", _wrong_types()),
        ("metadata", _metadata()),
        ("animated", _animated()),
        ("tiny", _tiny()),
    )
    for kind, files in families:
        for label, data in files:
            found.setdefault(("", data), Hostile(kind=kind, name=f"{kind}-{label}.jpg", data=data))
    for number, name in enumerate(_names()):
        data = _photo(1000 + number)
        found[name, data] = Hostile(kind="name", name=name, data=data)
    return tuple(found.values())


def _photo(seed: int, format: str = "JPEG", mode: str = "RGB", **options: object) -> bytes:
    dice = random.Random(seed)
    small = Image.new("RGB", (6, 4))
    small.putdata([(dice.randrange(256), dice.randrange(256), dice.randrange(256)) for _ in range(24)])
    return _saved(small.resize((24, 16), Image.Resampling.BICUBIC).convert(mode), format, **options)


def _saved(picture: Image.Image, format: str, **options: object) -> bytes:
    data = io.BytesIO()
    picture.save(data, format, **options)  # type: ignore[arg-type]
    return data.getvalue()


def _seeds() -> Pieces:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8825)[1] = "N"
    frames = [Image.new("RGB", (12, 8), colour) for colour in ("red", "green", "blue")]
    yield "jpeg", _photo(1, exif=exif, quality=70)
    yield "jpeg-progressive", _photo(2, progressive=True)
    yield "jpeg-grey", _photo(3, mode="L")
    yield "jpeg-cmyk", _photo(4, mode="CMYK")
    yield "png", _photo(5, "PNG")
    yield "png-palette", _photo(6, "PNG", "P")
    yield "png-alpha", _photo(7, "PNG", "RGBA", exif=exif)
    yield "gif", _photo(8, "GIF", "P")
    yield "gif-animated", _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "webp", _photo(9, "WEBP", exif=exif)
    yield "webp-lossless", _photo(10, "WEBP", "RGBA", lossless=True)
    yield "webp-animated", _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield "bmp", _photo(11, "BMP")
    yield "tiff", _photo(12, "TIFF", exif=exif)
    yield "tiff-deflate", _photo(13, "TIFF", compression="tiff_adobe_deflate")
    yield "avif", _photo(14, "AVIF", exif=exif)
    heic = io.BytesIO()
    pillow_heif.from_pillow(Image.open(io.BytesIO(_photo(15)))).save(heic)
    yield "heic", heic.getvalue()


def _truncated(seeds: dict[str, bytes]) -> Pieces:
    """Each cut at every boundary of its headers, one byte before those, and along the rest."""
    for name, data in seeds.items():
        ends = {end + near for end in _boundaries(data) for near in (-1, 0)}
        ends |= {len(data) * part // 8 for part in range(1, 8)} | {len(data) - 1}
        for end in sorted(ends):
            if 0 < end < len(data):
                yield f"{name}-{end}", data[:end]


def _boundaries(data: bytes) -> set[int]:
    """Where the headers of a file begin and end, whatever its format."""
    if data.startswith(b"\xff\xd8"):
        return _walk(data, 2, lambda at: 2 + int.from_bytes(data[at + 2 : at + 4], "big"), b"\xff\xda")
    if data.startswith(b"\x89PNG"):
        return _walk(data, 8, lambda at: 12 + int.from_bytes(data[at : at + 4], "big"))
    if data.startswith(b"RIFF"):
        return _walk(data, 12, lambda at: 8 + (int.from_bytes(data[at + 4 : at + 8], "little") + 1) // 2 * 2)
    if data[4:8] == b"ftyp":
        return _walk(data, 0, lambda at: int.from_bytes(data[at : at + 4], "big")) | set(range(8, 300, 16))
    if data.startswith((b"II", b"MM")):
        start = int.from_bytes(data[4:8], "little")
        return {2, 4, 8, *range(start, min(len(data), start + 160), 12)}
    if data.startswith(b"GIF"):
        return {6, 8, 10, 11, 12, 13, 16, *range(len(data) - 40, len(data), 4)}
    return {2, 6, 10, 14, 18, 22, 26, 28, 30, 34, 38, 42, 46, 50, 54}  # BMP


def _walk(data: bytes, at: int, length: object, last: bytes = b"") -> set[int]:
    found = {2, 4, at}
    for _ in range(40):
        if at >= len(data):
            break
        step = length(at)  # type: ignore[operator]
        found |= {at, at + 2, at + 4, at + 8}
        if step <= 0 or (last and data[at : at + 2] == last):
            break
        at += step
    return found


def _flipped(seeds: dict[str, bytes]) -> Pieces:
    """Each with one, two or four bytes that are not what they were; most of them in its headers."""
    for name, data in seeds.items():
        dice = random.Random(name)
        for number in range(24):
            changed = bytearray(data)
            reach = min(len(data), 160) if number % 4 else len(data)
            for _ in range((1, 2, 4)[number % 3]):
                changed[dice.randrange(4, reach)] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            yield f"{name}-{number}", bytes(changed)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(
    width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2, pixels: bytes = b""
) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _zeros(count: int) -> bytes:
    """So many zeros, compressed, without ever holding them."""
    packer, block = zlib.compressobj(9), bytes(2**20)
    parts = [packer.compress(block) for _ in range(count // 2**20)]
    return b"".join([*parts, packer.compress(bytes(count % 2**20)), packer.flush()])


def _bombs() -> Pieces:
    for side in (5_000, 8_000, 20_000, 32_768, 65_535, 2**31 - 1):
        yield f"png-{side}", _png(side, side, pixels=zlib.compress(b"\0" * 100))
        yield f"png-wide-{side}", _png(side, 1, pixels=zlib.compress(b"\0" * 100))
    yield "png-whole", _png(30_000, 30_000, depth=1, colour=0, pixels=_zeros(30_000 * 3_751))
    yield "png-more-data-than-pixels", _png(2, 2, pixels=_zeros(200 * 2**20))
    jpeg = _photo(20)
    for marker in (b"\xff\xc0",):
        at = jpeg.index(marker)
        for height, width in ((65_535, 65_535), (20_000, 20_000), (0, 24), (16, 0), (1, 65_535)):
            yield (
                f"jpeg-{height}-{width}",
                jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :],
            )
    progressive = _photo(21, progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    yield "jpeg-scans", progressive[:scan] + progressive[scan:-2] * 20_000 + progressive[-2:]
    for width, height in ((65_535, 65_535), (0, 0), (60_000, 2)):
        yield (
            f"gif-{width}-{height}",
            b"GIF89a" + struct.pack("<HH", width, height) + _photo(22, "GIF", "P")[10:],
        )
    bmp = _photo(23, "BMP")
    for width, height in ((2**31 - 1, 2**31 - 1), (-5, 7), (40_000, 40_000), (2**31 - 1, 1)):
        yield f"bmp-{width}-{height}", bmp[:18] + struct.pack("<ii", width, height) + bmp[26:]
    webp = _photo(24, "WEBP", "RGBA", exif=b"Exif\0\0")
    for side in (2**24, 16_384):
        size = (side - 1).to_bytes(3, "little")
        yield f"webp-{side}", webp[:24] + size + size + webp[30:]
    tiff = _photo(25, "TIFF")
    for tag in (256, 257, 258, 277, 278, 273, 279):
        for value in (0, 1, 65_535, 2**32 - 1):
            yield f"tiff-{tag}-{value}", _with_tag(tiff, tag, value)
    avif = _photo(26, "AVIF")
    at = avif.index(b"ispe") + 8
    for width, height in ((2**31, 2**31), (0, 0), (60_000, 60_000)):
        yield f"avif-{width}", avif[:at] + struct.pack(">II", width, height) + avif[at + 8 :]
    frame = Image.new("P", (2, 2))
    yield (
        "gif-frames",
        _saved(frame, "GIF", save_all=True, append_images=[frame] * 5)[:-1]
        + (b"\x2c\0\0\0\0\x02\0\x02\0\0\x02\x02\x84\x51\0" * 5_000 + b";"),
    )


def _with_tag(tiff: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with another value of a tag in its first directory."""
    start = int.from_bytes(tiff[4:8], "little")
    for number in range(int.from_bytes(tiff[start : start + 2], "little")):
        at = start + 2 + 12 * number
        if int.from_bytes(tiff[at : at + 2], "little") == tag:
            return tiff[: at + 2] + struct.pack("<HII", 4, 1, value) + tiff[at + 12 :]
    return tiff + struct.pack("<HI", tag, value)


def _polyglots(seeds: dict[str, bytes]) -> Pieces:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("evil.sh", "rm -rf /")
    tails = {
        "zip": archive.getvalue(),
        "html": b"<html><script>alert(1)</script></html>",
        "php": b"<?php system($_GET['c']); ?>",
        "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj",
        "exe": b"MZ" + bytes(60) + b"PE\0\0",
        "second": _photo(30),
    }
    for name, data in seeds.items():
        for tail, more in tails.items():
            yield f"{name}-then-{tail}", data + more
    for tail, more in tails.items():
        yield f"comment-{tail}", _comment(more)
        yield f"{tail}-then-jpeg", more + _photo(31)
        yield (
            f"png-text-{tail}",
            _png(2, 2, _chunk(b"tEXt", b"Comment\0" + more), pixels=zlib.compress(bytes(14))),
        )
    yield "gif-js", b"GIF89a/*" + bytes(30) + b"*/=1;alert(1)//"
    yield "bmp-js", b"BM/*" + bytes(50) + b"*/=1;alert(1)//"
    yield "svg-in-png-name", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


def _comment(text: bytes) -> bytes:
    photo = _photo(32)
    return photo[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + photo[2:]


def _wrong_types() -> Pieces:
    heads = {
        "pdf": b"%PDF-1.7\n",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "psd": b"8BPS\0\x01" + bytes(20),
        "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
        "jxl": b"\xff\x0a" + bytes(20),
        "ico": b"\0\0\x01\0\x01\0\x10\x10",
        "dds": b"DDS \x7c\0\0\0",
        "exr": b"v/1\x01" + bytes(20),
        "xcf": b"gimp xcf file\0",
        "ppm": b"P6 99999 99999 255\n",
        "pbm": b"P1\n2 2\n0 1 1 0\n",
        "svg": b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>",
        "mp4": b"\0\0\0\x18ftypmp42" + bytes(16),
        "mp3": b"ID3\x03" + bytes(30),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(50),
        "gzip": b"\x1f\x8b\x08\0" + bytes(20),
        "html": b"<!doctype html><script>fetch('/api/v1/me')</script>",
        "json": b'{"image": "cat.jpg"}',
        "utf-16": "a picture".encode("utf-16"),
        "sqlite": b"SQLite format 3\0" + bytes(84),
        "fits": b"SIMPLE  =                    T",
        "raw": b"FUJIFILMCCD-RAW 0201",
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(18),
        "pcx": b"\x0a\x05\x01\x08" + bytes(124),
        "mpo-like": b"\xff\xd8\xff\xe2\0\x10MPF\0MM\0*\0\0\0\x08",
    }
    for name, head in heads.items():
        yield name, head
        yield f"{name}-long", head + random.Random(name).randbytes(3_000)
    magics = {
        "jpeg": b"\xff\xd8\xff\xe0",
        "png": b"\x89PNG\r\n\x1a\n",
        "gif": b"GIF89a",
        "webp": b"RIFF\xff\0\0\0WEBPVP8 ",
        "bmp": b"BM",
        "tiff": b"II*\0\x08\0\0\0",
        "big tiff": b"MM\0+\0\x08\0\0",
        "avif": b"\0\0\0\x1cftypavif",
        "heic": b"\0\0\0\x1cftypheic",
    }
    for name, magic in magics.items():
        for size in (1, 16, 100, 1_000, 20_000):
            yield f"random-{name}-{size}", magic + random.Random(f"{name}{size}").randbytes(size)
            yield f"zeros-{name}-{size}", magic + bytes(size)
        yield f"ones-{name}", magic + b"\xff" * 500


def _metadata() -> Pieces:
    photo = _photo(40)

    def segments(marker: int, text: bytes, times: int) -> bytes:
        segment = b"\xff" + bytes([marker]) + struct.pack(">H", len(text) + 2) + text
        return photo[:2] + segment * times + photo[2:]

    yield "comments", segments(0xFE, b"x" * 65_000, 40)
    yield "exif-many", segments(0xE1, b"Exif\0\0" + b"II*\0\x08\0\0\0" + b"\xff" * 60_000, 20)
    yield "icc-many", segments(0xE2, b"ICC_PROFILE\0\x01\xff" + b"x" * 60_000, 20)
    yield "photoshop", segments(0xED, b"Photoshop 3.0\x008BIM" + b"\xff" * 60_000, 10)
    yield "xmp-laughs", segments(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _laughs(), 1)
    loops = {
        "to itself": struct.pack("<IHHHII", 8, 1, 0x8769, 4, 1, 8),
        "endless": struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 8),
        "far away": struct.pack("<I", 2**32 - 1),
        "many entries": struct.pack("<IH", 8, 65_535),
        "odd type": struct.pack("<IHHHII", 8, 1, 0x0112, 99, 1, 6),
        "many values": struct.pack("<IHHHII", 8, 1, 0x0112, 3, 2**32 - 1, 6),
        "a word": struct.pack("<IHHHII", 8, 1, 0x0112, 2, 4, 0x41414141),
        "a fraction of nothing": struct.pack("<IHHHIIII", 8, 1, 0x0112, 5, 1, 26, 0, 0),
    }
    for name, directory in loops.items():
        yield f"exif-{name}", segments(0xE1, b"Exif\0\0II*\0" + directory, 1)
    for orientation in (0, 2, 3, 4, 5, 6, 7, 8, 9, 255, 65_535):
        directory = struct.pack("<IHHHII", 8, 1, 0x0112, 3, 1, orientation)
        yield f"orientation-{orientation}", segments(0xE1, b"Exif\0\0II*\0" + directory, 1)
    pixels = zlib.compress(bytes(14))
    yield "png-text", _png(2, 2, _chunk(b"tEXt", b"Comment\0" + b"x" * 3_000_000), pixels=pixels)
    yield "png-ztxt", _png(2, 2, _chunk(b"zTXt", b"Comment\0\0" + _zeros(100 * 2**20)), pixels=pixels)
    yield "png-itxt", _png(2, 2, _chunk(b"iTXt", b"a\0\x01\0\0\0" + _zeros(100 * 2**20)), pixels=pixels)
    yield "png-icc", _png(2, 2, _chunk(b"iCCP", b"icc\0\0" + _zeros(100 * 2**20)), pixels=pixels)
    yield "png-chunks", _png(2, 2, *[_chunk(b"tEXt", b"a\0b")] * 20_000, pixels=pixels)
    yield "png-exif", _png(2, 2, _chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff"), pixels=pixels)
    text = PngImagePlugin.PngInfo()
    text.add_text("XML:com.adobe.xmp", _laughs().decode(), zip=True)
    yield "png-xmp", _saved(Image.new("RGB", (3, 3)), "PNG", pnginfo=text)
    yield "webp-exif", _photo(41, "WEBP", exif=b"Exif\0\0" + b"\xff" * 500_000)
    yield "webp-xmp", _photo(42, "WEBP", xmp=_laughs())


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{entities}]><x>&l9;</x>'.encode()


def _animated() -> Pieces:
    for count in (2, 30, 200):
        frames = [Image.new("RGB", (8, 6), (n % 256, count % 256, 7)) for n in range(count)]
        for format in ("GIF", "WEBP", "PNG", "TIFF"):
            yield f"{format}-{count}", _saved(frames[0], format, save_all=True, append_images=frames[1:])
    frames = [Image.new("RGB", (8, 6), (n * 9, 3, 7)) for n in range(5)]
    yield "AVIF", _saved(frames[0], "AVIF", save_all=True, append_images=frames[1:])


def _tiny() -> Pieces:
    yield "nothing", b""
    for size in range(1, 9):
        yield f"{size}-bytes", b"\xff\xd8\xff\xdb\0\x43\0\x10"[:size]
        yield f"{size}-zeros", bytes(size)
    for width, height in ((1, 1), (1, 500), (500, 1), (2, 1)):
        for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
            picture = Image.new("RGB", (width, height), (width % 256, height % 256, len(format)))
            yield f"{format}-{width}x{height}", _saved(picture, format)


def _names() -> list[str]:
    words = [
        "../../../../etc/passwd",
        "..\\..\\windows\\system32\\cmd.exe",
        "/etc/shadow",
        "C:\\boot.ini",
        "..",
        ".",
        "~root",
        "file:///etc/passwd",
        "cat.jpg/../../x",
        "....//....//x",
        "%2e%2e%2fpasswd",
        "..%c0%af",
        "con.jpg",
        "nul",
        "aux.png",
        "a" * 5_000 + ".jpg",
        "." * 300,
        " ",
        "   .jpg",
        "-rf",
        "--help",
        "$(reboot).jpg",
        "`id`.jpg",
        "|cat",
        ";ls",
        "&&x",
        "x' OR '1'='1",
        'x"; DROP TABLE images_image; --',
        "<script>alert(1)</script>.jpg",
        "<img src=x onerror=alert(1)>",
        "{{7*7}}",
        "${7*7}",
        "%s%s%s%n",
        "%x",
        "\u202egpj.exe",
        "\u200b\u200d.jpg",
        "猫の写真.jpg",
        "قط.jpg",
        "חתול.jpg",
        "кошка.jpg",
        "🐈‍⬛.jpg",
        "e\u0301.jpg",
        "é.jpg",
        "ﬁ.jpg",
        "İ.jpg",
        "ß.JPG",
        "\ufeffbom.jpg",
        "\ufffd.jpg",
        "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘.jpg",
        "tab\there.jpg",
        "line\nbreak.jpg",
        "return\rhere.jpg",
        "null\0byte.jpg",
        "semi;colon=1.jpg",
        'quote".jpg',
        "quote'.jpg",
        "back\\slash.jpg",
        "comma,.jpg",
        "=1+1.jpg",
        "@SUM(1).csv",
        "cat.jpg.exe",
        "cat.php.jpg",
        ".htaccess",
        ".env",
        "index.html",
        "noextension",
        "two  blanks.jpg",
        "x.tar.gz",
    ]
    return [*words, *(f"{'深' * length}.jpg" for length in (10, 85, 86, 255, 1_000))]

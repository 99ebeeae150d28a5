"""Descriptions in photos: what is written is read by others, and all else stays byte for byte."""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from cutline.metadata import iptc, photos, tiff
from cutline.metadata.defaults import is_a_persons
from cutline.metadata.errors import MetadataError
from cutline.metadata.jpeg import further_pictures
from cutline.metadata.texts import exif_texts, persons_words, user_comment
from cutline.metadata.xmp import DESCRIPTION, Packet
from tests import raw_photos

exiv2: Any = importlib.import_module("pyexiv2")
TEXT, WRITER = "A dog & a “cat”.", "Cutline 0123"
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'


def encoded(kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    picture.save(file, kind, **options)
    return file.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", 2 + len(content)) + content


def field(record: int, number: int, value: bytes) -> bytes:
    return bytes((0x1C, record, number)) + struct.pack(">H", len(value)) + value


def resource(id: int, content: bytes) -> bytes:
    even = content + b"\0" * (len(content) % 2)
    return b"8BIM" + struct.pack(">HHI", id, 0, len(content)) + even


def with_segments(photo: bytes, *segments: bytes) -> bytes:
    return photo[:2] + b"".join(segments) + photo[2:]


def with_iptc(*fields: bytes) -> bytes:
    block = b"".join(fields)
    return with_segments(encoded("JPEG"), segment(0xED, b"Photoshop 3.0\0" + resource(0x0404, block)))


def read_iptc(data: bytes) -> dict[str, Any]:
    with exiv2.ImageData(data) as image:
        read = image.read_iptc()
        return {name.rpartition(".")[2]: value for name, value in read.items()}


def read_description(data: bytes) -> Any:
    with exiv2.ImageData(data) as image:
        return image.read_xmp()["Xmp.dc.description"]


def described(data: bytes, text: str = TEXT) -> bytes:
    changed = photos.described(data, text, WRITER)
    photos.check_pictures(data, changed)
    return changed


# IPTC

CITY, BYLINE, KEYWORD, CAPTION = (2, 90), (2, 80), (2, 25), (2, 120)


@pytest.mark.parametrize(
    ("announced", "encoding", "text"),
    [
        (b"", "latin-1", "Frühstück in München"),
        (b"", "cp1252", "“Crème”, 5 €"),
        (b"", "utf-8", "Frühstück, Łódź"),
        (b"\x1b%G", "utf-8", "早饭"),
        (b"\x1b%G", "latin-1", "Frühstück"),  # announced wrongly, as Cutline itself once did
        (b"\x1b.A", "latin-1", "Frühstück"),
        (b"\x1b-B", "iso8859-2", "Łódź"),
        (b"\x1b-L", "iso8859-5", "Завтрак"),
        (b"\x1b(B\x1b-L", "iso8859-5", "Завтрак"),
        (b"\x1b%/I", "utf-8", "早饭"),
        (b"", "cp1252", "¿Qué pasó, señor Müller? L\u2019ÉTÉ, été; 20 °C, 5 m²"),
        (b"", "cp1252", "Köln\u2013Bonn «naïve» São, Šárka, l·l Œuf"),
        (b"\x1b/b", "iso8859-15", "5 €"),
    ],
)
def test_all_iptc_text_becomes_utf_8(announced: bytes, encoding: str, text: str) -> None:
    raw = text.encode(encoding)
    charset = [field(1, 90, announced)] if announced else []
    before = with_iptc(
        *charset, field(2, 0, b"\0\2"), field(*BYLINE, raw), field(*CITY, raw), field(*KEYWORD, raw),
        field(*KEYWORD, b"plain"), field(*CAPTION, raw), field(2, 202, b"\xff\xd8\x80"),
    )  # fmt: skip
    after = described(before)
    assert read_iptc(after) | {"Preview": ""} == {
        "CharacterSet": "\x1b%G",
        "RecordVersion": "2",
        "Byline": [text],
        "City": text,
        "Keywords": [text, "plain"],
        "Caption": TEXT,
        "Preview": "",
    }
    fields = {each.id: each.value for each in iptc.parse(photos.blocks_of(after).iptc)}
    assert fields[2, 202] == b"\xff\xd8\x80", "what is no text stays"


def test_the_envelopes_text_becomes_utf_8_and_other_records_stay() -> None:
    binary = [field(3, 20, b"\xfc\x00"), field(8, 10, b"\xff\xd8"), field(240, 1, b"M\xfc")]
    after = described(with_iptc(field(1, 5, b"Z\xfcrich"), field(*CITY, b"Z\xfcrich"), *binary))
    fields = {each.id: each.value for each in iptc.parse(photos.blocks_of(after).iptc)}
    assert (fields[1, 5], fields[2, 90]) == ("Z\u00fcrich".encode(),) * 2
    assert all(each in after for each in binary)


def test_a_byte_without_meaning_is_kept_as_latin_1_has_it() -> None:
    after = described(with_iptc(field(*CITY, b"M\x81\xfc")))
    assert read_iptc(after)["City"] == "M\x81ü"


@pytest.mark.parametrize(
    "block",
    [
        field(1, 90, b"\x1b$B") + field(*CITY, b"\x1b$B\x80"),  # Japanese, not known here
        field(1, 90, b"\x1b$B") + field(*CITY, "\u6771".encode("iso2022_jp")[3:5]),  # its bytes are ASCII
        field(*CITY, "\u6771".encode("iso2022_jp")),  # chosen in the text
        field(1, 90, b"\x1b(B\x1b-L\x1b.F") + field(*CITY, b"\xbc"),  # one of two
        field(1, 90, b"\x1b-F") + field(*CITY, b"\xd2"),  # not of that part
        *(
            field(*CAPTION, b"plain") + field(*CITY, city.encode(page))
            for page, city in (
                ("cp1251", "\u041c\u043e\u0441\u043a\u0432\u0430"),
                ("cp1251", "\u0414\u043e\u043c"),
                ("koi8-r", "\u041c\u043e\u0441\u043a\u0432\u0430"),
                ("cp1250", "Wa\u0142\u0119sa"),
                ("cp1254", "\u015eehir"),
                ("cp1254", "Ayd\u0131n"),
                ("cp1250", "Dvo\u0159\u00e1k"),
                ("mac_roman", "Z\u00fcrich"),
                ("mac_roman", "caf\u00e9"),
                ("shift_jis", "\u6771\u4eac"),
                ("gbk", "\u5317\u4eac"),
                ("cp1253", "\u0391\u03b8\u03ae\u03bd\u03b1"),
            )
        ),
        field(*CITY, b"M\xfcnchen") + b"\x1c\2\x19\xff",  # cut short
    ],
)
def test_iptc_that_cannot_be_read_stays_and_the_photo_is_described(block: bytes) -> None:
    after = described(with_iptc(block))
    assert read_description(after) == {'lang="x-default"': TEXT}
    assert resource(0x0404, block) in after


def test_photoshops_other_resources_stay_and_its_digest_follows() -> None:
    import hashlib

    block = field(*CITY, b"Bonn")
    digest = resource(0x0425, hashlib.md5(block).digest())
    thumbnail = resource(0x040C, b"\1\2\3" * 30_000)
    whole = thumbnail + resource(0x0404, block) + digest
    pieces = [whole[at : at + 60_000] for at in range(0, len(whole), 60_000)]
    before = with_segments(encoded("JPEG"), *(segment(0xED, b"Photoshop 3.0\0" + each) for each in pieces))
    after = described(before)
    new = photos.blocks_of(after).iptc
    assert read_iptc(after)["City"] == "Bonn"
    assert resource(0x0425, hashlib.md5(new).digest()) in after
    assert resource(0x0425, hashlib.md5(block).digest()) not in after


def test_a_pngs_other_resources_stay() -> None:
    others = resource(0x03ED, bytes(range(16))), resource(0x07D0, b"a path")
    profile = others[0] + resource(0x0404, field(*CITY, b"Bonn")) + others[1]
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type iptc", f"\niptc\n{len(profile):8}\n{profile.hex()}\n", zip=True)
    after = described(encoded("PNG", pnginfo=info))
    with Image.open(io.BytesIO(after)) as image:
        kept = bytes.fromhex("".join(image.info["Raw profile type iptc"].split()[2:]))
    assert kept.startswith(others[0])
    assert kept.endswith(others[1])
    assert read_iptc(after)["Caption"] == TEXT
    assert read_iptc(after)["City"] == "Bonn"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_damaged_resources_stay_and_the_photo_is_described(kind: str) -> None:
    damaged = resource(0x0404, field(*CITY, b"Bonn")) + b"8BIM\4\5\0\0\0\0\xff\xff"
    if kind == "JPEG":
        before = with_segments(encoded(kind), segment(0xED, b"Photoshop 3.0\0" + damaged))
    elif kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Raw profile type iptc", f"\niptc\n{len(damaged):8}\n{damaged.hex()}\n")
        before = encoded(kind, pnginfo=info)
    else:
        before = encoded(kind, tiffinfo={34377: damaged})
    after = described(before)
    assert read_description(after) == {'lang="x-default"': TEXT}
    assert (damaged.hex().encode() if kind == "PNG" else damaged) in after


# Files that point into themselves


def mpf(order: str, sizes: list[int], offsets: list[int]) -> bytes:
    entries = b"".join(
        struct.pack(order + "IIIHH", 0x030000, size, offset, 0, 0)
        for size, offset in zip(sizes, offsets, strict=True)
    )
    tags = [(0xB000, 7, 4, b"0100"), (0xB001, 4, 1, struct.pack(order + "I", len(sizes)))]
    tags.append((0xB002, 7, len(entries), struct.pack(order + "I", 8 + 2 + 36 + 4)))
    body = struct.pack(order + "H", 3) + b"".join(
        struct.pack(order + "HHI", tag, kind, count) + value for tag, kind, count, value in tags
    )
    head = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    return segment(0xE2, b"MPF\0" + head + body + b"\0\0\0\0" + entries)


EXIF = segment(0xE1, b"Exif\0\0" + b"II*\0\x08\0\0\0\1\0\x0f\1\2\0\6\0\0\0\x1a\0\0\0\0\0\0\0Maker\0")
GAIN_MAP_XMP = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}><rdf:Description rdf:about="" '
    'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/></rdf:RDF></x:xmpmeta>'
).encode()
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("place", ["before JFIF", "behind JFIF", "behind all"])
@pytest.mark.parametrize("has_xmp", [False, True])
def test_every_picture_of_a_file_stays_where_its_entry_says(order: str, place: str, has_xmp: bool) -> None:
    base = encoded("JPEG")
    jfif, rest = base[2:20], base[20:]
    gain_map, small = encoded("JPEG", quality=30), encoded("JPEG", quality=5)
    xmp = [segment(0xE1, XMP_HEAD + GAIN_MAP_XMP)] if has_xmp else []
    empty = mpf(order, [0, 0, 0], [0, 0, 0])
    parts = {
        "before JFIF": [EXIF, *xmp, empty, jfif],
        "behind JFIF": [jfif, EXIF, empty, *xmp],
        "behind all": [jfif, EXIF, *xmp, segment(0xED, b"Photoshop 3.0\0" + resource(0x0404, b"")), empty],
    }[place]
    primary = b"\xff\xd8" + b"".join(parts) + rest
    header = primary.index(b"MPF\0") + 4
    first = len(primary) - header
    listed = mpf(order, [len(primary), len(gain_map), len(small)], [0, first, first + len(gain_map)])
    before = primary.replace(empty, listed) + gain_map + small + b"SEFT trailer"
    after = described(before)
    found = further_pictures(after)
    assert [after[each.start : each.end] for each in found[1:]] == [gain_map, small]
    assert after[: found[0].end].endswith(rest), "the first picture ends where the entry says"
    assert after.endswith(gain_map + small + b"SEFT trailer")
    assert EXIF in after
    assert b'hdrgm:Version="1.0"' in after or not has_xmp
    with Image.open(io.BytesIO(after)) as image:
        assert image.format == ("JPEG" if has_xmp else "MPO")  # Pillow hides gain maps
        assert has_xmp or image.n_frames == 3  # type: ignore[attr-defined]


def test_a_list_of_pictures_that_are_gone_does_no_harm() -> None:
    before = with_segments(encoded("JPEG"), mpf("<", [100, 100], [0, 9_999_999]))
    assert described(before)
    absurd = with_segments(encoded("JPEG"), mpf("<", [100, 2**32 - 1] * 2000, [0, 1] * 2000))
    with pytest.raises(MetadataError, match="MPF"):
        described(absurd)


def test_a_description_in_extended_xmp_is_seen_and_not_contradicted() -> None:
    packet = f"<rdf:RDF {RDF}><rdf:Description {DC} dc:description='My aunt'/></rdf:RDF>".encode()
    parts = [packet[:40], packet[40:]]
    extended = [
        segment(
            0xE1,
            b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", len(packet), at) + part,
        )
        for at, part in ((40, parts[1]), (0, parts[0]))
    ]
    data = with_segments(encoded("JPEG"), segment(0xE1, XMP_HEAD + GAIN_MAP_XMP), *extended)
    assert persons_words("", data) == ["My aunt"]
    with pytest.raises(MetadataError, match="extended XMP"):
        photos.described(data, TEXT, WRITER)


def test_a_motion_photos_video_and_extended_xmp_stay() -> None:
    video = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 20
    motion = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}><rdf:Description rdf:about="" '
        'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
        'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
        f'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(video)}" '
        'xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"/></rdf:RDF></x:xmpmeta>'
    ).encode()
    extended = segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8) + b"<x/>" * 99)
    before = with_segments(encoded("JPEG"), segment(0xE1, XMP_HEAD + motion), extended) + video
    after = described(before)
    assert after.endswith(video)
    assert extended in after
    assert f'GCamera:MicroVideoOffset="{len(video)}"'.encode() in after
    assert b"HasExtendedXMP" in after


def with_preview(start: str, place: str, *segments: bytes) -> bytes:
    """A photo whose maker note points to a preview, counting from some byte of the file."""
    photo, preview = encoded("JPEG"), encoded("JPEG", quality=5)

    def built(distance: int) -> bytes:
        note = b"Maker\0MM\0*" + b"_" * 9 + struct.pack("<I", distance)
        tags = b"\1\0\x7c\x92\7\0" + struct.pack("<II", len(note), 26) + bytes(4)
        exif = segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + tags + note)
        if place == "behind the picture":
            return with_segments(photo, exif, *segments) + preview
        return with_segments(photo, exif, segment(0xE2, b"PREVIEW" + preview), *segments)

    data = built(0)
    at = data.rindex(b"\xff\xd8\xff", 0, data.rindex(preview) + 3)
    first = {
        "file": 0,
        "EXIF": data.index(b"II*\0"),
        "note": data.index(b"Maker\0"),
        "TIFF in the note": data.index(b"MM\0*"),
    }
    return built(at - first[start])


@pytest.mark.parametrize("place", ["behind the picture", "behind EXIF"])
@pytest.mark.parametrize("start", ["file", "EXIF", "note", "TIFF in the note"])
def test_a_preview_that_a_maker_note_points_to_is_not_moved(start: str, place: str) -> None:
    with pytest.raises(MetadataError, match="maker note"):
        photos.described(with_preview(start, place), TEXT, WRITER)


def test_a_preview_that_stays_where_it_is_hinders_nothing() -> None:
    # A packet behind the preview moves nothing that is pointed to; a picture that nothing points to may move.
    xmp = segment(0xE1, XMP_HEAD + GAIN_MAP_XMP)
    assert described(with_preview("file", "behind EXIF", xmp))
    thumbnail = segment(0xED, b"Photoshop 3.0\0" + resource(0x040C, bytes(28) + encoded("JPEG", quality=5)))
    assert described(with_segments(encoded("JPEG"), EXIF, thumbnail) + encoded("JPEG"))


CONTAINER = (
    'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:Item="http://ns.google.com/photos/1.0/container/item/"'
)


@pytest.mark.parametrize("length", [9_400, 9_999, 0])
@pytest.mark.parametrize(
    "item",
    [
        '<Container:Item Item:Mime="image/jpeg" Item:Length="{}" Item:Semantic="Primary"/>',
        "<Container:Item Item:Semantic='Primary' Item:Length='{}'></Container:Item>",
        '<Container:Item rdf:parseType="Resource"><Item:Semantic>Primary</Item:Semantic>'
        "<Item:Length>{}</Item:Length></Container:Item>",
    ],
)
def test_a_stated_length_of_the_photo_follows(item: str, length: int) -> None:
    video = '<Container:Item Item:Semantic="MotionPhoto" Item:Length="77"/>'
    properties = "".join(
        f'<rdf:li rdf:parseType="Resource">{each}</rdf:li>' for each in (item.format(length), video)
    )
    packet = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}><rdf:Description rdf:about="" {CONTAINER}>'
        f"<Container:Directory><rdf:Seq>{properties}</rdf:Seq></Container:Directory>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()
    before = with_segments(encoded("JPEG"), EXIF, segment(0xE1, XMP_HEAD + packet)) + b"v" * 77
    after = described(before)
    stated = length + len(after) - len(before) if length else 0
    assert item.format(stated).encode() in after
    assert video.encode() in after


def test_a_byte_between_two_segments_stays_and_what_is_behind_it_is_read() -> None:
    packet = segment(0xE1, XMP_HEAD + GAIN_MAP_XMP)
    before = with_segments(encoded("JPEG"), EXIF, b"\0junk\xff\0", packet)
    after = described(before)
    assert EXIF + b"\0junk\xff\0" in after
    assert b'hdrgm:Version="1.0"' in photos.blocks_of(after).xmp
    assert Packet(photos.blocks_of(after).xmp).text(DESCRIPTION) == TEXT


def test_a_trailer_with_places_in_the_file_is_refused() -> None:
    with pytest.raises(MetadataError, match="AFCP"):
        photos.described(encoded("JPEG") + b"caption" + b"AXS!" + bytes(99), TEXT, WRITER)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_content_credentials_are_not_broken(kind: str) -> None:
    data = encoded(kind)
    if kind == "JPEG":
        data = with_segments(data, segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x20jumb....c2pa"))
    elif kind == "PNG":
        check = struct.pack(">I", zlib.crc32(b"caBXjumb"))
        data = data[:33] + struct.pack(">I", 4) + b"caBXjumb" + check + data[33:]
    else:
        data = data[:4] + struct.pack("<I", len(data) + 4) + data[8:] + b"C2PA\4\0\0\0jumb"
    with pytest.raises(MetadataError, match="C2PA"):
        photos.described(data, TEXT, WRITER)


# Formats


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_others_read_the_description_and_what_is_behind_the_end_stays(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    before = encoded(kind, exif=exif.tobytes()) + (b"" if kind == "TIFF" else b"behind the end")
    after = described(described(before, "Another text"))
    assert read_description(after) == {'lang="x-default"': TEXT}
    if kind != "WEBP":
        assert read_iptc(after)["Caption"] == TEXT
    if kind != "TIFF":
        assert after.endswith(b"behind the end")
    with exiv2.ImageData(after) as image:
        assert image.read_exif()["Exif.Image.Make"] == "A camera"


@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"lossless": False}, {"icc_profile": ICC}, {"save_all": True}]
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_every_kind_of_webp_takes_a_description(options: dict[str, Any], mode: str) -> None:
    file = io.BytesIO()
    picture = Image.linear_gradient("L").convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L"))
    more = {"append_images": [picture.rotate(90)]} if "save_all" in options else {}
    picture.save(file, "WEBP", **options, **more)
    after = described(file.getvalue())
    assert read_description(after) == {'lang="x-default"': TEXT}
    with Image.open(file) as was, Image.open(io.BytesIO(after)) as becomes:
        assert (was.mode, was.tobytes()) == (becomes.mode, becomes.tobytes())
        assert getattr(was, "n_frames", 1) == getattr(becomes, "n_frames", 1)


def test_nothing_in_a_tiff_moves_and_it_grows_once() -> None:
    pages = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue")]
    for order in ("II", "MM"):
        file = io.BytesIO()
        pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], big_tiff=False)
        before = file.getvalue() if order == "II" else _big_endian(pages[0])
        after = described(before)
        assert after[8 : len(before)] == before[8:], "all places that anything points to"
        again = described(after, "Another, longer text about it.")
        assert abs(len(again) - len(after)) < 400
        with Image.open(io.BytesIO(again)) as image:
            assert image.n_frames == (3 if order == "II" else 1)  # type: ignore[attr-defined]
        assert read_description(again) == {'lang="x-default"': "Another, longer text about it."}


def _big_endian(picture: Image.Image) -> bytes:
    width, height = picture.size
    tags = [
        (256, 3, width), (257, 3, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1),
        (278, 3, height), (279, 4, width * height),
    ]  # fmt: skip
    head = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(tags))
    body = b"".join(
        struct.pack(">HHI", tag, kind, 1) + struct.pack(">H2x" if kind == 3 else ">I", value)
        for tag, kind, value in tags
    )
    return (head + body + b"\0\0\0\0").ljust(200, b"\0") + picture.convert("L").tobytes()


def test_a_damaged_file_is_refused_with_a_reason() -> None:
    webp = encoded("WEBP")
    flat = webp[:26] + bytes(4) + webp[30:]  # no width, no height
    for data in (
        b"\xff\xd8\xff\xe0\xff\xff",
        flat,
        encoded("PNG")[:60],
        encoded("WEBP")[:40],
        b"II*\0\0\0\0\0",
    ):
        with pytest.raises(MetadataError):
            photos.described(data, TEXT, WRITER)
        assert photos.blocks_of(data) is not None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_damaged_metadata_gives_a_whole_photo_or_one_error(kind: str) -> None:
    import random

    chance = random.Random(kind)
    whole = described(encoded(kind))
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            after = photos.described(bytes(data), "Other", WRITER)
            photos.check_pictures(bytes(data), after)
        except MetadataError:
            continue
        assert photos.blocks_of(after).xmp


def test_raw_photos_are_never_changed() -> None:
    for make in raw_photos.KINDS.values():
        with pytest.raises(MetadataError, match="raw photo"):
            photos.described(make(raw_photos.jpeg(), 1), TEXT, WRITER)


# XMP

DARKTABLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF {RDF}>
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:darktable="http://darktable.sf.net/"
   xmp:Rating="4"
   darktable:xmp_version="5">
   <darktable:history>
    <rdf:Seq>
     <rdf:li darktable:operation="exposure" darktable:params="00000000&gt;\n"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def test_a_description_is_inserted_and_no_other_byte_changes() -> None:
    after = bytes(Packet(DARKTABLE.encode()).described(TEXT, WRITER)).decode()
    at = next(at for at, letter in enumerate(after) if letter != DARKTABLE[at])
    rest = DARKTABLE[at:]
    assert after.endswith(rest), "the rest is as it was"
    assert after[:at] == DARKTABLE[:at]
    assert Packet(after.encode()).text(DESCRIPTION) == TEXT


@pytest.mark.parametrize(
    "properties",
    [
        f'<rdf:Description {DC} dc:description="old"/>',
        f"<rdf:Description {DC} dc:description='old > \"new\"' dc:format='image/jpeg'></rdf:Description>",
        f"<rdf:Description {DC}><dc:description>old</dc:description></rdf:Description>",
        f"<rdf:Description {DC}><dc:description/></rdf:Description>",
        f'<rdf:Description {DC}><dc:description><rdf:Alt><rdf:li xml:lang="x-default">old</rdf:li>'
        "</rdf:Alt></dc:description></rdf:Description>",
        f'<rdf:Description {DC}><dc:description><rdf:Alt><rdf:li xml:lang="x-default"/></rdf:Alt>'
        "</dc:description></rdf:Description>",
        f"<rdf:Description {DC}><dc:description><rdf:Alt/></dc:description></rdf:Description>",
        '<rdf:Description rdf:about=""/>',
        "",
        '<rdf:Description xmlns:q="http://purl.org/dc/elements/1.1/" q:description="old"/>',
        f'<rdf:Description {DC}/><rdf:Description {DC} dc:description="old"/>',
    ],
)
def test_however_a_description_is_stated_it_is_replaced(properties: str) -> None:
    packet = f"<rdf:RDF {RDF}>{properties}</rdf:RDF>"
    after = bytes(Packet(packet.encode()).described(TEXT, WRITER))
    assert b"old" not in after
    photo = with_segments(encoded("JPEG"), segment(0xE1, XMP_HEAD + after))
    assert read_description(photo) == {'lang="x-default"': TEXT}


@pytest.mark.parametrize("prefix", ["rdf", "r"])
def test_other_languages_stay(prefix: str) -> None:
    plain = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}><rdf:Description {DC}><dc:description>'
        '<rdf:Alt><rdf:li xml:lang="de-DE">Ein Hund</rdf:li></rdf:Alt></dc:description></rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    )
    packet = plain.replace("rdf:", f"{prefix}:").replace("xmlns:rdf=", f"xmlns:{prefix}=")
    after = Packet(packet.encode()).described(TEXT, WRITER)
    assert after.texts(DESCRIPTION) == [TEXT, "Ein Hund"]
    if prefix == "rdf":  # exiv2 knows no other
        photo = with_segments(encoded("JPEG"), segment(0xE1, XMP_HEAD + bytes(after)))
        assert read_description(photo) == {'lang="x-default"': TEXT, 'lang="de-DE"': "Ein Hund"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "latin-1"])
def test_a_packet_in_another_encoding_becomes_utf_8(encoding: str) -> None:
    text = DARKTABLE.replace("UTF-8", encoding.removesuffix("-sig")).replace("exposure", "Über")
    after = Packet(text.encode(encoding)).described(TEXT, WRITER)
    assert after.text(DESCRIPTION) == TEXT
    assert "Über" in bytes(after).decode()
    assert b'encoding="UTF-8"' in bytes(after)


@pytest.mark.parametrize(
    "hostile",
    [
        "<dc:description>a</dc:description>" * 500,
        "<dc:description>" * 100 + "</dc:description>" * 100,
        "<dc:description><rdf:Alt>"
        + '<rdf:li xml:lang="x-default">a</rdf:li>' * 500
        + "</rdf:Alt></dc:description>",
        f"<dc:title a='{'>' * 100_000}'/>",
    ],
)
def test_hostile_xmp_is_read_quickly_and_changed_or_refused(hostile: str) -> None:
    packet = Packet(f"<rdf:RDF {RDF}><rdf:Description {DC}>{hostile}</rdf:Description></rdf:RDF>".encode())
    try:
        assert packet.described(TEXT, WRITER).text(DESCRIPTION) == TEXT
    except MetadataError:
        assert packet.text(DESCRIPTION) is not None


@pytest.mark.parametrize(
    "packet",
    [
        b"no XMP",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>',
        b"<a>" * 100_000,
        f"<rdf:RDF {RDF}>".encode(),
        b"\xff\xfe<\0a",
    ],
)
def test_what_is_no_xmp_is_one_error(packet: bytes) -> None:
    with pytest.raises(MetadataError):
        Packet(packet)


# A person's words


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"ASCII\0\0\0Oma\0\0\0", "Oma"),
        (b"ASCII\0\0\0Fr\xfchst\xfcck", "Frühstück"),
        (b"UNICODE\0" + "Frühstück".encode("utf-16-le"), "Frühstück"),
        (b"UNICODE\0" + "Frühstück".encode("utf-16-be"), "Frühstück"),
        (b"UNICODE\0" + "Frühstück".encode("utf-16"), "Frühstück"),
        (b"UNICODE\0Breakfast", "Breakfast"),
        (b"JIS\0\0\0\0\0" + "朝食".encode("iso2022_jp"), "朝食"),
        (b"JIS\0\0\0\0\0" + "朝食".encode("shift_jis"), "朝食"),
        (bytes(8) + "Frühstück".encode(), "Frühstück"),
        ("Frühstück with grandma".encode(), "Frühstück with grandma"),
        (bytes(300), ""),
        (b"ASCII\0\0\0" + b" " * 200, ""),
        (b"", ""),
    ],
)
def test_user_comments_are_read_in_every_character_set(raw: bytes, text: str) -> None:
    assert user_comment(raw, "little") == text


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "TIFF", "PNG", "WEBP"])
def test_a_persons_words_are_noticed_in_every_format(kind: str) -> None:
    importlib.import_module("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[0x010E] = "My aunt at the sea"
    assert persons_words("", encoded(kind, exif=exif.tobytes())) == ["My aunt at the sea"]
    assert persons_words("", encoded(kind)) == []


WORDS = "My aunt at the sea"
PACKET = f"<rdf:RDF {RDF}><rdf:Description {DC} dc:description='{WORDS}'/></rdf:RDF>".encode()
NOTES = f"<rdf:RDF {RDF}><rdf:Description xmlns:a='http://ns.acdsee.com/iptc/1.0/' a:%s='{WORDS}'/></rdf:RDF>"
QUALIFIED = (
    f"<rdf:RDF {RDF}><rdf:Description {DC}><dc:description><rdf:Alt><rdf:li rdf:parseType='Resource'>"
    f"<rdf:value>{WORDS}</rdf:value></rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF>"
)
CAPTION_FIELD = field(*CAPTION, WORDS.encode())


def exif_with(tag: int, kind: int, value: bytes) -> bytes:
    entry = struct.pack("<HHHII", 1, tag, kind, len(value), 26) + bytes(4)
    return segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + entry + value)


def resources(*parts: bytes) -> bytes:
    return segment(0xED, b"Photoshop 3.0\0" + b"".join(parts))


def extended(digest: bytes, packet: bytes) -> bytes:
    head = b"http://ns.adobe.com/xmp/extension/\0" + digest
    return segment(0xE1, head + struct.pack(">II", len(packet), 0) + packet)


@pytest.mark.parametrize(
    "parts",
    [
        [segment(0xFE, WORDS.encode() + b"\0")],
        [exif_with(0x010E, 129, WORDS.encode())],
        [exif_with(0x9286, 7, b"Ascii\0\0\0" + WORDS.encode())],
        [EXIF, exif_with(0x010E, 2, WORDS.encode())],
        [segment(0xE1, XMP_HEAD + GAIN_MAP_XMP), segment(0xE1, XMP_HEAD + PACKET)],
        [segment(0xE1, XMP_HEAD + PACKET + b"\n\0\1garbage")],
        [segment(0xE1, XMP_HEAD + PACKET.replace(b"sea", b"sea\x0b"))],
        [segment(0xE1, XMP_HEAD + QUALIFIED.encode())],
        [segment(0xE1, XMP_HEAD + (NOTES % "caption").encode())],
        [segment(0xE1, XMP_HEAD + (NOTES % "notes").encode())],
        [
            segment(0xE1, XMP_HEAD + GAIN_MAP_XMP.replace(b'"1.0"', b'"%s"' % (b"2" * 32))),
            extended(b"9" * 32, b"stale"),
            extended(b"2" * 32, PACKET),
        ],
        [resources(resource(0x0404, CAPTION_FIELD + b"\x1c\2\x50\x7f\0abc"))],
        [resources(resource(0x0404, CAPTION_FIELD), b"8BIM\4\5\0\0\0\0\xff\xff")],
        [resources(resource(0x0404, field(*CITY, b"Bonn")), resource(0x0404, CAPTION_FIELD))],
        [EXIF, b"\0", segment(0xE1, XMP_HEAD + PACKET)],  # a byte between two segments
        [exif_with(0x010E, 2, WORDS.encode()), b"\xff\xe2\0\0"],  # a segment that is damaged
    ],
)
def test_a_persons_words_are_noticed_wherever_a_jpeg_has_them(parts: list[bytes]) -> None:
    assert persons_words("", with_segments(encoded("JPEG"), *parts)) == [WORDS]


@pytest.mark.parametrize(
    "comment",
    [
        b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90\n",
        b"Optimized by JPEGmini 3.18.2.210033067-TBTBLN 0x5fd7a7da",
        b"File written by Adobe Photoshop\xa8 5.2",
        b"Lavc57.107.100\0",
        b"*",
        b"\0\1\2 what a camera measured",
    ],
)
def test_a_programs_comment_is_no_persons(comment: bytes) -> None:
    assert persons_words("", with_segments(encoded("JPEG"), segment(0xFE, comment))) == []


@pytest.mark.parametrize("keyword", ["Description", "Title", "Comment", "comment", "Raw profile type xmp"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_persons_words_are_noticed_in_a_pngs_texts(keyword: str, is_compressed: bool) -> None:
    info = PngImagePlugin.PngInfo()
    is_profile = keyword.startswith("Raw")
    text = f"\nxmp\n{len(PACKET):8}\n{PACKET.hex()}\n" if is_profile else WORDS
    info.add_text(keyword, text, zip=is_compressed)
    assert persons_words("", encoded("PNG", pnginfo=info)) == [WORDS]


def test_a_persons_words_are_noticed_in_a_gifs_comment() -> None:
    assert persons_words("", encoded("GIF", comment=WORDS.encode())) == [WORDS]


def test_a_persons_words_are_noticed_in_raw_photos() -> None:
    tiff_ = raw_photos.Tiff()
    tags = raw_photos.sensor(tiff_) | {270: "My aunt at the sea", 50706: b"\1\4\0\0"}
    assert persons_words("", tiff_.whole(tiff_.directory(tags))) == ["My aunt at the sea"]


def test_texts_of_exif_are_read_from_all_their_fields() -> None:
    exif = Image.Exif()
    exif[0x010E] = "One"
    for number, tag in enumerate((0x9C9B, 0x9C9C, 0x9C9F)):
        exif[tag] = f"Zwölf {number}".encode("utf-16-le") + b"\0\0"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0Two"
    found = set(exif_texts(exif.tobytes().removeprefix(b"Exif\0\0")))
    assert {"One", "Zwölf 0", "Zwölf 1", "Zwölf 2", "Two"} <= found


@pytest.mark.parametrize(
    "text",
    [
        "OLYMPUS DIGITAL CAMERA", "SONY DSC", "Minolta DSC", "KONICA MINOLTA DIGITAL CAMERA",
        "EPSON DSC Picture",
        "Digital Camera", "KODAK DX3900 ZOOM DIGITAL CAMERA", "KONICA DIGITAL CAMERA KD-400Z",
        "Digital Camera Image",
        "OLYMPUS IMAGING CORP.", "CASIO COMPUTER CO.,LTD", "NIKON CORPORATION", "RICOH", "PENTAX *ist DS",
        "DCIM\\100MEDIA\\DJI_0001.JPG", "IMG_1234.jpg", "DSC_0001", "_MG_1234", "P1010001", "20230101_123456",
        "IMG_20190101_120000", "PXL_20230101_123456789.MP.jpg", "WhatsApp Image 2020-01-01 at 12.00.00",
        "User comments", "METADATA-START", "Exif JPEG", "GCM_TAG", "GC-X1E Image",
        "R:  139 G:  255 B:  189 X:39852",
        "Processed with VSCO with a6 preset", "Created with GIMP", "Created with The GIMP",
        "ImageJ=1.53c\nunit=inch",
        "File written by Adobe Photoshop\u00a8 4.0", "LEAD Technologies Inc. V1.01",
        "ACD Systems Digital Imaging",
        "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90", "Intel(R) JPEG Library, version 1.51",
        "File written by Adobe Photoshop\u00ae 5.2", "LEAD Technologies Inc. V1.01OLYMPUS DIGITAL CAMERA",
        "File written with CompuPic(R) - Photodex Corporation (http://www.photodex.com)",
        "Generated by  IJG JPEG Library", "Created by AccuSoft Corp.", "cmp3.10.3.2Lq3 0x756ffbf7",
        "Creator: PolyView\u00ae Version 4.37 by Polybytes", "Created with ezgif.com GIF maker",
        "xr:d:DAE-FpVjGhk:11,j:27,t:22050713", "Untitled design", "Untitled-1",
        "oplus_32", "oppo_0", "edf", "oznorCOR", "hdrpl", "btfmdn", "sdr_vivid",
        "brp_mask:0;brp_del_th:null;motionR:null;module: photo;hw-remosaic: false;",
        "filter: 0; filterMask: 0; \nbrp_del_th:0.0000,0.0000; \ntouch: (-1.0, -1.0);albedo: ;",
        "", "   ", "12:30", "2019:01:01 12:00:00", "0", '{"a": 1}' * 1000, "{}",
    ],
)  # fmt: skip
def test_what_cameras_and_programs_write_is_no_persons(text: str) -> None:
    assert not is_a_persons(text)
    assert is_a_persons(f"Grandma with her {text.strip() or 'dog'} at the sea")


@pytest.mark.parametrize(
    "text",
    [
        "Dad with his new digital camera", "My first digital photo", "A digital image",
        "Uncle Bob's digital camera",
        "Our trip with the new Olympus digital camera", "Created with love by Anna",
        "Made with GIMP for grandma",
        "Processed with love with my brother", "Casio computer museum in Tokyo",
        "Asahi optical factory visit",
        "Lead technologies conference 2019", "Filter: coffee; grandma pours", "Module: 3; Room: A",
        "2nd image",
        "Grandma_and_grandpa.jpg", "Opa/Oma.jpg", "hdr_sunset", "Coco", "Dav", "R: 1 G: me and you",
        "Image of grandma",
        "Canon in D", "Kodak moment", "Sam 2019", "Apple", "1985", "24.12.1999", "\u2764\ufe0f",
        "\U0001f382", ":-)",
        "{secret}",
        "{Anna: love}", "\u6771\u4eac", "\u041c\u043e\u0441\u043a\u0432\u0430",
    ],
)  # fmt: skip
def test_a_persons_words_are_never_taken_for_a_cameras(text: str) -> None:
    assert is_a_persons(text)
    assert is_a_persons(text, {"apple", "canon"})


def test_what_repeats_the_photos_own_names_is_no_persons() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Maker X", "Model Y", "Program Z 1.0"
    for text in ("maker x", "Model Y", "Maker X Model Y", "Program Z 1.0", "holiday.jpg"):
        exif[0x010E] = text
        assert not persons_words("folder/Holiday.jpg", encoded("JPEG", exif=exif.tobytes()))
    assert persons_words("other.jpg", encoded("JPEG", exif=exif.tobytes())) == ["holiday.jpg"]


@pytest.mark.parametrize(
    "hostile",
    [
        "hdr" * 20_000 + "!", "IMG" + "1" * 1900 + "!", "img_1" + "_1" * 900 + "!", "a: b;" * 390 + "!",
        "1 " * 990 + "!",
        "digital camera" + " 1" * 900 + "!", "norhdr" * 300 + "!", "a/" * 900 + "!", "canon " * 300 + "!",
    ],
)  # fmt: skip
def test_a_long_hostile_text_is_judged_quickly(hostile: str) -> None:
    assert is_a_persons(hostile)


def test_a_tiff_has_room_for_a_longer_description() -> None:
    assert tiff.room(described(encoded("TIFF"))) > 1500

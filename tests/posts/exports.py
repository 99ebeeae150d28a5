"""Small exports of every network, as their archives lay them out; as {name: bytes}."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Files = dict[str, bytes]


def photo(seed: int, *, size: tuple[int, int] = (96, 80), kind: str = "JPEG", exif: bool = False) -> bytes:
    """A picture of soft coloured blobs, different for every seed; exif: with a place and a camera in it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    tags = Image.Exif()
    if exif:
        tags[0x0110] = "SecretCam 3000"
        tags.get_ifd(0x8825)[1] = "N"
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=92, exif=tags)
    return buffer.getvalue()


def as_json(value: Any) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False).encode()


def as_meta_writes(value: Any) -> bytes:
    """JSON as Meta writes it: each byte of UTF-8 as an escape of its own."""

    def broken(each: Any) -> Any:
        if isinstance(each, str):
            return each.encode().decode("latin-1")
        if isinstance(each, dict):
            return {key: broken(inner) for key, inner in each.items()}
        return [broken(inner) for inner in each] if isinstance(each, list) else each

    return json.dumps(broken(value)).encode()


def write(folder: Path, files: Files) -> Path:
    """Unpacked."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def instagram() -> Files:
    """A post with one photo, one with two, one that is a film, and one whose photo is gone."""
    media = "media/posts/202107"
    posts = [
        {
            "media": [
                {
                    "uri": f"{media}/a.jpg",
                    "creation_timestamp": 1625097600,
                    "title": "Café au lait with Zoë's crème brûlée ☕ @zoe #coffee #yum\n.\nhttps://x.co/a",
                }
            ]
        },
        {
            "title": "Two days on the coast",
            "creation_timestamp": 1625184000,
            "media": [
                {"uri": f"{media}/b.jpg", "creation_timestamp": 1, "title": ""},
                {"uri": f"{media}/c.webp", "creation_timestamp": 1, "title": ""},
            ],
        },
        {"media": [{"uri": f"{media}/film.mp4", "title": "A film of the coast"}]},
        {"media": [{"uri": f"{media}/gone.jpg", "title": "A photo that is gone"}]},
        {"media": [{"uri": "../../../etc/passwd.jpg", "title": "A way out of it"}]},
        "not a post",
    ]
    return {
        "your_instagram_activity/media/posts_1.json": as_meta_writes(posts),
        "your_instagram_activity/media/stories.json": as_meta_writes({"ig_stories": []}),
        f"{media}/a.jpg": photo(1, exif=True),
        f"{media}/b.jpg": photo(2),
        f"{media}/c.webp": photo(3, kind="WEBP"),
    }


def instagram_of_2019() -> Files:
    """media.json at the top."""
    photos = [
        {"caption": "A kite above the dunes", "taken_at": "2019-05-01T10:00:00+02:00", "path": "photos/k.jpg"}
    ]
    return {"media.json": as_json({"photos": photos}), "photos/k.jpg": photo(4)}


def facebook() -> Files:
    """A post, an album, a photo in no album."""
    root = "your_facebook_activity/posts"
    posts = [
        {
            "timestamp": 1600000000,
            "title": "Jörg updated his status.",
            "data": [{"post": "Übermütige Ziegen auf dem Dach"}, {"update_timestamp": 1600000001}],
            "attachments": [
                {"data": [{"media": {"uri": f"{root}/media/d.jpg", "title": "Mobile uploads"}}]},
                {"data": [{"external_context": {"url": "https://example.org"}}]},
            ],
        }
    ]
    album = {
        "name": "Jörg's garden",
        "photos": [
            {
                "uri": f"{root}/media/album/e.jpg",
                "creation_timestamp": 1500000000,
                "title": "Jörg's garden",
                "description": "Roses climb over the old wall",
                "comments": [{"author": "Somebody", "comment": "What a lovely wall that is"}],
            }
        ],
    }
    loose = {"other_photos_v2": [{"uri": f"{root}/media/f.jpg", "description": "A bicycle leans on a tree"}]}
    return {
        f"{root}/your_posts__check_ins__photos_and_videos_1.json": as_meta_writes(posts),
        f"{root}/album/0.json": as_meta_writes(album),
        f"{root}/your_uncategorized_photos.json": as_meta_writes(loose),
        f"{root}/media/d.jpg": photo(5),
        f"{root}/media/album/e.jpg": photo(6),
        f"{root}/media/f.jpg": photo(7),
    }


def mastodon() -> Files:
    """A public note with alternative text, one without, a boost, a message, and one behind a warning."""
    public = "https://www.w3.org/ns/activitystreams#Public"

    def create(number: int, content: str, alt: str | None, **fields: Any) -> dict[str, Any]:
        path = f"/system/media_attachments/files/109/00{number}/original/{number:016x}.png"
        attachment = {"type": "Document", "mediaType": "image/png", "url": path, "name": alt}
        note = {
            "id": f"https://social.example/users/ann/statuses/{number}",
            "type": "Note",
            "content": content,
            "published": "2023-03-04T05:06:07Z",
            "to": [public],
            "sensitive": False,
            "attachment": [attachment],
            **fields,
        }
        return {"id": f"{note['id']}/activity", "type": "Create", "object": note}

    items = [
        create(1, "<p>Good morning</p>", "A heron stands in the shallow water of a pond."),
        create(
            2,
            '<p>The tram depot at night<br />Cold &amp; quiet</p><p><a href="https://social.example/tags/Tram"'
            ' class="mention hashtag">#<span>Tram</span></a></p>',
            None,
        ),
        {"id": "boost", "type": "Announce", "object": "https://other.example/1"},
        create(3, "<p>Only for you, dear friend</p>", "A secret letter on a table", to=["https://other/bob"]),
        create(
            4, "<p>Beware of the blood</p>", "A wound on somebody's hand", sensitive=True, summary="blood"
        ),
    ]
    files = {
        "outbox.json": as_json({"type": "OrderedCollection", "orderedItems": items}),
        "actor.json": b"{}",
    }
    for number in (1, 2, 3, 4):
        name = f"media_attachments/files/109/00{number}/original/{number:016x}.png"
        files[name] = photo(10 + number, kind="PNG")
    return files


def flickr() -> Files:
    """A public photo, a private one, and one that a camera named."""

    def about(number: str, name: str, description: str, privacy: str = "public") -> bytes:
        tags = [{"tag": "harbour"}]
        fields = {"id": number, "name": name, "description": description, "privacy": privacy, "tags": tags}
        return as_json({**fields, "date_taken": "2015-05-01 10:00:00", "license": "All Rights Reserved"})

    return {
        "photo_12345678901.json": about(
            "12345678901",
            "Boats in the harbour",
            'Seen from <a href="https://x.org">the old pier</a> at noon',
        ),
        "photo_12345678902.json": about("12345678902", "My private garden party", "", "friend & family"),
        "photo_12345678903.json": about("12345678903", "DSC_0042", "A lighthouse on a cliff"),
        "boats-in-2015_12345678901_o.jpg": photo(20),
        "party_12345678902_o.jpg": photo(21),
        "dsc_0042_12345678903_o.jpg": photo(22),
    }


def wordpress() -> Files:
    """A library with an alternative text and a caption, a post with a figure, and a draft."""

    def item(fields: dict[str, str], meta: dict[str, str] | None = None) -> str:
        cells = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())
        more = "".join(
            f"<wp:postmeta><wp:meta_key>{key}</wp:meta_key><wp:meta_value><![CDATA[{value}]]></wp:meta_value>"
            "</wp:postmeta>"
            for key, value in (meta or {}).items()
        )
        return f"<item>{cells}{more}</item>"

    def attachment(number: int, parent: int, name: str, alt: str, caption: str = "") -> str:
        fields = {
            "wp:post_id": str(number),
            "wp:post_parent": str(parent),
            "wp:post_type": "attachment",
            "wp:status": "inherit",
            "wp:post_date_gmt": "2020-05-06 07:08:09",
            "excerpt:encoded": caption,
            "wp:attachment_url": f"https://blog.example/wp-content/uploads/2020/05/{name}",
        }
        return item(fields, {"_wp_attached_file": f"2020/05/{name}", "_wp_attachment_image_alt": alt})

    figure = (
        '<!-- wp:image --><figure><img src="https://blog.example/wp-content/uploads/2020/05/goat-300x200.jpg"'
        ' alt=""/><figcaption>A goat on a <em>steep</em> roof</figcaption></figure><!-- /wp:image -->'
    )
    items = [
        attachment(1, 10, "owl.jpg", "An owl looks out of a barn"),
        attachment(2, 11, "draft.jpg", "A photo that nobody has seen yet"),
        item(
            {
                "wp:post_id": "10",
                "wp:post_type": "post",
                "wp:status": "publish",
                "link": "https://blog.example/10",
                "wp:post_date_gmt": "2020-05-06 07:08:09",
                "content:encoded": figure,
            }
        ),
        item({"wp:post_id": "11", "wp:post_type": "post", "wp:status": "draft", "content:encoded": "soon"}),
    ]
    spaces = "".join(
        f' xmlns:{name}="http://{place}"'
        for name, place in {
            "excerpt": "wordpress.org/export/1.2/excerpt/",
            "content": "purl.org/rss/1.0/modules/content/",
            "wp": "wordpress.org/export/1.2/",
        }.items()
    )
    channel = f"<channel>{''.join(items)}</channel>"
    xml = f'<?xml version="1.0" encoding="UTF-8" ?><rss version="2.0"{spaces}>{channel}</rss>'
    return {
        "blog.WordPress.2020.xml": xml.encode(),
        "wp-content/uploads/2020/05/owl.jpg": photo(30),
        "wp-content/uploads/2020/05/draft.jpg": photo(31),
        "wp-content/uploads/2020/05/goat.jpg": photo(32),
    }


def takeout() -> Files:
    """Names in all the ways that Google cuts and numbers them."""
    folder = "Takeout/Google Fotos/Urlaub"
    long = "a_very_long_name_that_goes_on_and_on_until_it_is_cut_off"

    def about(title: str, description: str, **fields: Any) -> bytes:
        taken = {"timestamp": "1577880000", "formatted": "01.01.2020, 12:00:00 UTC"}
        return as_json({"title": title, "description": description, "photoTakenTime": taken, **fields})

    return {
        f"{folder}/Metadaten.json": as_json({"title": "Urlaub", "description": "An album of holidays"}),
        f"{folder}/IMG_1.jpg": photo(40),
        f"{folder}/IMG_1-edited.jpg": photo(41),
        f"{folder}/IMG_1(1).jpg": photo(42),
        f"{folder}/IMG_1.jpg.json": about("IMG_1.jpg", "The first of two"),
        f"{folder}/IMG_1.jpg(1).json": about("IMG_1.jpg", "The second of two"),
        f"{folder}/IMG_2.jpg": photo(43),
        f"{folder}/IMG_2(1).jpg": photo(44),
        f"{folder}/IMG_2.jpg.supplemental-metadata.json": about("IMG_2.jpg", "The first of four"),
        f"{folder}/IMG_2.jpg.supplemental-metadata(1).json": about("IMG_2.jpg", "The second of four"),
        f"{folder}/{long[:47]}.jpg": photo(45),
        f"{folder}/{long[:46]}.json": about(f"{long}.jpg", "A name that was cut"),
        f"{folder}/PXL_20230704_123456789.PORTRAIT.jpg": photo(46),
        f"{folder}/PXL_20230704_123456789.PORTRAIT.jpg.supplem.json": about("", "An addition that was cut"),
        f"{folder}/IMG_3.jpg": photo(47),
        f"{folder}/IMG_3.jpg.json": about(
            "IMG_3.jpg", "What a partner shared", googlePhotosOrigin={"fromPartnerSharing": {}}
        ),
        f"{folder}/IMG_4.jpg": photo(48),
        f"{folder}/IMG_4.jpg.json": about("IMG_4.jpg", ""),
    }


# Bluesky: DAG-CBOR, written here so that the reader is not tested with itself


def _head(kind: int, count: int) -> bytes:
    if count < 24:
        return bytes([kind << 5 | count])
    size = 1 if count < 2**8 else 2 if count < 2**16 else 4
    return bytes([kind << 5 | 23 + size.bit_length()]) + count.to_bytes(size, "big")


def cbor(value: Any) -> bytes:
    """DAG-CBOR; a link is {"$link": bytes of a CID}."""
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(cbor, value))
    if set(value) == {"$link"}:
        return _head(6, 42) + cbor(b"\0" + value["$link"])
    return _head(5, len(value)) + b"".join(cbor(key) + cbor(inner) for key, inner in value.items())


def cid(data: bytes, codec: int) -> bytes:
    """The CID of a block."""
    return bytes([1, codec, 0x12, 32]) + hashlib.sha256(data).digest()


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def car(blocks: list[bytes]) -> bytes:
    """A CAR file of DAG-CBOR blocks."""
    header = cbor({"roots": [], "version": 1})
    whole = [cid(block, 0x71) + block for block in blocks]
    return b"".join(_varint(len(each)) + each for each in (header, *whole))


def blob_name(data: bytes) -> str:
    """What a blob's file is called."""
    return "b" + base64.b32encode(cid(data, 0x55)).decode().rstrip("=").lower()


def bluesky() -> Files:
    """Posts in a repository: with alternative text, with a mention, and one that is labelled."""
    photos = [photo(50), photo(51), photo(52)]

    def post(text: str, data: bytes, alt: str = "", **fields: Any) -> bytes:
        blob = {
            "$type": "blob",
            "ref": {"$link": cid(data, 0x55)},
            "mimeType": "image/jpeg",
            "size": len(data),
        }
        images = {"$type": "app.bsky.embed.images", "images": [{"alt": alt, "image": blob}]}
        common = {"$type": "app.bsky.feed.post", "createdAt": "2024-06-07T08:09:10.123Z"}
        return cbor({**common, "text": text, "embed": images, **fields})

    text = "Grüße 🌊 from the ferry to Ærø, says @ann.example"
    place = {"byteStart": len(text.encode()) - len("@ann.example"), "byteEnd": len(text.encode())}
    facet = {"index": place, "features": [{"$type": "app.bsky.richtext.facet#mention", "did": "did:plc:x"}]}
    nobody = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "porn"}]}
    blocks = [
        cbor({"$type": "app.bsky.feed.like", "createdAt": "2024-01-01T00:00:00Z"}),
        post("Look at this", photos[0], alt="A cat sleeps on a warm car"),
        post(text, photos[1], facets=[facet]),
        post("Not for everybody to see", photos[2], labels=nobody),
    ]
    return {"repo.car": car(blocks), **{f"blobs/{blob_name(data)}": data for data in photos}}

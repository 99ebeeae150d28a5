"""Descriptions in photos and beside them: XMP, IPTC and EXIF, read and written; nothing else is touched.

    xmp.py, iptc.py           the two formats in which a description is written
    jpeg.py, png.py, webp.py, tiff.py   where they stand in a file; each writes by cutting and inserting bytes
    photos.py                 any photo's blocks of metadata, and a photo with others
    texts.py                  what a person wrote, in any of them
    defaults.py               what cameras and programs write by themselves

Whatever is not one of the two blocks stays byte for byte: the picture, further pictures and videos, EXIF with
its maker notes. What points to a place in its own file is corrected, or the file is refused.
"""

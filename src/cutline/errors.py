"""The error tree. Each error has a stable code that programs may rely on.

    CutlineError
    +-- ImageError                a photo
    |   +-- ImageMissing
    |   +-- ImageNotAFile
    |   +-- UnreadableImage
    |   +-- UnsupportedImage
    |   +-- ImageTooLarge
    |   +-- ImageCrashed
    |   +-- ImageTimedOut
    +-- AddressForbidden          a URL
    +-- FetchFailed
    +-- ArchiveInvalid            a zip archive
    +-- ArchiveTooLarge
    +-- MemberRefused             one file of an archive
    |   +-- MemberNameUnsafe
    |   +-- MemberDuplicate
    |   +-- MemberEncrypted
    |   +-- MemberNotAFile
    |   +-- MemberIsArchive
    |   +-- MemberCompression
    |   +-- MemberDamaged
    |   +-- MemberTooLarge
    +-- BundleError               a model bundle
    |   +-- BundleMissing
    |   +-- BundleDamaged
    |   +-- BundleTooNew
    +-- OptionError               an option, or options that contradict each other
    +-- CaptionerUnavailable      a model behind a URI
    +-- CaptionUnsure             a caption that the model is not sure enough of
    +-- OutputError               a result that could not be written
    +-- DataError                 a data set
    +-- BackupError               a backup of the service
    +-- ConfigError               a recipe or setting
    +-- MissingExtra              an optional dependency
    +-- RegistryError             a registry of models
    |   +-- RegistryUnavailable
    |   +-- VersionMissing
    |   +-- VersionRefused
    |   +-- AliasMoved
    |   +-- GatesNotPassed
    +-- TrainingError

The service's own errors (cutline.server.errors) are kinds of CutlineError, too. A message says what happened,
``kept`` what was kept, and ``hint`` what to do next; each is a sentence.
"""

from __future__ import annotations

from typing import ClassVar


class CutlineError(Exception):
    """The base of all errors that Cutline raises on purpose.

    Subclasses set ``code`` (stable, snake_case) and ``http_status``.
    """

    code: ClassVar[str] = "cutline_error"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "", kept: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.kept = kept

    def __str__(self) -> str:
        """Message, what was kept, and hint, in one line."""
        return " ".join(part for part in (self.message, self.kept, self.hint) if part)


class ImageError(CutlineError):
    """A photo that cannot be used."""

    code = "image_error"
    http_status = 422


class ImageMissing(ImageError):
    """There is no such file, or it may not be read."""

    code = "image_missing"


class ImageNotAFile(ImageError):
    """The path is a folder, pipe, socket or device, not a photo."""

    code = "image_not_a_file"


class UnreadableImage(ImageError):
    """The bytes are damaged, cut short, or not an image."""

    code = "image_unreadable"


class UnsupportedImage(ImageError):
    """An image of a format that Cutline does not open."""

    code = "image_unsupported"


class ImageTooLarge(ImageError):
    """The file, its dimensions or its frames exceed the limits."""

    code = "image_too_large"
    http_status = 413


SMALLER_PHOTO = "Make it smaller. Of a raw photo, send the JPEG that the camera made."
"""The hint where somebody sends more bytes than one photo may have."""


class ImageCrashed(ImageError):
    """The process that captioned it crashed, twice, with this photo alone."""

    code = "image_crashed"


class ImageTimedOut(ImageError):
    """Captioning it took longer than the limit, also with this photo alone."""

    code = "image_timed_out"


class AddressForbidden(CutlineError):
    """A URL that leads to a private, loopback or link-local address, or is not http(s)."""

    code = "address_forbidden"
    http_status = 422


class FetchFailed(CutlineError):
    """The photo of a URL could not be fetched."""

    code = "fetch_failed"
    http_status = 422


class ArchiveInvalid(CutlineError):
    """The archive is not a zip file, or is damaged."""

    code = "archive_invalid"
    http_status = 422


class ArchiveTooLarge(CutlineError):
    """An archive or list with more bytes or items than the settings allow."""

    code = "archive_too_large"
    http_status = 413


class MemberRefused(CutlineError):
    """One file of an archive cannot be taken; the others can."""

    code = "member_refused"
    http_status = 422


class MemberNameUnsafe(MemberRefused):
    """Its name leads out of the archive (.., /, C:), or has control characters."""

    code = "member_name_unsafe"


class MemberDuplicate(MemberRefused):
    """The archive contains an earlier file of the same name."""

    code = "member_duplicate"


class MemberEncrypted(MemberRefused):
    """It is encrypted."""

    code = "member_encrypted"


class MemberNotAFile(MemberRefused):
    """A link, device or something else that is not a file."""

    code = "member_not_a_file"


class MemberIsArchive(MemberRefused):
    """An archive inside the archive: these are not opened."""

    code = "member_is_archive"


class MemberCompression(MemberRefused):
    """Compressed by a method other than deflate."""

    code = "member_compression_unsupported"


class MemberDamaged(MemberRefused):
    """Its bytes are damaged, overlap another's, or are not as many as the archive says."""

    code = "member_damaged"


class MemberTooLarge(MemberRefused):
    """Larger than one photo may be, or the archive unpacks to more than the settings allow in all."""

    code = "member_too_large"


class BundleError(CutlineError):
    """A model bundle that cannot be used."""

    code = "bundle_error"


class BundleMissing(BundleError):
    """There is no bundle at that path."""

    code = "bundle_missing"


class BundleDamaged(BundleError):
    """A file is missing, malformed, or its hash differs from the one in bundle.json."""

    code = "bundle_damaged"


class BundleTooNew(BundleError):
    """The bundle's format is newer than this version of Cutline understands."""

    code = "bundle_too_new"


class OptionError(CutlineError):
    """An option, or a combination of options, that is invalid."""

    code = "option_invalid"
    http_status = 422


class CaptionerUnavailable(CutlineError):
    """A captioner behind a URI cannot be reached or lacks its library."""

    code = "captioner_unavailable"
    http_status = 503


class CaptionUnsure(CutlineError):
    """No caption of a photo has the confidence that was asked for."""

    code = "caption_unsure"
    http_status = 422


class OutputError(CutlineError):
    """A result could not be written."""

    code = "output_unwritable"


class DataError(CutlineError):
    """A data set that is missing, malformed or empty."""

    code = "data_invalid"


class BackupError(CutlineError):
    """A backup of the service that cannot be made, read or restored."""

    code = "backup_failed"


class ConfigError(CutlineError):
    """A recipe or setting that is unknown or out of range."""

    code = "config_invalid"


class MissingExtra(CutlineError):
    """A feature whose optional dependency is not installed."""

    code = "extra_missing"


class RegistryError(CutlineError):
    """A registry of models, or a version in it, that cannot be used."""

    code = "registry_error"


class RegistryUnavailable(RegistryError):
    """The registry cannot be reached, or cannot be written to."""

    code = "registry_unavailable"
    http_status = 503


class VersionMissing(RegistryError):
    """The registry has no such version, alias or file of a version, or its files were pruned."""

    code = "version_missing"
    http_status = 404


class VersionRefused(RegistryError):
    """A version that is damaged, malformed, or not signed by a key that is trusted."""

    code = "version_refused"


class AliasMoved(RegistryError):
    """Somebody else has moved the alias meanwhile."""

    code = "alias_moved"
    http_status = 409


class GatesNotPassed(RegistryError):
    """A version that has not passed its gates would become what users see."""

    code = "gates_not_passed"
    http_status = 409


class TrainingError(CutlineError):
    """Training cannot start or continue."""

    code = "training_failed"

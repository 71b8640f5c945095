"""A checksum of a whole file at its end, where readers of NetCDF do not look.

The format's own checksums cover large arrays alone: a changed single number or word would be read as if it had been meant, and some changes
elsewhere send the library below into an endless loop. So a file is checked before that library opens it.
"""

import hashlib
from pathlib import Path

_MARK = b"\nslds-core sha256 "
_SIZE = len(_MARK) + 64 + 1


def seal(path: Path) -> None:
    """Appends the checksum of a file to it. Programs that change the file in place cut it off."""
    with open(path, "r+b") as stream:
        stream.write(_ending(stream.read()))


def holds(path: Path) -> bool | None:
    """Returns whether a file is as it was sealed; ``None`` where it has no seal.

    Raises:
        OSError: the file cannot be read.
    """
    return intact(path.read_bytes())


def is_there(path: Path) -> bool | None:
    """Returns ``True`` if a file ends with a seal, whether or not it holds; ``None`` if not."""
    with open(path, "rb") as stream:
        stream.seek(max(path.stat().st_size - _SIZE, 0))
        return stream.read().startswith(_MARK) or None


def intact(contents: bytes) -> bool | None:
    """Returns whether a file's contents are as they were sealed; ``None`` where they have no seal."""
    ending = of(contents)
    return ending == _ending(contents[:-_SIZE]) if ending.startswith(_MARK) else None


def of(contents: bytes) -> bytes:
    """Returns a file's seal, if it has one: what tells its contents from all others, once it is known to hold."""
    return contents[-_SIZE:]


def _ending(contents: bytes) -> bytes:
    return _MARK + hashlib.sha256(contents).hexdigest().encode() + b"\n"

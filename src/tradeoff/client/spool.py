"""Reports that could not be delivered, kept on disk until `tradeoff resend` delivers them.

A file each, so that any number of programs may write at once, on any number of machines that share
the folder. It holds the request as it was sent, its `Idempotency-Key` too, and never the token:

    {"method": "POST", "path": "/experiments/7/observations", "body": "...", "key": "4be1...",
     "api_url": "http://127.0.0.1:8080", "when": 1790000000.0, "token_mark": "09af1c33"}
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

#: What decides where letters are kept, the first one first.
FOLDER_VARIABLES = ("TRADEOFF_SPOOL_DIR", "TRADEOFF_DATA_DIR")


@dataclass(frozen=True, slots=True)
class Letter:
    """A request that may not have been delivered.

    Attributes:
        method: of HTTP.
        path: below `/v1`.
        body: the JSON text as it was sent, since the server compares it with the first try's.
        key: the `Idempotency-Key` of every try.
        api_url: where it was sent to.
        when: when it was made, in Unix seconds of this machine.
        token_mark: tells tokens apart (`mark_of`), since a key is known for its token alone.
    """

    method: str
    path: str
    body: str
    key: str
    api_url: str
    when: float
    token_mark: str

    @property
    def file_name(self) -> str:
        """The name of its file; names in order are letters in the order of their making."""
        return f"{int(self.when * 1e6):018d}-{self.key}.json"


class Keeper:
    """Keeps one letter on disk while it is not known to be delivered.

    Attributes:
        path: its file; `None` while there is none.
        trouble: why it could not be written, if so.
    """

    def __init__(self, letter: Letter) -> None:
        self.letter = letter
        self.path: Path | None = None
        self.trouble: Exception | None = None

    def keep(self) -> None:
        """Write it, if the disk lets us."""
        try:
            self.path, self.trouble = write(self.letter), None
        # Without a home directory there is a RuntimeError.
        except (OSError, RuntimeError) as error:
            self.trouble = error

    def drop(self) -> None:
        """Remove it: it was delivered, or refused for good."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def describe(self) -> str:
        """Say where it is kept and how it gets from there to the server, or why it is not."""
        if self.path is None:
            # The values at least stand in the log of the job then.
            return f"The report is not kept on disk either ({self.trouble}): {self.letter.body}"
        chosen = [name for name in FOLDER_VARIABLES if os.environ.get(name)]
        setting = f"{chosen[0]}={os.environ[chosen[0]]} " if chosen else ""
        return (
            f"The report is kept in {self.path}. When the server is back, `{setting}tradeoff "
            "resend` delivers it from this machine, once, even if it had arrived after all"
        )


def folder() -> Path:
    """Where letters are kept: `TRADEOFF_SPOOL_DIR`, else `spool` in the data directory.

    Raises:
        RuntimeError: when this user has no home directory.
    """
    if chosen := os.environ.get("TRADEOFF_SPOOL_DIR"):
        return Path(chosen).expanduser().absolute()
    data_dir = os.environ.get("TRADEOFF_DATA_DIR")
    return ((Path(data_dir) if data_dir else Path("~/.tradeoff")).expanduser() / "spool").absolute()


def write(letter: Letter) -> Path:
    """Keep a letter.

    Raises:
        OSError: when the disk cannot be written.
        RuntimeError: when there is no folder to write to.
    """
    directory = folder()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / letter.file_name
    put(path, json.dumps(asdict(letter), indent=1))
    return path


def put(path: Path, text: str) -> None:
    """Write a file for this user alone: all of it or nothing, also when the power fails.

    Raises:
        OSError: when the disk cannot be written.
    """
    # No reader looks at a name that begins with a dot.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    _flush_directory(path.parent)


def read(path: Path) -> Letter:
    """The letter in a file.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it holds no letter.
    """
    found = json.loads(path.read_text())
    names = {each.name for each in fields(Letter)}
    if not isinstance(found, dict) or not names <= set(found):
        raise ValueError("it is no spooled request")
    letter = Letter(**{name: found[name] for name in names})
    texts = (letter.method, letter.path, letter.body, letter.key, letter.api_url)
    if not all(isinstance(text, str) for text in texts) or not isinstance(letter.when, int | float):
        raise ValueError("it is no spooled request")
    return letter


def waiting(directory: Path) -> list[Path]:
    """The files of the letters that are to be sent, in the order of their making."""
    return sorted(path for path in directory.glob("*.json") if not path.name.startswith("."))


def mark_of(token: str) -> str:
    """Tell tokens apart without keeping them: eight hexadecimal digits of a hash."""
    return hashlib.sha256(token.encode()).hexdigest()[:8]


def _flush_directory(directory: Path) -> None:
    # The name must survive a power cut as well; not every system lets a folder be opened.
    with suppress(OSError):
        number = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

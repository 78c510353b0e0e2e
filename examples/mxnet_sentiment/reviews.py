"""The data: sentences of film reviews, good or bad (Pang and Lee, ACL 2005)."""

import re
import tarfile
import urllib.request
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: The data set's public home.
URL = "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz"
NAMES = ("rt-polarity.pos", "rt-polarity.neg")
#: Of the sentences, to validate with.
VALIDATED = 0.1
PADDING, UNKNOWN = 0, 1


class Reviews(NamedTuple):
    """Sentences as rows of word numbers, filled up with `PADDING`, and whether each is good."""

    train: np.ndarray
    train_labels: np.ndarray
    validate: np.ndarray
    validate_labels: np.ndarray
    words: int


def load(folder: Path, at_most: int | None = None, most_words: int | None = None) -> Reviews:
    """Read the sentences; which are validated with is always the same.

    Args:
        folder: with `NAMES`.
        at_most: so many sentences, for a trial; else all.
        most_words: of a sentence, for a trial; what follows is not read.
    """
    sentences, labels = [], []
    for label, name in enumerate(reversed(NAMES)):
        # These files are older than the custom of UTF-8.
        lines = (folder / name).read_text(encoding="latin-1").splitlines()
        words = [re.findall(r"[a-z0-9']+|[^\sa-z0-9]", line.lower()) for line in lines]
        sentences += [some[:most_words] for some in words]
        labels += [label] * len(lines)
    order = np.random.RandomState(0).permutation(len(sentences))[:at_most]
    validated = max(1, int(VALIDATED * len(order)))
    # Words of the validation sentences alone would never be trained.
    counts = Counter(word for k in order[validated:] for word in sentences[k])
    number = {word: k for k, word in enumerate(sorted(counts), start=UNKNOWN + 1)}
    rows = np.full((len(order), max(len(sentences[k]) for k in order)), PADDING, dtype=np.float32)
    for row, k in zip(rows, order, strict=True):
        row[: len(sentences[k])] = [number.get(word, UNKNOWN) for word in sentences[k]]
    chosen = np.array(labels, dtype=np.float32)[order]
    return Reviews(
        rows[validated:], chosen[validated:], rows[:validated], chosen[:validated], len(number) + 2
    )


def download(folder: Path) -> None:
    """Fetch the two files into a folder, unless they are there."""
    if all((folder / name).exists() for name in NAMES):
        return
    folder.mkdir(parents=True, exist_ok=True)
    packed, _ = urllib.request.urlretrieve(URL)
    with tarfile.open(packed) as archive:
        for member in archive.getmembers():
            if Path(member.name).name in NAMES:
                file = archive.extractfile(member)
                assert file is not None
                (folder / Path(member.name).name).write_bytes(file.read())

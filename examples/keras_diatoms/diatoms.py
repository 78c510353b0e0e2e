"""The data: outlines of diatoms as series, from the UCR time series archive (Adiac).

Both editions of the archive's files are read: a series a line, its class first, separated by commas
(2015) or blanks (2018). Jalba et al. 2005 made the set; Chen et al. 2015 is the archive.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt

Series = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

#: The data set's public home.
URL = "https://www.timeseriesclassification.com/aeon-toolkit/Adiac.zip"
NAMES = ("Adiac_TRAIN", "Adiac_TEST")
SUFFIXES = ("", ".txt", ".tsv", ".csv")


@dataclass(frozen=True)
class Diatoms:
    """What to train with and what to validate with, scaled by the training part's mean and spread.

    Attributes:
        train: `n x length x 1` series.
        train_labels: `n` classes, from 0.
        validate: as `train`.
        validate_labels: as `train_labels`.
    """

    train: Series
    train_labels: Labels
    validate: Series
    validate_labels: Labels

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(max(self.train_labels.max(), self.validate_labels.max())) + 1


def load(folder: Path) -> Diatoms:
    """Read the two files of a folder.

    Raises:
        FileNotFoundError: if one is missing; the message says what was looked for.
    """
    (train, train_labels), (validate, validate_labels) = (_read(_find(folder, n)) for n in NAMES)
    known = np.unique(np.concatenate([train_labels, validate_labels]))
    mean, spread = train.mean(), train.std()
    return Diatoms(
        ((train - mean) / spread)[..., None].astype(np.float32),
        np.searchsorted(known, train_labels),
        ((validate - mean) / spread)[..., None].astype(np.float32),
        np.searchsorted(known, validate_labels),
    )


def download(folder: Path, url: str = URL) -> None:
    """Fetch the data set into a folder, unless it is there.

    Raises:
        httpx.HTTPError: if it cannot be had; `load` reads a copy of yours from any folder.
    """
    if all(any((folder / (name + end)).exists() for end in SUFFIXES) for name in NAMES):
        return
    answer = httpx.get(url, follow_redirects=True, timeout=60)
    answer.raise_for_status()
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        held = {Path(member).name: member for member in archive.namelist()}
        for name in NAMES:
            file = next((name + end for end in SUFFIXES if name + end in held), None)
            if file is None:
                raise FileNotFoundError(f"{url} holds no {name}, only {', '.join(held)}")
            (folder / file).write_bytes(archive.read(held[file]))


def _find(folder: Path, name: str) -> Path:
    for end in SUFFIXES:
        if (folder / (name + end)).exists():
            return folder / (name + end)
    raise FileNotFoundError(f"no {name} (or {name}.txt, .tsv, .csv) in {folder}")


def _read(path: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rows = [re.split(r"[,\s]+", line.strip()) for line in path.read_text().splitlines() if line]
    values = np.array(rows, dtype=np.float64)
    return values[:, 1:], values[:, 0]

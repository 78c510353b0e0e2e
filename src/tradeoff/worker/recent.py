"""The few things that were used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key; those that were not used for longest go, the newest one always stays.

    Args:
        most: how many are kept.
        largest: sum of their sizes.
    """

    def __init__(self, *, most: int, largest: int) -> None:
        self._most = most
        self._largest = largest
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._size = 0

    def get(self, key: Key) -> Value | None:
        """The value of `key`, used now."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def put(self, key: Key, value: Value, *, size: int) -> list[Key]:
        """Keep a value instead of what `key` had; gives the keys that had to go for it."""
        _, before = self._kept.pop(key, (None, 0))
        self._kept[key] = value, size
        self._size += size - before
        gone = []
        while len(self._kept) > max(1, self._most) or (
            len(self._kept) > 1 and self._size > self._largest
        ):
            oldest, (_, freed) = self._kept.popitem(last=False)
            self._size -= freed
            gone.append(oldest)
        return gone

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()
        self._size = 0

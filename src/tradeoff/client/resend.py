"""`tradeoff resend`: deliver what the client could not, once the server is back."""

from __future__ import annotations

import argparse
import fcntl
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tradeoff.client import errors, spool
from tradeoff.client.connection import Client, find_url

#: The server knows a key for 48 hours; an hour less, for clocks that differ.
KEY_SECONDS = 47 * 3600.0
#: How long each request is tried again.
RETRY_SECONDS = 5.0

HELP = """\
Deliver the reports that this machine's training scripts could not.

A report (an observation or a batch) that does not reach the server is kept
in a file of its own, in TRADEOFF_SPOOL_DIR, else TRADEOFF_DATA_DIR/spool,
else ~/.tradeoff/spool. This sends each file to the server that it was meant
for, oldest first, with the token of TRADEOFF_API_TOKEN or of the local
`tradeoff up`.

What is acknowledged is deleted. What meets trouble that may pass (server
away, wrong token) stays for the next time. What the server refuses for good
is renamed to NAME.refused, which says why.

Nothing is stored twice: each report goes out under the Idempotency-Key of
its first try, so that the server knows it if that arrived after all. It
knows keys for 48 hours and for the token that used them; an older report,
or one of another token, is first looked for among the stored observations,
and counts as delivered if one of the same suggestion (or assignments) has
equal values.

Exit code 0 when nothing is left, else 1.
"""

ADVICE = "Set TRADEOFF_API_TOKEN and TRADEOFF_API_URL to what the script had."

State = Literal["sent", "already there", "refused", "kept", "would send"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    Attributes:
        path: the file, as it was named before.
        state: `kept` is to be sent again, `refused` never.
        about: what it holds.
        reason: why it was not sent, or `None`.
    """

    path: Path
    state: State
    about: str
    reason: str | None = None


class Sender:
    """Sends letters, to each server through one client.

    Args:
        api_url: where to send all of them; `None` for where each was meant for.
        dry_run: only say what would be sent.
    """

    def __init__(self, api_url: str | None, *, dry_run: bool) -> None:
        self._api_url = api_url
        self._dry_run = dry_run
        self._clients: dict[str, Client] = {}
        self._away: dict[str, str] = {}

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def send(self, path: Path) -> Outcome:
        """Send the letter in a file, and remove or rename the file as its answer says."""
        try:
            letter = spool.read(path)
        except FileNotFoundError:
            return Outcome(path, "already there", "delivered by the script itself meanwhile")
        except (OSError, ValueError) as error:
            return Outcome(path, "kept", "an unreadable file", str(error))
        about = _describe(letter)
        url = self._api_url or letter.api_url
        if self._dry_run:
            return Outcome(path, "would send", f"{about} to {url}")
        if url in self._away:
            return Outcome(path, "kept", about, self._away[url])
        try:
            client = self._client(url)
            if letter.token_mark != client.token_mark and url != find_url(self._api_url):
                # A token is shown to no server that it was not meant for.
                return Outcome(
                    path, "kept", about, f"meant for {url}, with another token. {ADVICE}"
                )
            known = is_stored(client, letter) if _is_forgotten(letter, client) else False
            if not known:
                client.resend(letter)
        except errors.TradeoffClientError as error:
            return self._explain(path, letter, about, url, error)
        path.unlink(missing_ok=True)
        return Outcome(path, "already there" if known else "sent", about)

    def _client(self, url: str) -> Client:
        if url not in self._clients:
            # No worker is at work here: nobody's leases are renewed.
            client = Client(api_url=url, retry_seconds=RETRY_SECONDS, worker_id="")
            self._clients[url] = client
        return self._clients[url]

    def _explain(
        self,
        path: Path,
        letter: spool.Letter,
        about: str,
        url: str,
        error: errors.TradeoffClientError,
    ) -> Outcome:
        if not isinstance(error, errors.ApiError):
            # The others for this server would only wait as long.
            self._away[url] = str(error)
            return Outcome(path, "kept", about, str(error))
        foreign = letter.token_mark != self._client(url).token_mark
        if isinstance(error, errors.Unauthorized | errors.Forbidden) or (
            # What belongs to another client does not exist for this token.
            foreign and isinstance(error, errors.NotFound)
        ):
            return Outcome(path, "kept", about, f"{error}. {ADVICE}")
        if error.may_pass or not 400 <= error.status_code < 500:
            return Outcome(path, "kept", about, str(error))
        _set_aside(path, str(error))
        return Outcome(path, "refused", about, str(error))


def resend(
    folder: Path,
    *,
    api_url: str | None = None,
    dry_run: bool = False,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Send everything in a spool folder.

    Args:
        folder: of the letters.
        api_url: where to send all of them; `None` for where each was meant for.
        dry_run: only say what would be sent.
        tell: called with each outcome, as soon as it is known.

    Raises:
        BlockingIOError: when another resend is at work on the folder.
    """
    if not folder.is_dir():
        return []
    outcomes = []
    with _alone(folder), ExitStack() as stack:
        sender = Sender(api_url, dry_run=dry_run)
        stack.callback(sender.close)
        for path in spool.waiting(folder):
            outcomes.append(sender.send(path))
            tell(outcomes[-1])
    return outcomes


def is_stored(client: Client, letter: spool.Letter) -> bool:
    """Whether everything that a letter reports is among the observations of its experiment."""
    found = re.fullmatch(r"/experiments/(\d+)/observations(?:/batch)?", letter.path)
    if found is None:
        return False
    body = json.loads(letter.body)
    missing: list[Mapping[str, Any]] = list(body.get("observations", [body]))
    fields = "id,suggestion,assignments,values,failed"
    rows = client.experiments(found[1]).observations().fetch(limit=1000, fields=fields)
    for row in rows.iterate_pages():
        for report in missing:
            if _is_same(report, row.to_json()):
                missing.remove(report)
                break
        if not missing:
            return True
    return False


def run(api_url: str | None, *, dry_run: bool, as_json: bool) -> int:
    """Resend, say so on the screen, and give the exit code."""
    folder = spool.folder()
    try:
        outcomes = resend(
            folder, api_url=api_url, dry_run=dry_run, tell=(lambda _: None) if as_json else _print
        )
    except BlockingIOError:
        print(f"Another `tradeoff resend` is at work on {folder}.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The files cannot be read or removed: {error}", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps([_plain(outcome) for outcome in outcomes], indent=2))
    elif not outcomes:
        print(f"Nothing to send in {folder}.")
    else:
        counts = Counter(outcome.state for outcome in outcomes)
        print(", ".join(f"{count} {state}" for state, count in counts.items()))
    return int(any(outcome.state in ("kept", "refused", "would send") for outcome in outcomes))


def main(arguments: Sequence[str]) -> int:
    """`tradeoff resend` where the package is installed without its command line."""
    parser = argparse.ArgumentParser(
        "tradeoff resend", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--api-url", help="send all of them to this server")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be sent")
    parser.add_argument("--json", action="store_true", help="say it in JSON")
    chosen = parser.parse_args(arguments)
    return run(chosen.api_url, dry_run=chosen.dry_run, as_json=chosen.json)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other resends out; the lock ends with this process, whatever ends it.

    Raises:
        BlockingIOError: when one is at work.
    """
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _is_forgotten(letter: spool.Letter, client: Client) -> bool:
    """Whether the server would take the letter's key for a new one."""
    return time.time() - letter.when > KEY_SECONDS or letter.token_mark != client.token_mark


def _is_same(report: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a stored observation says what a report says."""
    if report.get("suggestion") is None:
        same_place = report.get("assignments") == row["assignments"]
    else:
        same_place = str(report["suggestion"]) == row["suggestion"]
    return (
        same_place
        and bool(report.get("failed")) == row["failed"]
        and _values(report) == _values(row)
    )


def _values(body: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """What was measured: name, value and standard deviation, by name.

    A single value needs no name in a report, and has one where it is stored.
    """
    values = body.get("values") or []
    if body.get("value") is not None:
        values = [{"value": body["value"], "value_stddev": body.get("value_stddev")}]
    names = [value.get("name") or "" if len(values) > 1 else "" for value in values]
    return sorted(
        (name, value["value"], value.get("value_stddev") or 0.0)
        for name, value in zip(names, values, strict=True)
    )


def _set_aside(path: Path, reason: str) -> None:
    """Rename a refused letter, with the reason in it; named back it would be sent again."""
    told = {**json.loads(path.read_text()), "refused": reason}
    spool.put(path.with_name(f"{path.name}.refused"), json.dumps(told, indent=1))
    path.unlink(missing_ok=True)


def _describe(letter: spool.Letter) -> str:
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(letter.when))
    return f"{letter.method} {letter.path} of {made}"


def _print(outcome: Outcome) -> None:
    reason = f": {outcome.reason}" if outcome.reason else ""
    print(f"{outcome.state:13}  {outcome.about}  ({outcome.path.name}){reason}", flush=True)


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "file": str(outcome.path),
        "state": outcome.state,
        "about": outcome.about,
        "reason": outcome.reason,
    }

"""Ends an answer at a text, whatever tokens spell it, and shows nothing of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """Ids and text to send now. At the end the text may go beyond the ids; `stopped`: no more."""

    token_ids: list[int]
    text: str
    stopped: bool = False


class StopText:
    """The part of an answer that may be shown while its tokens come in.

    The answer ends before the first `stop`. As in the original demo, whitespace around the answer
    is no part of it: what leads it is never shown, what precedes the stop neither. Whitespace at
    the end, and what could begin the stop, is held back together with its ids until more tokens
    tell. A held id has not been sent, so it is never committed, and an attempt that goes on from
    the committed ids shows what this one would have shown.
    """

    def __init__(self, stop: str, committed: str = ""):
        """`committed` is the text of ids that an earlier attempt sent."""
        self._stop = stop
        self._started = False
        # Already shown, and may begin a stop.
        self._said = self._tail(self._without_lead(committed))
        self._held: list[tuple[int, str]] = []

    def push(self, token_id: int, text: str) -> Shown:
        """`text` is what the id adds to the text of all ids before it."""
        self._held.append((token_id, self._without_lead(text)))
        whole = self._said + "".join(text for _, text in self._held)
        found = whole.find(self._stop)
        if found >= 0:
            ids, shown, rest = self._take(len(whole[:found].rstrip()))
            return Shown(ids, shown + rest, stopped=True)
        ids, shown, _ = self._take(len(whole) - len(self._tail(whole)))
        return Shown(ids, shown)

    def finish(self, text: str) -> Shown:
        """All that is held, and `text` without ids: no more tokens come."""
        ids, held = [n for n, _ in self._held], "".join(held for _, held in self._held)
        self._held = []
        return Shown(ids, held + self._without_lead(text))

    def _take(self, length: int) -> tuple[list[int], str, str]:
        """The held tokens that lie within the first `length` characters, said ones included, and
        what of the next one does. Later ones stay held."""
        ids, shown, place = [], "", len(self._said)
        while self._held and place + len(self._held[0][1]) <= length:
            token, text = self._held.pop(0)
            ids.append(token)
            shown += text
            place += len(text)
        if ids:
            self._said = self._tail(self._said + shown)
        rest = self._held[0][1][: length - place] if self._held and length > place else ""
        return ids, shown, rest

    def _without_lead(self, text: str) -> str:
        if not self._started:
            text = text.lstrip()
            self._started = bool(text)
        return text

    def _tail(self, text: str) -> str:
        """The end of a text without a stop that may yet turn out to be no part of the answer."""
        for length in range(len(self._stop) - 1, 0, -1):
            if text.endswith(self._stop[:length]):
                kept = text[:-length]
                break
        else:
            kept = text
        return text[len(kept.rstrip()) :]

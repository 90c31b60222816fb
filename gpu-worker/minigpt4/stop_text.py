"""Ends an answer at a stop text, whatever tokens spell it, and never sends the stop text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Delta:
    """The ids and text to send now. `stopped`: the answer has ended.

    At the end the text may include characters of an id that is not sent.
    """

    token_ids: list[int]
    text: str
    stopped: bool = False


class StopText:
    """Decides which part of an answer can be sent while its tokens arrive.

    The answer ends before the first `stop`. As in the original demo, whitespace at either end is
    not part of the answer. Trailing whitespace, and text that could be the beginning of the stop
    text, are held back with their ids until later tokens decide. Held ids are not sent and so
    never committed: an attempt that continues from the committed ids sends what this one would
    have sent.
    """

    def __init__(self, stop: str, committed: str = ""):
        """`committed` is the text of the ids that an earlier attempt sent."""
        self._stop = stop
        self._started = False
        # The end of the sent text, which may be the beginning of a stop text.
        self._sent = self._tail(self._without_lead(committed))
        self._held: list[tuple[int, str]] = []

    def push(self, token_id: int, text: str) -> Delta:
        """`text` is what this id adds to the text of the ids before it."""
        self._held.append((token_id, self._without_lead(text)))
        whole = self._sent + "".join(text for _, text in self._held)
        found = whole.find(self._stop)
        if found >= 0:
            ids, shown, rest = self._take(len(whole[:found].rstrip()))
            return Delta(ids, shown + rest, stopped=True)
        ids, shown, _ = self._take(len(whole) - len(self._tail(whole)))
        return Delta(ids, shown)

    def finish(self, text: str) -> Delta:
        """Releases what is held, and `text`, which has no ids. No more tokens follow."""
        ids, held = [n for n, _ in self._held], "".join(held for _, held in self._held)
        self._held = []
        return Delta(ids, held + self._without_lead(text))

    def _take(self, length: int) -> tuple[list[int], str, str]:
        """Releases the held tokens within the first `length` characters, counted with sent ones.

        Returns their ids and text, and the part of the next token that is within too.
        """
        ids, shown, place = [], "", len(self._sent)
        while self._held and place + len(self._held[0][1]) <= length:
            token, text = self._held.pop(0)
            ids.append(token)
            shown += text
            place += len(text)
        if ids:
            self._sent = self._tail(self._sent + shown)
        rest = self._held[0][1][: length - place] if self._held and length > place else ""
        return ids, shown, rest

    def _without_lead(self, text: str) -> str:
        if not self._started:
            text = text.lstrip()
            self._started = bool(text)
        return text

    def _tail(self, text: str) -> str:
        """The end of the text that later tokens may turn into whitespace or the stop text."""
        for length in range(len(self._stop) - 1, 0, -1):
            if text.endswith(self._stop[:length]):
                kept = text[:-length]
                break
        else:
            kept = text
        return text[len(kept.rstrip()) :]

"""Downloads original files: resumes, checks, and names a file only once it is complete.

It reads HF_ENDPOINT and HF_TOKEN as huggingface_hub does, and sends the token only to that host.
"""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from ..input_error import InputError
from ..models import FAMILY
from .progress import Progress
from .sources import Missing, Sources, describe, describe_language_model, missing_files, official
from .sources import sha256 as sum_of
from .tensors import SAFE, TORCH, weight_map

HUB = "https://huggingface.co"
TRIES = 5
PAUSE_SECONDS = 1.0  # before the second try; doubles
OPTIONAL = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


class NotThere(Exception):
    """The host has no such file."""


def address(url: str) -> str:
    """The URL as HF_ENDPOINT says."""
    endpoint = os.environ.get("HF_ENDPOINT") or HUB
    return endpoint.rstrip("/") + url.removeprefix(HUB) if url.startswith(HUB + "/") else url


def _headers(url: str) -> dict[str, str]:
    token, endpoint = os.environ.get("HF_TOKEN"), os.environ.get("HF_ENDPOINT") or HUB
    if token and url.startswith(endpoint.rstrip("/") + "/"):
        return {"Authorization": f"Bearer {token}"}
    return {}


def download(
    url: str, to: Path, sha256: str | None = None, client: httpx.Client | None = None
) -> None:
    """Fetches `url` into `to`, by way of `to`.part, which a later call resumes.

    Without `sha256` it checks the one that the hub announces for large files. Raises InputError if
    the network or the host fails or the content is wrong, and NotThere if the host has no file.
    """
    if client is None:
        with httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30.0)) as client:
            return download(url, to, sha256, client)
    part = to.with_name(to.name + ".part")
    to.parent.mkdir(parents=True, exist_ok=True)
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            announced = _receive(client, url, part)
        except httpx.InvalidURL as error:
            raise InputError(f"{url}: not a URL ({error})") from None
        except (httpx.HTTPError, _Incomplete) as error:
            problem = str(error) or type(error).__name__
            continue
        wanted = sha256 or announced
        if wanted and (found := sum_of(part)) != wanted:
            part.unlink()
            raise InputError(
                f"{to.name}: the download's sha256 is {found}, expected {wanted}",
                "the file was deleted; try again, or download it elsewhere",
            )
        part.rename(to)
        return
    kept = f"; {part.stat().st_size:,} bytes are kept in {part.name}" if part.exists() else ""
    raise InputError(
        f"{to.name}: could not be fetched ({problem}){kept}", "run the command again to continue"
    )


class _Incomplete(Exception):
    pass


def _receive(client: httpx.Client, url: str, part: Path) -> str | None:
    """Receives what is still missing of `part`; returns the sha256 that the hub announces."""
    have = part.stat().st_size if part.exists() else 0
    # Only a body without encoding can be counted and resumed.
    headers = _headers(url) | {"Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", url, headers=headers) as answer:
        code = answer.status_code
        if code == 404:
            raise NotThere(url)
        if code in (401, 403):
            raise InputError(
                f"{url}: the host answered {code}",
                "accept the licence there and set HF_TOKEN, or download the file by hand",
            )
        if code == 416:  # the part is not a beginning of the file, or is all of it
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if total.isdigit() and int(total) == have:
                return _announced(answer)
            part.unlink()
            raise _Incomplete("the partial download is not of this file")
        if code >= 500 or code == 429:
            raise _Incomplete(f"the host answered {code}")
        if code not in (200, 206):
            raise InputError(f"{url}: the host answered {code}", "download the file by hand")
        if code == 200:
            have = 0
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            raise _Incomplete("the host sent another range than requested")
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        progress = Progress(f"fetching {part.stem}", total or 0)
        progress.skip(have)
        with part.open("ab" if have else "wb") as file:
            for block in answer.iter_raw():  # unbuffered, so that a lost connection loses nothing
                file.write(block)
                have += len(block)
                progress.advance(len(block))
        progress.finish()
        if total is not None and have != total:
            raise _Incomplete(f"the connection ended after {have:,} of {total:,} bytes")
        return _announced(answer)


def _announced(answer: httpx.Response) -> str | None:
    for step in (*answer.history, answer):
        found = step.headers.get("X-Linked-Etag", "").strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", found):
            return found
    return None


def fetch_language_model(repository: str, folder: Path, client: httpx.Client) -> None:
    """Fetches the files that an LLM's folder needs from Hugging Face; config.json comes last."""
    root = address(f"{HUB}/{repository}/resolve/main")

    def get(name: str) -> None:
        if not (folder / name).exists():
            download(f"{root}/{name}", folder / name, client=client)

    def get_one_of(*names: str) -> str:
        for name in names:
            try:
                get(name)
            except NotThere:
                continue
            return name
        raise InputError(f"{root}: has none of {', '.join(names)}")

    get_one_of("tokenizer.model", "tokenizer.json")
    for name in OPTIONAL:
        try:
            get(name)
        except NotThere:
            continue
    index = get_one_of(f"{SAFE}.index.json", f"{TORCH}.index.json", SAFE, TORCH)
    if index.endswith(".index.json"):
        for name in sorted(set(weight_map(folder / index).values())):
            get_one_of(name)
    get_one_of("config.json")


def fetch_missing(
    model: str, folder: Path, sources: Sources, options: list[str], synthetic: bool
) -> None:
    """Downloads the missing files into `folder`, or names those that it cannot download.

    Completes an LLM's folder that an earlier call created.
    """
    files, missing = official(model), []
    words = FAMILY[model].language_model
    home = folder / words.repository.split("/")[1]
    if sources.llm == home:
        options = [*options, "llm"]
    why: Mapping[str, str] = {}
    with httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30.0)) as client:
        for option in options:
            file = files.get(option)
            try:
                if file is None:
                    fetch_language_model(words.repository, home, client)
                else:
                    # Synthetic files differ from the released ones.
                    known = None if synthetic else file.sha256
                    download(address(file.url), folder / file.name, known, client)
            except (InputError, NotThere) as error:
                text = describe(file) if file else describe_language_model(model)
                missing.append(Missing(option, text))
                problem = error.problem if isinstance(error, InputError) else f"{error}: not there"
                why = {**why, option: problem}
    if missing:
        raise missing_files(model, missing, "; ".join(why.values()))

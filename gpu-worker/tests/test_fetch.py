"""Missing files come over HTTP: resumed, checked, whole or not under their name."""

import hashlib
import json
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from synthetic import EVA, LLM, PROJECTOR, QFORMER

from minigpt4.checkpoints import fetch
from minigpt4.cli import main
from minigpt4.input_error import InputError

DATA = hashlib.sha256(b"seed").digest() * 50_000  # 1.6 MB
SUM = hashlib.sha256(DATA).hexdigest()


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder with byte ranges; cuts the first `cuts` answers short; keeps a record."""

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        server.tokens.append(self.headers.get("Authorization"))
        if self.path in server.status:
            self.send_error(server.status[self.path])
            return
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.send_header("X-Linked-Etag", f'"{server.etag}"')
            self.end_headers()
            return
        path = server.root / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        start = 0
        if server.ranges and (found := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))):
            start = int(found[1])
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if server.cuts > 0:
            server.cuts -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def host(tmp_path, monkeypatch):
    root = tmp_path / "host"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    server.root, server.asked, server.tokens, server.cuts = root, [], [], 0
    server.status, server.redirects, server.etag, server.ranges = {}, {}, "", True
    server.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0.01)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_file_is_downloaded_completely(host, tmp_path):
    (host.root / "a.pth").write_bytes(DATA)
    fetch.download(f"{host.url}/a.pth", tmp_path / "to" / "a.pth", SUM)
    assert (tmp_path / "to" / "a.pth").read_bytes() == DATA
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["a.pth"]


def test_a_broken_connection_is_resumed_where_it_ended(host, tmp_path):
    (host.root / "a.pth").write_bytes(DATA)
    host.cuts = 2
    fetch.download(f"{host.url}/a.pth", tmp_path / "a.pth", SUM)
    assert (tmp_path / "a.pth").read_bytes() == DATA
    half = len(DATA) // 2
    ranges = [None, f"bytes={half}-", f"bytes={half + (len(DATA) - half) // 2}-"]
    assert [asked for _, asked in host.asked] == ranges


def test_a_file_that_an_earlier_run_fetched_is_not_fetched_again(host, tmp_path):
    (host.root / "a.pth").write_bytes(DATA)
    (tmp_path / "a.pth.part").write_bytes(DATA[:1_000_000])
    fetch.download(f"{host.url}/a.pth", tmp_path / "a.pth", SUM)
    assert (tmp_path / "a.pth").read_bytes() == DATA
    assert host.asked == [("/a.pth", "bytes=1000000-")]


def test_a_complete_partial_file_is_used(host, tmp_path):
    (host.root / "a.pth").write_bytes(DATA)
    (tmp_path / "a.pth.part").write_bytes(DATA)
    fetch.download(f"{host.url}/a.pth", tmp_path / "a.pth", SUM)
    assert (tmp_path / "a.pth").read_bytes() == DATA


def test_a_host_without_ranges_starts_over(host, tmp_path):
    (host.root / "a.pth").write_bytes(DATA)
    host.ranges = False
    (tmp_path / "a.pth.part").write_bytes(b"x" * 1000)
    fetch.download(f"{host.url}/a.pth", tmp_path / "a.pth", SUM)
    assert (tmp_path / "a.pth").read_bytes() == DATA


def test_wrong_content_is_thrown_away(host, tmp_path):
    (host.root / "a.pth").write_bytes(DATA + b"!")
    with pytest.raises(InputError, match=rf"a\.pth: the download's sha256 is .*expected {SUM}"):
        fetch.download(f"{host.url}/a.pth", tmp_path / "a.pth", SUM)
    assert not list(tmp_path.glob("a.pth*"))


def test_the_sum_that_the_hub_announces_is_held(host, tmp_path):
    (host.root / "store").write_bytes(DATA)
    host.redirects["/a.bin"] = "/store"
    host.etag = "0" * 64
    with pytest.raises(InputError, match="expected 0000"):
        fetch.download(f"{host.url}/a.bin", tmp_path / "a.bin")
    host.etag = SUM
    fetch.download(f"{host.url}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == DATA


def test_a_host_that_keeps_breaking_off_leaves_the_part(host, tmp_path):
    (host.root / "a.pth").write_bytes(DATA)
    host.cuts = 99
    with pytest.raises(InputError, match=r"a\.pth: could not be fetched .*bytes are kept in"):
        fetch.download(f"{host.url}/a.pth", tmp_path / "a.pth", SUM)
    assert not (tmp_path / "a.pth").exists() and (tmp_path / "a.pth.part").stat().st_size > 0


def test_the_token_goes_to_the_hub_only_and_never_into_a_message(host, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", host.url)
    (host.root / "a").write_bytes(b"1")
    fetch.download(f"{host.url}/a", tmp_path / "a")
    assert host.tokens == ["Bearer hf_secret"]
    host.status["/b"] = 403
    with pytest.raises(InputError, match="HF_TOKEN") as refused:
        fetch.download(f"{host.url}/b", tmp_path / "b")
    assert "hf_secret" not in str(refused.value)
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    fetch.download(f"{host.url}/a", tmp_path / "c")
    assert host.tokens[-1] is None


@pytest.mark.parametrize("model, repository", [("llama2-7b", "meta-llama"), ("vicuna-7b", "x")])
def test_assemble_fetches_missing_files(
    host, tmp_path, synthetic_sets, monkeypatch, model, repository
):
    """Projector and language model from a hub; the rest lies in the folder already."""
    folder = synthetic_sets.copy(model, tmp_path / "set")
    hub = {
        "llama2-7b": ("juliozhao/pretrained_minigpt4_llama2_7b", "meta-llama/Llama-2-7b-chat-hf"),
        "vicuna-7b": ("wangrongsheng/MiniGPT4-7B", "Vision-CAIR/vicuna-7b"),
    }[model]
    for name, source in zip(hub, (folder / PROJECTOR[model], folder / LLM[model]), strict=True):
        to = host.root / name / "resolve" / "main"
        to.parent.mkdir(parents=True)
        if source.is_dir():
            source.rename(to)
        else:
            to.mkdir()
            source.rename(to / source.name)
    monkeypatch.setenv("HF_ENDPOINT", host.url)
    host.cuts = 3
    out = tmp_path / "out"
    given = ["assemble", model, "--synthetic", "--from", str(folder), "--out", str(out)]
    main([*given, "--shard-mib", "1", "--fetch"])
    digest = json.loads((out / "checkpoint.json").read_text())["digest"]
    expected = synthetic_sets.checkpoint(model)
    assert digest == json.loads((expected / "checkpoint.json").read_text())["digest"]


def test_a_fetched_projector_that_is_not_the_released_one_is_refused(
    host, tmp_path, synthetic_sets, monkeypatch, capsys
):
    folder = synthetic_sets.copy("vicuna-13b", tmp_path / "set")
    (folder / "synth.json").unlink()
    to = host.root / "Vision-CAIR" / "MiniGPT-4" / "resolve" / "main"
    to.mkdir(parents=True)
    (folder / PROJECTOR["vicuna-13b"]).rename(to / PROJECTOR["vicuna-13b"])
    monkeypatch.setenv("HF_ENDPOINT", host.url)
    with pytest.raises(SystemExit) as stopped:
        main(["assemble", "vicuna-13b", "--from", str(folder), "--out", "/x/y", "--fetch"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "the download's sha256 is" in said and "expected 1e7b8a3c" in said
    assert not list(folder.glob("pretrained_minigpt4*"))


def test_without_a_network_the_error_lists_the_missing_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fetch, "TRIES", 1)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    (tmp_path / "in").mkdir()
    given = ["assemble", "vicuna-7b", "--from", str(tmp_path / "in"), "--fetch"]
    with pytest.raises(SystemExit) as stopped:
        main([*given, "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "could not be fetched" in said and "4 missing" in said
    for name in (EVA, QFORMER, PROJECTOR["vicuna-7b"], "Vision-CAIR/vicuna-7b"):
        assert name in said

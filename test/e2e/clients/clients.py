"""One client against the edge, as its users run it: two turns, then a stream that waits.

OPENAI_BASE_URL=… OPENAI_API_KEY=… PHOTO=… python clients.py litellm, or another of CLIENTS below;
what it heard is the last line that it prints, as JSON.
"""

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

URL = os.environ["OPENAI_BASE_URL"]
KEY = os.environ["OPENAI_API_KEY"]
PHOTO = Path(os.environ["PHOTO"])
NAME = sys.argv[1]

FIRST = f"{NAME}: What is in this picture?"
NEXT = f"{NAME}: And what else?"
WAIT = f"{NAME}: Take your time."


def seen() -> list[dict]:
    """The photo and the question, in OpenAI's parts."""
    url = "data:image/jpeg;base64," + base64.b64encode(PHOTO.read_bytes()).decode()
    return [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": FIRST}]


def user(content: object) -> dict:
    return {"role": "user", "content": content}


def waited(ask: Callable[[], Iterable[str | None]]) -> dict:
    """The text of a stream, and how long its first piece took, in seconds."""
    began = time.monotonic()
    first = None
    text = ""
    for piece in ask():
        if piece and first is None:
            first = time.monotonic() - began
        text += piece or ""
    return {"text": text, "seconds": first}


def openai_() -> dict:
    from openai import OpenAI

    client = OpenAI()
    messages: list = [user(seen())]
    turns = []

    def say(message: object, text: str | None) -> None:
        turns.append(text)
        messages.append(message)
        messages.append(user(NEXT))

    message = client.chat.completions.create(model="nano", messages=messages).choices[0].message
    say(message, message.content)
    # As a plain dictionary it has all that the object leaves out.
    message = client.chat.completions.create(model="nano", messages=messages).choices[0].message
    say(message.model_dump(), message.content)
    with client.chat.completions.stream(model="nano", messages=messages) as stream:
        message = stream.get_final_completion().choices[0].message
    say(message, message.content)
    message = client.chat.completions.create(model="nano", messages=messages).choices[0].message
    turns.append(message.content)

    def ask() -> Iterator[str | None]:
        chunks = client.chat.completions.create(model="nano", messages=[user(WAIT)], stream=True)
        return (chunk.choices[0].delta.content for chunk in chunks)

    return {"turns": turns, **waited(ask)}


def litellm_() -> dict:
    import litellm

    def complete(messages: list, **more: object):
        return litellm.completion(
            model="openai/nano", api_base=URL, api_key=KEY, messages=messages, **more
        )

    messages: list = [user(seen())]
    turns = []
    for streams in (False, True):
        if streams:
            chunks = list(complete(messages, stream=True))
            message = litellm.stream_chunk_builder(chunks, messages=messages).choices[0].message
        else:
            message = complete(messages).choices[0].message
        turns.append(message.content)
        messages += [message, user(NEXT)]
    message = complete(messages).choices[0].message
    turns.append(message.content)
    messages += [message.model_dump(), user(NEXT)]
    turns.append(complete(messages).choices[0].message.content)

    def ask() -> Iterator[str | None]:
        chunks = complete([user(WAIT)], stream=True)
        return (chunk.choices[0].delta.content for chunk in chunks)

    return {"turns": turns, **waited(ask)}


def langchain() -> dict:
    from langchain_core.messages import HumanMessage
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="nano")
    messages: list = [HumanMessage(content=seen())]
    first = model.invoke(messages)
    messages += [first, HumanMessage(NEXT)]
    # Summed up from its chunks an answer is another object than one that came whole.
    chunks = list(model.stream(messages))
    second = chunks[0]
    for chunk in chunks[1:]:
        second += chunk
    messages += [second, HumanMessage(NEXT)]
    third = model.invoke(messages)
    turns = [first.text, second.text, third.text]
    return {"turns": turns, **waited(lambda: (c.text for c in model.stream(WAIT)))}


def pydantic_ai() -> dict:
    from pydantic_ai import Agent, BinaryContent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("nano", provider=OpenAIProvider(base_url=URL, api_key=KEY))
    agent = Agent(model)
    first = agent.run_sync([BinaryContent(PHOTO.read_bytes(), media_type="image/jpeg"), FIRST])
    second = agent.run_sync(NEXT, message_history=first.all_messages())
    turns = [first.output, second.output]
    return {
        "turns": turns,
        **waited(lambda: agent.run_stream_sync(WAIT).stream_text(delta=True)),
    }


def instructor_() -> dict:
    """Its first answer does not fit, so that by itself it sends it back and asks again."""
    import instructor
    from pydantic import BaseModel

    from openai import OpenAI

    class Sight(BaseModel):
        animal: str
        legs: int

    client = instructor.from_openai(OpenAI(), mode=instructor.Mode.MD_JSON)
    sight = client.chat.completions.create(
        model="nano", messages=[user(seen())], response_model=Sight, max_retries=2
    )
    sights = []

    def ask() -> Iterator[str | None]:
        for partial in client.chat.completions.create_partial(
            model="nano", messages=[user(WAIT)], response_model=Sight
        ):
            sights.append(partial)
            yield partial.animal

    waits = waited(ask)
    return {
        "turns": [sight.model_dump()],
        "text": sights[-1].animal,
        "seconds": waits["seconds"],
    }


def headers() -> dict:
    return {"Authorization": f"Bearer {KEY}", "Accept": "text/event-stream"}


def read(events: Iterable, until: str) -> list:
    """Name and data of each event; as its users do, all data but chat's end is read as JSON."""
    heard = []
    for event in events:
        end = event.data == "[DONE]"
        heard.append([event.event, None if end else json.loads(event.data)])
        if until in (event.data, event.event):
            break
    return heard


def parsed(read_stream: Callable[[str, str, object], list]) -> dict:
    """Three streams that wait, side by side: the account's feed, a job's and a chat's."""
    with ThreadPoolExecutor() as pool:
        feed = pool.submit(read_stream, "GET", "/events?types=job.created,job.succeeded", None)
        job = pool.submit(read_stream, "POST", "/jobs", {"prompt": WAIT})
        asked = {"model": "nano", "messages": [user(WAIT)], "stream": True}
        chat = pool.submit(read_stream, "POST", "/chat/completions", asked)
        return {"feed": feed.result(), "job": job.result(), "chat": chat.result()}


ENDS = {"/jobs": "done", "/chat/completions": "[DONE]"}


def httpx_sse() -> dict:
    import httpx
    from httpx_sse import connect_sse

    def read_stream(method: str, path: str, body: object) -> list:
        with (
            httpx.Client(headers=headers(), timeout=60) as client,
            connect_sse(client, method, URL + path, json=body) as source,
        ):
            return read(source.iter_sse(), ENDS.get(path, "job.succeeded"))

    return parsed(read_stream)


def sseclient_py() -> dict:
    import requests
    import sseclient

    def read_stream(method: str, path: str, body: object) -> list:
        answer = requests.request(
            method, URL + path, json=body, headers=headers(), stream=True, timeout=60
        )
        with answer:
            return read(sseclient.SSEClient(answer).events(), ENDS.get(path, "job.succeeded"))

    return parsed(read_stream)


CLIENTS = {
    "openai": openai_,
    "litellm": litellm_,
    "langchain": langchain,
    "pydantic-ai": pydantic_ai,
    "instructor": instructor_,
    "httpx-sse": httpx_sse,
    "sseclient": sseclient_py,
}

print(json.dumps(CLIENTS[NAME]()))

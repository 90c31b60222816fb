"""The openai package against the edge, as its users run it: each way prints what it saw, as JSON.

OPENAI_BASE_URL=… OPENAI_API_KEY=… python openai_client.py text|image|stream|errors|retry|abort
"""

import base64
import json
import os
import sys
from pathlib import Path

import openai
from openai import OpenAI

QUESTION = "What is in this picture?"
PHOTO = Path(os.environ.get("PHOTO", ""))


def text(client: OpenAI) -> dict:
    done = client.chat.completions.create(
        model="nano",
        messages=[{"role": "user", "content": "Say hello."}],
        temperature=0,
        max_tokens=16,
    )
    again = client.chat.completions.create(
        model="nano",
        messages=[
            {"role": "user", "content": "Say hello."},
            done.choices[0].message,  # an answer is sent back as it came
            {"role": "user", "content": "Say it again."},
        ],
        temperature=0,
        max_tokens=16,
    )
    return {
        "id": done.id,
        "text": done.choices[0].message.content,
        "usage": done.usage.model_dump(include={"prompt_tokens", "completion_tokens"}),
        "again": again.choices[0].message.content,
        "longer": again.usage.prompt_tokens > done.usage.prompt_tokens,
        "models": [model.id for model in client.models.list()],
    }


def image(client: OpenAI) -> dict:
    data = f"data:image/jpeg;base64,{base64.b64encode(PHOTO.read_bytes()).decode()}"
    file = client.files.create(file=PHOTO, purpose="vision")
    answers = []
    for url in (data, file.id):
        done = client.chat.completions.create(
            model="nano",
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": url}},
                        {"type": "text", "text": QUESTION},
                    ],
                }
            ],
            temperature=0,
            max_tokens=32,
        )
        answers.append(done.choices[0].message.content)
    kept = client.files.retrieve(file.id)
    content = client.files.content(file.id).read()
    return {
        "answers": answers,
        "file": kept.model_dump(include={"object", "purpose", "status", "bytes"}),
        "jpeg": content[:2].hex() == "ffd8",
        "listed": [each.id for each in client.files.list(limit=1)] == [file.id],
        "deleted": client.files.delete(file.id).deleted,
    }


def stream(client: OpenAI) -> dict:
    chunks = list(
        client.chat.completions.create(
            model="nano",
            messages=[{"role": "user", "content": "Say hello."}],
            temperature=0,
            max_tokens=16,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    return {
        "role": choices[0].delta.role,
        "text": "".join(choice.delta.content or "" for choice in choices),
        "finish": choices[-1].finish_reason,
        "tokens": chunks[-1].usage.completion_tokens,
    }


def errors(client: OpenAI) -> dict:
    def seen(call) -> list:
        try:
            call()
        except openai.APIStatusError as error:
            return [type(error).__name__, error.status_code, error.code, error.param]
        return ["no error"]

    def ask(**more):
        hello = [{"role": "user", "content": "Hello"}]
        return client.chat.completions.create(
            **{"model": "nano", "messages": hello, **more}
        )

    unsigned = client.with_options(api_key="mg_live_nobody")
    return {
        "key": seen(lambda: unsigned.files.retrieve("img_x")),
        "model": seen(lambda: ask(model="gpt-4o")),
        "models": seen(lambda: client.models.retrieve("gpt-4o")),
        "n": seen(lambda: ask(n=2)),
        "tools": seen(
            lambda: ask(
                tools=[
                    {"type": "function", "function": {"name": "x", "parameters": {}}}
                ]
            )
        ),
        "file": seen(lambda: client.files.retrieve("file-abc")),
        "responses": seen(lambda: client.responses.create(model="nano", input="Hello")),
    }


def retry(client: OpenAI) -> dict:
    """The rate is used up; the package waits for as long as it is told, and comes back."""
    seen = []
    hooked = openai.DefaultHttpxClient(event_hooks={"response": [seen.append]})
    watched = client.with_options(http_client=hooked)
    drain(client.with_options(max_retries=0))
    done = watched.chat.completions.create(
        model="nano", messages=[{"role": "user", "content": "Hello"}], max_tokens=4
    )
    return {
        "statuses": [answer.status_code for answer in seen],
        "after": seen[0].headers.get("retry-after"),
        "text": done.choices[0].message.content,
    }


def drain(client: OpenAI) -> None:
    """Uses up the rate, and what leaks back once more: then the next one is farthest away."""
    for until_refused in (True, False, True):
        while refused(client) != until_refused:
            pass


def refused(client: OpenAI) -> bool:
    try:
        client.files.retrieve("img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T")
    except openai.NotFoundError:
        return False
    except openai.RateLimitError:
        return True
    raise AssertionError("there is such a file")


def abort(client: OpenAI) -> dict:
    """Hangs up on a stream that has begun."""
    streamed = client.chat.completions.create(
        model="nano",
        messages=[{"role": "user", "content": "Tell me a story."}],
        stream=True,
    )
    job = streamed.response.headers["x-job-id"]
    for chunk in streamed:
        if chunk.choices[0].delta.content:
            break
    streamed.close()
    return {"job": job}


if __name__ == "__main__":
    way = {each.__name__: each for each in (text, image, stream, errors, retry, abort)}[
        sys.argv[1]
    ]
    json.dump(way(OpenAI()), sys.stdout)

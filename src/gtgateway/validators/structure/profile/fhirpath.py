"""Invariants that no function covers: fhirpathpy, in a process of its own.

An expression comes from a loaded package and may be anything, also one that never ends. The process is killed when an
answer takes longer than `SECONDS`, and that expression is not tried again. It has the library's module state to itself,
and a limit of memory.

Parent and child speak lines of JSON. The child may ask back for what only the parent knows (`conformsTo`, `memberOf`).
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from gtgateway.validators.structure.profile.context import Context, indexed
from gtgateway.validators.structure.profile.discriminators import holds
from gtgateway.validators.structure.profile.narrative import narrative_is_sound

Json = dict[str, Any]
#: (expression, value, type or path of the value, context) -> True, False, or None: cannot be evaluated
Evaluate = Callable[[str, Any, str, Context], "bool | None"]

SECONDS = 2.0  #: for one answer, and for all answers of one check
_MEMORY = 1_000_000_000
_MOST_KILLS = 5


class Expressions:
    """The engine: started when first needed, one question at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up: set[str] = set()

    def session(self) -> Evaluate:
        """The evaluator for one check, which has `SECONDS` in all."""
        left = SECONDS

        def evaluate(expression: str, value: Any, base: str, context: Context) -> bool | None:
            nonlocal left
            if left <= 0 or expression in self._given_up or len(self._given_up) >= _MOST_KILLS:
                return None
            begun = time.monotonic()
            with self._lock:
                answer = self._ask(expression, value, base, context, left)
            left -= time.monotonic() - begun
            return answer

        return evaluate

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _ask(self, expression: str, value: Any, base: str, context: Context, seconds: float) -> bool | None:
        question = {
            "expression": expression,
            "value": value,
            "base": base,
            "resource": context.resource,
            "root": context.root,
        }
        try:
            process = self._process = self._process or _start()
            _send(process, question)
            until = time.monotonic() + seconds
            while True:
                line = _line(process, until)
                if "answer" in line:
                    answer: bool | None = line["answer"]
                    return answer
                _send(process, {"reply": _reply(line, context)})
        except (OSError, EOFError, ValueError):
            self._given_up.add(expression)
            self.close()
            return None


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _send(process: subprocess.Popen[bytes], message: Json) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def _line(process: subprocess.Popen[bytes], until: float) -> Json:
    """The child's next line; TimeoutError when it is late, EOFError when the child has ended."""
    assert process.stdout is not None
    received = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if not selector.select(max(0.0, until - time.monotonic())):
                raise TimeoutError
            chunk = os.read(process.stdout.fileno(), 65_536)
            if not chunk:
                raise EOFError
            received += chunk
    message: Json = json.loads(received)
    return message


def _reply(question: Json, context: Context) -> bool | None:
    subject, url = question["subject"], str(question["url"]).partition("|")[0]
    if question["ask"] == "conformsTo":
        if not isinstance(subject, dict) or context.packages.shape(url) is None:
            return None
        return context.fits(subject, (url,))
    return holds(context.packages.terminology.codes(url), subject)


# --- the child --------------------------------------------------------------------------------------------------------


class _Unknown(Exception):
    """The parent cannot tell."""


def _asking(ask: str) -> Json:
    """A FHIRPath function whose answers the parent knows."""

    def answers(values: Iterable[Any], url: str) -> list[bool]:
        found = []
        for value in values:
            _say({"ask": ask, "subject": value, "url": url})
            found.append(json.loads(sys.stdin.readline())["reply"])
        if None in found:
            raise _Unknown
        return found

    return {"fn": answers, "arity": {1: ["String"]}}


def _say(message: Json) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _resolved(values: Iterable[Any], question: Json) -> list[Json]:
    index = indexed(question["root"])
    contained = {f"#{item.get('id')}": item for item in question["resource"].get("contained", [])}
    references = (value.get("reference") if isinstance(value, dict) else value for value in values)
    found = (index.get(name) or contained.get(name) for name in references if isinstance(name, str))
    return [item for item in found if item is not None]


def _answer(question: Json) -> bool | None:
    from fhirpathpy import evaluate
    from fhirpathpy.models import models

    functions = {
        "conformsTo": _asking("conformsTo"),
        "memberOf": _asking("memberOf"),
        "resolve": {"fn": lambda values: _resolved(values, question), "arity": {0: []}},
        "hasValue": {"fn": lambda values: [len(values) == 1 and not isinstance(values[0], dict)], "arity": {0: []}},
        "htmlChecks": {"fn": lambda values: [narrative_is_sound(str(value)) for value in values], "arity": {0: []}},
    }
    variables = dict.fromkeys(("resource", "rootResource"), question["resource"])
    path: Any = question["expression"]
    if not isinstance(question["value"], dict) or "resourceType" not in question["value"]:
        path = {"base": question["base"], "expression": path}
    options = {"userInvocationTable": functions, "traceFn": lambda *_: None}
    try:
        result = evaluate(question["value"], path, variables, models["r4"], options)
    except Exception:  # whatever the library cannot do
        return None
    return result == [True]


def main() -> None:
    """Answer questions until there are no more."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    for line in sys.stdin:
        _say({"answer": _answer(json.loads(line))})


if __name__ == "__main__":
    main()

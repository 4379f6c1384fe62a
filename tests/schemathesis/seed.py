"""Fills a live engine, so that its routes have something to answer with: a finished spec with tasks
and tickets, a draft, projects, keys, comments, seals, and a spec whose agent waits, for the worker's
calls. Prints what schemathesis.toml names, as lines for a shell."""

import json
import os
import pathlib
import shutil
import sys
import time
import urllib.request

URL, TOKEN, REPO, WORK = sys.argv[1:5]
DEADLINE = time.monotonic() + 120

ANSWER = """#!/bin/sh
all=$(cat)
phase=$(printf '%s' "$all" | grep -o '"phase":"[a-z]*"' | head -n 1 | cut -d '"' -f 4)
cat "$1/$phase.json"
"""
# Long enough for every pass; nobody waits for its end.
WAIT = "#!/bin/sh\ncat >/dev/null\nexec sleep 300\n"


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(URL + path, data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def until(what, look):
    while time.monotonic() < DEADLINE:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"waited too long for: {what}")


def agent(name, text):
    folder = pathlib.Path(WORK, "agent")
    folder.mkdir(exist_ok=True)
    for example in pathlib.Path("src/prompts/example").glob("*.json"):
        shutil.copy(example, folder)
    script = folder / name
    script.write_text(text)
    return f"command:/bin/sh {script} {folder}"


def draft(title, line):
    return {
        "title": title,
        "description": "Limit how many links an API key may create.",
        "repository": REPO,
        "policy": {"agent": line, "lease_ms": 120000},
    }


def token_of(sandbox):
    wanted = f"SPECLINE_SANDBOX_ID={sandbox}".encode()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            environ = pathlib.Path(entry.path, "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in environ:
            tokens = [word for word in environ if word.startswith(b"SPECLINE_TOKEN=")]
            return tokens[0].split(b"=", 1)[1].decode() if tokens else None
    return None


def first(items, path):
    return until(path, lambda: call("GET", path)[items])[0]["id"]


done = call("POST", "/api/v1/specs/launch", draft("Limit links", agent("answer.sh", ANSWER)))["id"]
status = until(
    "a spec to end",
    lambda: (s := call("GET", f"/api/v1/specs/{done}")["status"]) not in ("executing", "draft") and s,
)
if status != "completed":
    sys.exit(f"the spec is {status}: " + json.dumps(call("GET", f"/api/v1/specs/{done}")["error"]))
call("POST", f"/api/v1/specs/{done}/comments", {"text": "Well."})
project = call("POST", "/api/v1/projects", {"name": "Links", "repository": REPO})["id"]
key = call("POST", "/api/v1/keys", {"name": "ci", "scopes": ["reader"]})["id"]
drafted = call("POST", "/api/v1/specs", draft("Draft", "builtin"))["id"]
waiting = call("POST", "/api/v1/specs/launch", draft("Wait", agent("wait.sh", WAIT)))["id"]


def attempt():
    events = call("GET", f"/api/v1/specs/{waiting}/events?limit=1000")
    return next((e for e in events if e["event_type"] == "AttemptStarted"), None)


until("an attempt", attempt)
live = first("sandboxes", f"/api/v1/sandboxes?spec={waiting}")
told = {
    "SPECLINE_DONE": done,
    "SPECLINE_SPEC": drafted,
    "SPECLINE_PROJECT": project,
    "SPECLINE_KEY": key,
    "SPECLINE_TASK": first("tasks", "/api/v1/tasks"),
    "SPECLINE_TICKET": first("tickets", "/api/v1/tickets"),
    "SPECLINE_SANDBOX": first("sandboxes", f"/api/v1/sandboxes?spec={done}"),
    "SPECLINE_LIVE": live,
    "SPECLINE_LIVE_TOKEN": until("the sandbox's token", lambda: token_of(live)),
}
for name, value in told.items():
    print(f"{name}={value}")

"""The process that writes the lock (`engine.lock.apart`): requests come as lines of JSON, and so do answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from engine.files.reading import parse_json, read_text
from engine.files.writing import remove_parts, replace_text


def main() -> None:
    """Answer until nobody asks any more."""
    lock = Path(sys.argv[1])
    remove_parts(lock)
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(answer(lock, parse_json(line)))}\n")
        sys.stdout.flush()


def answer(lock: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Return what comes of one request: an answer, or number and words of why there is none."""
    try:
        if "write" in request:
            return {"answer": replace_text(lock, request["write"])}
        return {"answer": read_text(lock)}
    except UnicodeDecodeError as error:
        return {"failed": [None, error.reason]}
    except OSError as error:
        return {"failed": [error.errno or 5, error.strerror or str(error)]}


if __name__ == "__main__":
    main()

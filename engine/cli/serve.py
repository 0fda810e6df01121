"""Serve an exported model over HTTP until Ctrl-C: OpenAI's chat completions and plain predictions.

    curl localhost:8000/predict -H 'Content-Type: application/json' -d '{"text": "…"}'

Answers are held to the task's form and asked as in training. The server listens on this machine only; for others name
`--host`, the names that they use (`--allowed-host`) and a key that they have to send (`--key-from`, a variable).
"""

import argparse
import asyncio
import ipaddress
import os
import socket
from pathlib import Path

from engine.cli.confinement import confine_asking
from engine.cli.output import STORE, store_of
from engine.cli.predict import asked_model, calibration_lines
from engine.cli.terminal import write_error
from engine.environment import detect_device
from engine.errors import EnvironmentProblem, RecipeError, install_hint
from engine.render.progress_display import SilentProgress
from engine.runs.stored_run import is_model_file
from engine.store import Store

GRACE_SECONDS = 30


def serve(options: argparse.Namespace) -> None:
    key = _key(options)
    try:
        import uvicorn  # not every machine serves

        from engine.serving.app import LOCAL, BoundedConnection, Limits, Service
    except ImportError as error:
        raise EnvironmentProblem.one(
            "X646", f"`{error.name}` is not installed", hint=install_hint("gguf,serve")
        ) from error
    from engine.runs.model_forms import WeightsModel
    from engine.serving.asker import ServedModel, ServedWeights

    model = asked_model(options, Store(store_of(options)), SilentProgress())
    bound, most = model.task.threshold(options.abstain_below), options.most_waiting
    kept = {"task": model.task, "threads": detect_device().cores, "most_waiting": most}
    asker: ServedModel = (
        ServedWeights(model=model, **kept)
        if isinstance(model, WeightsModel)
        else ServedModel(gguf=model.gguf, **kept)
    )
    is_file = is_model_file(options.model)
    service = Service(
        name=Path(options.model).stem if is_file else options.model,
        asker=asker,
        # more texts than may wait would be refused whenever they come
        limits=Limits(seconds=options.seconds, texts=min(most, Limits().texts)),
        abstain_below=bound,
        key=key,
        hosts=(*LOCAL, *options.allowed_host),
    )
    config = uvicorn.Config(
        service.app(),
        log_level="info" if options.log_requests else "warning",
        access_log=options.log_requests,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
        # uvicorn's other parser takes headers without end: 300 MB of them took 6 GB
        http=BoundedConnection,
    )
    listener = _listener(options.host, options.port)
    shown = f"[{options.host}]" if ":" in options.host else options.host
    address = f"http://{shown}:{listener.getsockname()[1]}"

    async def serve() -> None:
        async with asker.running():
            lines = calibration_lines(model.task.calibration, bound)
            shown_lines = "".join(f"{line}\n" for line in lines)
            write_error(f"serving {service.name} on {address}, Ctrl-C ends it\n{shown_lines}")
            await uvicorn.Server(config).serve(sockets=[listener])

    with listener:
        # It stays: no other socket of the internet can be opened from here on.
        confine_asking(options, model.places, Path(options.store or STORE))
        asyncio.run(serve())


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens. EnvironmentProblem X647 where that is not possible."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise EnvironmentProblem.one(
            "X647",
            f"the server cannot listen on {host}:{port}: {why.lower()}",
            hint="--port 0 takes a free port",
        ) from error


def _key(options: argparse.Namespace) -> str:
    """Return the key that clients have to send. RecipeError R319 where others could ask without one."""
    if options.key_from:
        key = os.environ.get(options.key_from, "")
        if not key:
            hint = f"export {options.key_from}=$(openssl rand -hex 32)"
            raise RecipeError.one("R319", f"the variable {options.key_from} is empty", hint=hint)
        return key
    try:
        is_loopback = options.host == "localhost" or ipaddress.ip_address(options.host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise RecipeError.one(
            "R319",
            f"whoever reaches {options.host} could ask the model",
            hint="--key-from VARIABLE names the key that they have to send",
        )
    return ""

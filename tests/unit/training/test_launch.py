"""What the backend is given says whether the base model was cut."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.backends.base import CompileInputs
from engine.compute.profile import Ranks
from engine.recipe.model import FewerLayers, HubRef
from engine.training import train
from support.launches import CPU, METHOD, RecordedProgress

WHOLE = HubRef(repo="someone/model", revision=None)


@pytest.mark.parametrize(
    ("base_model", "has_all"), [(WHOLE, True), (FewerLayers(of=WHOLE, keep_layers=4), False)]
)
def test_only_a_cut_base_model_lacks_layers(
    base_model: Any, has_all: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = CompileInputs(device=CPU, precision="fp32", train_rows=24, validation_rows=8)
    monkeypatch.setattr(train, "setting_of", lambda *_: setting)
    recipe = SimpleNamespace(method=METHOD, base_model=base_model, teacher=None)
    training: Any = SimpleNamespace(
        config="", base=Path(), scratch=Path(), rendered=SimpleNamespace(path=Path())
    )
    context: Any = SimpleNamespace(recipe=recipe, progress=RecordedProgress(), ranks=Ranks())

    assert train.make_launch(training, context).has_all_layers is has_all

"""A training that two machines share, as their programs are given it."""

from engine.backends.nodes import SharedTraining

TRAINING = SharedTraining(
    arguments=(),
    variables={},
    launch="/launch",
    folders=(),
    reads=(),
    ranks=1,
    nodes=2,
    at="",
)

"""Plain documents: the whole text is learned, nothing is asked."""

from engine.data.examples.template import Fill, Filled, Values, parse_template
from engine.recipe.model import Data, Task


def filler(task: Task, data: Data, shape: str) -> Fill:
    """Return what fills the template; the target is empty."""
    del data, shape
    template = parse_template(task.input)

    def fill(values: Values) -> Filled:
        text, lacks = template.fill(values)
        return Filled(input=text, target="", lacks=lacks)

    return fill

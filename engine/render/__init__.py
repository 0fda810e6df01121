"""How results look: reports, reviews, problems and progress, for a browser, for Markdown and for a terminal.

- `blocks` are the values that pages are made of; `html`, `markdown` and `terminal` are the writers that show them.
- `report` holds the sections of a report, a module each, and what is selected from them: page, card, summary of a run.
- `review`, `challenge`, `data` and `problems` show what their verbs found; `stage_lines` and `checks_text` a run.
- `number_format`, `metric_format` and `labels` say how numbers, metrics and checks are written everywhere.

Pure functions from values to texts; only `progress` writes, and only to the stream it is given.
"""

"""Layouts that no reader of a recipe reads: what recognises each, and makes plain rows of it.

`foreign` reads files that are no table and no JSON; `reshape` turns rows whose answer no key of a recipe can name.
`recipe init` writes what comes of it as JSON lines beside the draft.
"""

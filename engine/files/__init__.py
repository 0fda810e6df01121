"""Files of people: read only what is a file and no larger than it may be, written aside and never through a link.

Everything here raises `OSError` or `ValueError`, as `open` and `json.loads` do, with a `strerror` that can be shown;
who calls knows what the file is for and which code that has.
"""

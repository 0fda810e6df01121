"""Files of rows, in every format, read row by row."""

"""Files of people: read only what is a file and no larger than it may be, written aside and never through a link."""

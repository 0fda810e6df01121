"""The texts on which tokenizers are compared: the same ones each time, and of every kind."""

from hashlib import sha256

from engine.inference.template_check import PRINTABLE, corpus


def test_the_texts_are_the_same_in_every_process() -> None:
    digest = sha256("\0".join(corpus()).encode()).hexdigest()

    assert (len(corpus()), digest[:16]) == (2308, "0787e309da08d731")


def test_no_text_stands_there_twice_and_every_printable_sign_alone() -> None:
    assert len(set(corpus())) == len(corpus())
    assert set(PRINTABLE) <= set(corpus())

"""A challenge on the terminal and as a page: the same table, and names of others that do nothing."""

from engine.evidence import Challenge, ChallengeLine, ChallengeOutcome, Comparison, Interval
from engine.render.challenge import challenge_markdown, challenge_text
from engine.values import replace
from support.golden import Golden

LINE = ChallengeLine(
    comparison=Comparison(
        name="zero_shot",
        metric="macro_f1",
        difference=-0.012,
        interval=Interval(low=-0.031, high=0.008, confidence=0.95, method="bootstrap"),
        p_value=0.21,
        p_adjusted=0.21,
        test="paired bootstrap",
        n=300,
    ),
    standing=ChallengeOutcome.UNKNOWN,
    margin=0.02,
    accepted=0.897,
    newcomer=0.885,
    rows=1200,
)
CHALLENGE = Challenge(
    schema="challenge.v1",
    recipe_name="tickets",
    base_model="owner/newer@0123456789ab",
    trained=False,
    candidate="zero_shot",
    standing=ChallengeOutcome.UNKNOWN,
    run="2026-11-24-7f3a91c2",
    accepted="2026-11-24T16:03:46Z",
    holdout="3f1a" * 16,
    rows=300,
    started="2026-11-25T10:00:00Z",
    seconds=12.5,
    lines=(LINE,),
    costs=("269 MB to fetch",),
    notes=("the licence is another one",),
    edit="base_model:\n  hub: owner/newer\n",
)


def test_a_challenge_reads_as_it_should(golden: Golden) -> None:
    text = challenge_text(CHALLENGE, file="tickets.yaml", written="challenges/1.md", width=100)

    golden("render/challenge.txt", text + "\n")
    golden("render/challenge.md", challenge_markdown(CHALLENGE))


def test_what_a_challenge_took_is_written_as_other_times_are() -> None:
    page = challenge_markdown(replace(CHALLENGE, seconds=5025.3))

    assert "2026-11-25T10:00:00Z, 1 h 24 min" in page


def test_a_challenge_fits_a_narrow_terminal() -> None:
    text = challenge_text(CHALLENGE, file="tickets.yaml", written="1.md", width=60)

    assert max(map(len, text.splitlines())) <= 60


def test_hostile_names_of_a_challenge_stay_text() -> None:
    name = "<script>x</script>|\x1b[2J\n# x"
    hostile = replace(CHALLENGE, recipe_name=name, base_model=name, costs=(name,))

    for text in (
        challenge_markdown(hostile),
        challenge_text(hostile, file="a.yaml", written="b", width=100),
    ):
        assert "\x1b" not in text
        assert "\n# x" not in text
    assert "\\<script\\>" in challenge_markdown(hostile)

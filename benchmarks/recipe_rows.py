"""The invented rows of an online shop that shipped recipes use: `python benchmarks/recipe_rows.py`.

Writes recipes/data/shop-*.{csv,jsonl}: messages with several topics, and answers of which one is better. No row is of
a real customer. The same program writes the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parents[1] / "recipes" / "data"
SEED: Final = 7
WORDINGS: Final = {
    "delivery": (
        "my parcel has been on its way for two weeks",
        "the driver left everything with a neighbour I do not know",
        "the tracking number shows nothing at all",
        "can you send it to my office instead",
        "half of what I bought has not arrived",
        "the courier says nobody was home, and I was",
        "how long does shipping to Norway take",
        "it was promised for Friday and is not here",
        "I need it before the weekend, is express possible",
        "the box went to my old street",
        "where is my package",
        "nobody rang the bell and there is no card in my letterbox",
        "do you ship to islands",
        "the van has passed my house three times",
        "the depot sent my things back to you",
        "could it be dropped at a pick-up point",
        "the estimated day keeps moving",
        "the carrier lost it, I fear",
        "may my sister collect it at your warehouse",
        "only one of the two cartons came",
    ),
    "payment": (
        "my card was charged twice",
        "the invoice carries the wrong company name",
        "the bank says the transfer bounced",
        "can I pay in three instalments",
        "there is a fee on my statement that I do not understand",
        "I was billed for a month that I had cancelled",
        "please send me a receipt for my taxes",
        "your checkout refuses my debit card",
        "the amount taken is higher than the total shown",
        "do you accept PayPal",
        "VAT is missing on the bill",
        "I have paid, and still get reminders",
        "the money left my account and no order exists",
        "which currency will I be debited in",
        "my direct debit was taken a week early",
        "I would like to settle by bank transfer",
        "a dunning letter came although all is settled",
        "the credit note has never been booked",
        "the total differs from what was on the screen",
        "why are there two withdrawals of the same sum",
    ),
    "returns": (
        "I want to send the lamp back",
        "how do I get a label for the parcel that goes back to you",
        "it is not what I expected and I would like my money again",
        "how many days do I have to change my mind",
        "I sent it back a month ago and nothing was refunded",
        "may I swap it for the blue one",
        "who pays the postage when I give it back",
        "I have thrown away the carton, do you still take it",
        "my refund is ten euros short",
        "please cancel, I do not need it any more",
        "can I bring it to one of your shops instead of mailing it",
        "the gift was not liked, what can be done",
        "I changed my mind about the whole order",
        "do opened boxes count as unused",
        "when will I be reimbursed",
        "I would rather have another model in exchange",
        "the form for withdrawal does not open",
        "I no longer want the second item",
        "your shop has had the goods again since Monday and my balance is the same",
        "is there a deadline for sending things back",
    ),
    "sizes": (
        "will a medium fit somebody of 1.80 metres",
        "the trousers are far too tight at the waist",
        "do the shoes run small",
        "the sleeves end well above my wrists",
        "how wide is the shelf in centimetres",
        "between 42 and 43, which one is better",
        "the chart says large, and it hangs on me like a tent",
        "what is the length of the cable",
        "is the jacket cut for narrow shoulders",
        "the ring slips off my finger",
        "does the cover go over a mattress of 160 by 200",
        "my daughter is nine, which number does she need",
        "the hat pinches",
        "I cannot close the boots around my calves",
        "how tall is the wardrobe",
        "is a 38 in Italy a 38 here",
        "the coat reaches my ankles",
        "I measured my chest at 96, what follows from that",
        "would the frame suit a picture of 50 by 70",
        "the gloves leave my thumbs no room",
    ),
    "defects": (
        "the kettle leaks from below",
        "the zip broke on the first day",
        "it does not switch on",
        "the screen flickers and goes black",
        "one leg of the table is shorter than the others",
        "the glass came in pieces",
        "the colour washes out",
        "there is a crack along the handle",
        "the motor makes a grinding noise",
        "the battery dies after ten minutes",
        "two screws were missing in the bag",
        "the seam has opened already",
        "it smells of burnt plastic",
        "the left speaker is silent",
        "the lid will not close any more",
        "rust shows after one week",
        "the buttons do nothing when pressed",
        "the paint comes off in flakes",
        "the wheel wobbles",
        "it stopped working in the middle of a wash",
    ),
    "account": (
        "I cannot log in any more",
        "the mail to reset my password never comes",
        "please change my address to my maiden name",
        "how do I delete my profile",
        "somebody else seems to use my login",
        "I registered twice by mistake, can both be joined",
        "my new phone does not get the code",
        "I want no newsletters",
        "which data do you keep about me",
        "the site says that my user name is taken, and it is mine",
        "I moved, where do I enter the new street",
        "it throws me out after each click",
        "my order history is empty all of a sudden",
        "how can I turn on the second factor",
        "the e-mail in my settings has a typing error",
        "it says I am locked for too many attempts",
        "can two people share one sign-in",
        "please correct my date of birth",
        "the link to confirm my registration has expired",
        "I would like to close my membership",
    ),
    "vouchers": (
        "the code from your mail is not accepted",
        "where do I enter my gift card",
        "my birthday discount was not taken off",
        "can two coupons be used at once",
        "how much is left on my gift card",
        "the promotion said 20 percent, and I got ten",
        "my points are gone",
        "the rebate for students does not work",
        "until when is the voucher good",
        "I forgot to type the code before I ordered",
        "may I give my bonus points to a friend",
        "the free gift was not in the basket",
        "it says the coupon has been redeemed, but not by me",
        "do sale items count for the reward",
        "I was promised ten euros for bringing a friend",
        "can I turn the card into cash",
        "the loyalty stamps have not been added",
        "the price fell the day after I ordered, do I get the difference",
        "the bonus for first orders is missing",
        "I scratched off a digit of the code",
    ),
    "stock": (
        "when will the green bicycle be available again",
        "is the espresso machine sold out for good",
        "do you still have the chairs in oak",
        "put me on a list for the next batch",
        "your page says five left, and I cannot add one",
        "will there be a successor of this camera",
        "I need forty of them, do you have so many",
        "does the shop in Leeds have one on the shelf",
        "why was the series taken out of the range",
        "can you hold one back for me until Saturday",
        "are spare filters kept in the warehouse",
        "when do the winter models come in",
        "it has been unavailable for months",
        "will you get the limited edition",
        "is there something like it that I can have now",
        "the item vanished from the catalogue",
        "can I order in advance",
        "do you make it in left-handed as well",
        "how many pieces remain",
        "please tell me once it is there",
    ),
}
"""What customers say, by topic."""
OPENINGS: Final = (
    *("Hello,", "Good morning,", "Hi there,", "Dear team,", "Sorry to bother you,", "Hey,"),
    *("Once more:", "A short question:", "To whom it may concern,", "Hello from Bristol,"),
    *("I am a customer of long standing:", "Good evening,"),
)
CLOSINGS: Final = (
    *("Thanks in advance.", "What can be done?", "Please answer soon.", "Kind regards, Iris"),
    *("Best, Tom", "I am waiting for your word.", "Many thanks!", "Regards", "Cheers, Ada"),
    *("You can call me after six.", "I hope you can help.", "That would be kind."),
)
STEPS: Final = {
    "delivery": "I have asked the carrier, and will write to you by noon tomorrow",
    "payment": "I have passed your receipt to our accounts, who put it right within two days",
    "returns": "a prepaid label is in your mailbox, and the money follows within five days",
    "sizes": "the table below the picture has all measures, and a swap costs nothing",
    "defects": "a new one leaves our warehouse today, and you may keep the old one",
    "account": "a new link is on its way to you, and it is good for one hour",
    "vouchers": "I have added the amount to your basket by hand",
    "stock": "I have noted your address, and you will be the first to hear of it",
}
"""What a good answer does about a topic."""
BETTER: Final = (
    "Thank you for telling us: {step}.",
    "I am sorry about that. Here is what happens now: {step}.",
    "I understand. Done already: {step}. Is there anything else?",
    "That should not happen, and I am sorry: {step}.",
)
WORSE: Final = (
    "Read the terms on our site.",
    "This is not our problem.",
    "You have surely done something wrong yourself.",
    "We get hundreds of such mails a day and cannot look at each, so please be patient and do not write again.",
    "Ask somebody else. Nobody here can say anything about that, now or later, and there is nothing to be done.",
    "As the leading shop of the country we are proud of our prices, our range and our many awards.",
)


def messages(draw: random.Random, wordings: Sequence[str], count: int) -> Iterator[str]:
    """Yield so many messages that say all of it, no two of them with the same opening or closing."""
    matter = "; also, ".join(wordings)
    for opening, closing in zip(
        draw.sample(OPENINGS, count), draw.sample(CLOSINGS, count), strict=True
    ):
        mark = "" if matter.endswith("?") else "."
        yield f"{opening} {matter}{mark} {closing}"


def several() -> list[dict[str, str]]:
    """Return messages of one to three topics."""
    draw = random.Random(SEED + 2)  # noqa: S311 - repeatable
    rows = []
    for number in range(420):
        topics = draw.sample(list(WORDINGS), 1 + number % 3)
        [text] = messages(draw, [draw.choice(WORDINGS[topic]) for topic in topics], 1)
        rows.append({"message": text, "topics": ";".join(sorted(topics))})
    return _shuffled(draw, rows)


def replies() -> list[dict[str, str]]:
    """Return messages with a better and a worse answer; either may be the longer one."""
    draw = random.Random(SEED + 3)  # noqa: S311 - repeatable
    rows = []
    for topic, wordings in WORDINGS.items():
        for wording in wordings:
            for text in messages(draw, [wording], 2):
                chosen = draw.choice(BETTER).format(step=STEPS[topic])
                rows.append({"prompt": text, "chosen": chosen, "rejected": draw.choice(WORSE)})
    return _shuffled(draw, rows)


def files() -> dict[str, str]:
    """Return the text of each file by its name."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in replies())
    return {
        "shop-topics.csv": _csv(several()),
        "shop-replies.jsonl": "".join(lines),
    }


def _shuffled(draw: random.Random, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    draw.shuffle(rows)
    return rows


def _csv(rows: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=DATA)
    folder = parser.parse_args().output
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

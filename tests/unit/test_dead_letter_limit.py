"""The limit on dead letters: judged in the order in which uploads were taken on."""

from itertools import count

import pytest

from consumers.dead_letter_limit import DeadLetterLimit, Ended, TooManyDeadLetters


class Limit(DeadLetterLimit):
    """Numbers uploads by itself."""

    def __init__(self, **options):
        super().__init__(**options)
        self._numbers = count()

    def take_on(self, many):
        numbers = [next(self._numbers) for _ in range(many)]
        for number in numbers:
            self.begin(number)
        return numbers

    def deliver(self, ended, account_id=None):
        fates = {number: Ended(reason, account_id) for number, reason in ended.items()}
        self.check(fates)
        self.count(fates)

    def pass_by(self, reasons, account_id=None):
        self.deliver(dict(zip(self.take_on(len(reasons)), reasons, strict=True)), account_id)


def test_dead_letters_up_to_the_share_are_normal():
    limit = Limit(share=0.5, window=100, minimum=4)
    for _ in range(50):
        limit.pass_by([None, "not_json"])


def test_more_than_the_share_stops_and_names_the_commonest_reason():
    limit = Limit(share=0.5, window=100, minimum=4)
    with pytest.raises(TooManyDeadLetters, match=r"^3 of the last 4 uploads .* most for unreachable: .*committed"):
        limit.pass_by(["unreachable", "not_json", None, "unreachable"])


def test_too_few_uploads_are_not_judged():
    Limit(share=0.5, window=100, minimum=5).pass_by(["not_json"] * 4)


def test_only_recent_uploads_count():
    limit = Limit(share=0.5, window=10, minimum=4)
    limit.pass_by([None] * 100)
    limit.pass_by(["not_json"] * 5)
    with pytest.raises(TooManyDeadLetters):
        limit.pass_by(["not_json"])


def test_a_minimum_above_the_window_does_not_switch_the_limit_off():
    with pytest.raises(TooManyDeadLetters):
        Limit(share=0.5, window=4, minimum=50).pass_by(["not_json"] * 4)


def test_a_share_of_one_never_stops():
    Limit(share=1.0, window=10, minimum=1).pass_by(["not_json"] * 10)


def test_what_was_not_delivered_and_is_taken_on_again_counts_once():
    limit = Limit(share=0.5, window=100, minimum=4)
    limit.pass_by([None] * 3)
    for _ in range(5):
        numbers = limit.take_on(2)
        limit.check(dict.fromkeys(numbers, Ended("not_json", None)))
        limit.forget(numbers)
    limit.pass_by(["not_json"] * 2)


def test_refusals_that_end_before_good_uploads_do_not_look_like_all_there_is():
    limit = Limit(share=0.5, window=200, minimum=50)
    numbers = limit.take_on(1_000)
    limit.deliver({number: "not_json" for number in numbers if number % 10 == 0})
    limit.deliver({number: None for number in numbers if number % 10})


def test_uploads_that_all_fail_in_time_stop_it_although_later_ones_are_under_way():
    limit = Limit(share=0.5, window=200, minimum=50)
    numbers = limit.take_on(1_000)
    limit.deliver(dict.fromkeys(numbers[:49], "host_down"))
    with pytest.raises(TooManyDeadLetters):
        limit.deliver({numbers[49]: "host_down"})


def test_one_account_with_broken_files_stops_nobody_and_many_accounts_do():
    limit = Limit(share=0.5, window=200, minimum=50)
    limit.pass_by([None] * 20)
    limit.pass_by(["not_an_image"] * 1_000, "acct-1")
    for number in range(99):
        limit.pass_by([None, "unreachable"], f"acct-{number}")
    with pytest.raises(TooManyDeadLetters, match="most for unreachable"):
        for number in range(100, 200):
            limit.pass_by(["unreachable"], f"acct-{number}")


def test_memory_stays_bounded_while_one_upload_takes_for_ever():
    limit = Limit(share=0.5, window=10, minimum=4)
    limit.take_on(1)
    for _ in range(1_000):
        limit.pass_by([None])
    assert len(limit._fates) <= 11

"""What speaks against a label, on figures that are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from finetune.suspects.evidence import Copies, class_doubts, copy_doubts, mask_doubt, score_doubts


def chances_of(taken: list[int], classes: int, sure: float = 0.9) -> np.ndarray:
    """Probabilities that take each image for one class, and share the rest out."""
    found = np.full((len(taken), classes), (1 - sure) / (classes - 1))
    found[np.arange(len(taken)), taken] = sure
    return found


class TestClasses:
    def test_wrong_labels_come_first_and_are_counted(self) -> None:
        truth = [0] * 10 + [1] * 10 + [2] * 10
        labels = np.array(truth)
        labels[[3, 14, 25]] = [1, 2, 0]
        doubts = class_doubts(labels, chances_of(truth, 3))
        assert set(np.argsort(-doubts.scores)[:3]) == {3, 14, 25}
        assert [int(doubts.rivals[place]) for place in (3, 14, 25)] == [0, 1, 2]
        assert doubts.errors == 3
        assert (doubts.scores[[3, 14, 25]] > 0.8).all()
        assert (np.delete(doubts.scores, [3, 14, 25]) < 0.2).all()

    def test_a_class_of_which_nobody_is_ever_sure_is_not_all_wrong(self) -> None:
        labels = np.array([0] * 20 + [1] * 20)
        chances = np.concatenate([np.tile([0.95, 0.05], (20, 1)), np.tile([0.6, 0.4], (20, 1))])
        doubts = class_doubts(labels, chances)  # plain probabilities would call every image of class 1 wrong
        assert (doubts.scores[20:] < 0.5).all()
        assert doubts.errors == 0

    def test_a_model_that_knows_nothing_is_not_believed(self) -> None:
        labels = np.arange(30) % 3
        known, guessed = chances_of(labels.tolist(), 3), chances_of(np.random.default_rng(0).permutation(labels), 3)
        known[4] = known[3]
        contradicted = guessed.argmax(axis=1) != labels
        assert class_doubts(labels, known).scores[4] > 0.8
        assert class_doubts(labels, guessed).scores[contradicted].max() < 0.7

    def test_a_single_class_has_no_rival(self) -> None:
        doubts = class_doubts(np.zeros(3, np.intp), np.ones((3, 1)))
        assert doubts.scores.tolist() == [0, 0, 0]
        assert doubts.errors == 0

    def test_certainty_is_no_division_by_nothing(self) -> None:
        doubts = class_doubts(np.array([0, 0, 1, 1]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]))
        assert np.isfinite(doubts.scores).all()
        assert doubts.scores.argmax() == 1


class TestScores:
    def test_good_that_scores_like_a_defect_and_the_reverse(self) -> None:
        scores = np.array([1, 1.1, 1.2, 1.3, 9.0, 8.0, 8.5, 9.5, 0.9])
        defective = np.array([False] * 5 + [True] * 4)
        doubts = score_doubts(scores, defective)
        assert set(np.flatnonzero(doubts > 0.5)) == {4, 8}
        assert (doubts >= 0).all()
        assert (doubts <= 1).all()

    def test_where_no_defect_is_known_the_highest_good_one_is_the_most_doubtful(self) -> None:
        doubts = score_doubts(np.array([1.0, 5.0, 2.0]), np.zeros(3, np.bool_))
        assert doubts.argmax() == 1

    def test_nothing(self) -> None:
        assert len(score_doubts(np.zeros(0), np.zeros(0, np.bool_))) == 0


def disc(x: int, y: int, size: tuple[int, int] = (200, 300)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    cv2.circle(mask, (x, y), 15, 1, -1)
    return mask > 0


class TestMasks:
    heat = cv2.GaussianBlur(disc(90, 60).astype(np.float32), (0, 0), 12)

    def test_a_mask_in_its_place(self) -> None:
        assert mask_doubt(self.heat, disc(90, 60)).score < 0.02

    def test_a_mask_that_was_moved(self) -> None:
        doubt = mask_doubt(self.heat, disc(150, 100))
        assert doubt.score > 0.9
        assert (doubt.right, doubt.down) == (pytest.approx(-60, abs=4), pytest.approx(-40, abs=4))

    @pytest.mark.parametrize("mask", [np.zeros((200, 300), np.bool_), np.ones((200, 300), np.bool_)])
    def test_a_mask_that_cannot_be_moved(self, mask: np.ndarray) -> None:
        assert mask_doubt(self.heat, mask).score == 0

    def test_a_map_that_says_nothing(self) -> None:
        assert mask_doubt(np.full((200, 300), 3, np.float32), disc(90, 60)).score == 0

    def test_a_speck_on_a_large_photo(self) -> None:
        mask = np.zeros((200, 300), np.bool_)
        mask[60, 90] = True
        assert mask_doubt(self.heat, mask).score < 0.1


LABELS = {"a": "good", "b": "dent", "c": "good", "d": "good"}


class TestCopies:
    def test_the_odd_one_out_is_the_most_doubtful(self) -> None:
        found = copy_doubts([Copies(("a", "b", "c"), identical=True)], LABELS)
        assert {one.key: (one.score, one.suggested) for one in found} == {
            "a": (0.5, "dent"),
            "b": (1.0, "good"),
            "c": (0.5, "dent"),
        }
        assert next(one.why for one in found if one.key == "b") == "the same bytes as a, which is good"

    def test_a_near_duplicate_counts_less(self) -> None:
        found = copy_doubts([Copies(("a", "b"), identical=False)], LABELS)
        assert [one.score for one in found] == [0.75, 0.75]

    def test_copies_that_agree_say_nothing(self) -> None:
        assert copy_doubts([Copies(("a", "c", "d"), identical=True), Copies(("a", "gone"), True)], LABELS) == []

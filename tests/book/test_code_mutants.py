"""What `make code-mutants` stores: each survivor is explained, and a diff is read right."""

from derivable.book.chapters import find_chapters, find_root
from derivable.book.code_mutants import change, read_explanations, read_stored, score

ROOT = find_root()


def test_every_topic_was_examined_and_each_survivor_has_its_sentence():
    stored, reasons = read_stored(ROOT), read_explanations(ROOT)
    assert set(stored) == {chapter.topic for chapter in find_chapters(ROOT)}
    for topic, result in stored.items():
        assert [survivor["name"] for survivor in result["survivors"]] == list(reasons.get(topic, {}))
        assert result["killed"] + result["timed_out"] + len(result["survivors"]) == result["drawn"] <= result["made"]
        assert all(reason.endswith(".") for reason in reasons.get(topic, {}).values())


def test_a_change_is_what_the_diff_takes_away_and_what_it_adds():
    shown = "# name: survived\n--- src/a.py\n+++ src/a.py\n@@ -1,3 +1,3 @@\n def f(x):\n-    return x - 1\n+    return x + 1\n"
    assert change(shown) == "return x - 1 → return x + 1"
    assert change("--- a\n+++ a\n-    f(\n-        None)\n+    g()\n") == "f( None) → g()"


def test_the_score_counts_an_explained_survivor_as_not_noticed():
    assert score({"drawn": 40, "survivors": [{"name": "x_f__mutmut_1", "change": "1 → 2"}]}) == 0.975

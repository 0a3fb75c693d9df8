import importlib

import pytest
import torch
from benchmarks.__main__ import RESULTS, TOPICS, load

SMALL = 4


@pytest.fixture(params=TOPICS)
def topic(request):
    return importlib.import_module(f"benchmarks.{request.param}")


def test_ours_is_exact_at_a_small_size(topic):
    for comparison in topic.comparisons(tiny=True):
        torch.manual_seed(0)
        assert comparison.error(comparison.ours()) <= comparison.tolerance, comparison.name


def test_peers_that_need_no_extra_library_are_exact_too(topic):
    for comparison in topic.comparisons(tiny=True):
        for name, peer in comparison.peers.items():
            if name.startswith(("torch.", "scipy.")):
                torch.manual_seed(0)
                assert comparison.error(peer.make()()) <= comparison.tolerance, name


def test_a_wrong_answer_is_noticed(topic):
    for comparison in topic.comparisons(tiny=True):
        answer = comparison.ours()
        wrong = getattr(answer, "value", getattr(answer, "log_density", answer)) / 3
        assert not comparison.error(wrong) <= comparison.tolerance, comparison.name


def test_growth_laws_run_at_a_small_size(topic):
    for growth in topic.growths():
        growth.make(64)()
        assert list(growth.sizes) == sorted(growth.sizes) and len(growth.sizes) >= 4


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_stored_results_have_every_topic_and_every_side(path):
    topics = load(path)["topics"]
    assert sorted(topics) == sorted(TOPICS)
    for name, topic in topics.items():
        assert topic["comparisons"], name
        for comparison in topic["comparisons"]:
            assert comparison["sides"][0]["status"] == "measured", comparison["name"]
            for side in comparison["sides"]:
                assert side["status"] in ("measured", "inexact", "absent", "failed")

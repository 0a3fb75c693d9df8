import json
import time

import numpy as np
import pytest
import torch
from benchmarks import __main__ as command
from benchmarks.harness import (
    Clock,
    Comparison,
    Growth,
    Peer,
    compare,
    fit_exponent,
    grow,
    interleave,
    measure_ceilings,
    peak_memory,
)

CEILINGS = {"gemm float32": 1e10}


def work(milliseconds: float):
    """An answer of 1 after that much of the processor's time."""

    def call():
        end = time.process_time() + milliseconds / 1e3
        while time.process_time() < end:
            pass
        return 1.0

    return call


def absent():
    import no_such_library_as_this_one  # noqa: F401


def unable():
    raise RuntimeError("in train mode\nI cannot")


def toy(ours=None, **peers) -> Comparison:
    return Comparison(
        name="toy",
        ours=ours or work(2),
        peers={name: Peer(make) for name, make in peers.items()},
        error=lambda answer: abs(answer - 1),
        measure="absolute",
        tolerance=1e-3,
        work={"gemm float32": 1e7},
        note="because",
    )


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sides(comparison: Comparison) -> dict[str, dict]:
    return {side["name"]: side for side in compare(comparison, CEILINGS, budget=0.1)["sides"]}


def test_ratios_order_the_peers_by_their_time():
    measured = sides(toy(quick=lambda: work(1), slow=lambda: work(8)))
    assert measured["quick"]["ratio"][1] < 1 < measured["slow"]["ratio"][1]
    low, middle, high = measured["slow"]["ratio"]
    assert low <= middle <= high
    assert middle == pytest.approx(4, rel=0.25)


def test_an_absent_peer_is_reported_with_what_is_missing():
    peer = sides(toy(gone=absent))["gone"]
    assert peer["status"] == "absent"
    assert "no_such_library_as_this_one" in peer["message"]
    assert "ratio" not in peer


def test_a_peer_that_cannot_do_the_work_is_reported_with_its_error():
    peer = sides(toy(broken=lambda: unable))["broken"]
    assert (peer["status"], peer["message"]) == ("failed", "RuntimeError: in train mode I cannot")


@pytest.mark.parametrize("answer", [1.1, float("nan")])
def test_a_peer_that_is_not_exact_gets_its_error_and_no_ratio(answer):
    peer = sides(toy(wrong=lambda: lambda: answer))["wrong"]
    assert peer["status"] == "inexact"
    assert "ratio" not in peer


def test_no_ratio_counts_when_ours_is_not_exact():
    measured = sides(toy(ours=lambda: 2.0, slow=lambda: work(2)))
    assert measured["ours"]["status"] == "inexact"
    assert measured["ours"]["error"] == 1
    assert "ratio" not in measured["slow"]


def test_an_error_of_ours_is_no_result():
    with pytest.raises(RuntimeError, match="train mode"):
        compare(toy(ours=unable), CEILINGS, budget=0.1)


def test_the_fraction_of_the_limit_is_the_least_time_by_ours():
    result = compare(toy(ours=work(4)), CEILINGS, budget=0.1)
    assert result["fraction_of_limit"] == pytest.approx(1e7 / 1e10 / 4e-3, rel=0.1)


def test_rounds_are_interleaved_and_their_order_turns():
    seen = []
    calls = {name: lambda name=name: (seen.append(name), work(6)()) for name in "ab"}
    times = interleave(calls, budget=0, clock=Clock())
    assert len(times["a"]) == len(times["b"]) == 5
    assert "".join(seen[-10:]) == "abbaabbaab"


def test_peak_memory_counts_what_is_freed_again():
    if (peak := peak_memory(lambda: np.ones(2**22).sum())) is None:
        pytest.skip("this system doesn't tell")
    assert peak == pytest.approx(2**25, rel=0.2)


def test_a_power_law_is_recovered_with_its_interval():
    sizes = (10, 100, 1000, 10000)
    wobbles = (1, 1.1, 0.9, 1)
    fit = fit_exponent(sizes, [3 * size**1.5 * wobble for size, wobble in zip(sizes, wobbles, strict=True)], 1.5)
    low, high = fit["interval"]
    assert low < 1.5 < high and high - low < 0.5
    assert fit["fitted"] == pytest.approx(1.5, abs=0.05)


def test_growth_finds_the_exponent_of_the_time():
    growth = Growth("toy", "size", (1, 2, 4, 8), lambda size: work(2 * size), time=1)
    low, high = grow(growth, budget=0.1)["time"]["interval"]
    assert 0.9 < low < high < 1.1


def test_ceilings_are_rates():
    ceilings = measure_ceilings(size=64, count=2**10)
    assert set(ceilings) == {"gemm float32", "exp float32", "gemm float64", "exp float64", "bytes"}
    assert all(rate > 1e6 for rate in ceilings.values())


def test_results_of_other_topics_stay_in_the_file(tmp_path):
    path = tmp_path / "results" / "toy.json"
    command.store(path, "topics", {"a": 1, "b": 2})
    command.store(path, "topics", {"b": 3})
    command.store(path, "book", {"html": 4})
    stored = json.loads(path.read_text())
    assert (stored["topics"], stored["book"]) == ({"a": 1, "b": 3}, {"html": 4})
    assert stored["machine"]["threads"] == 1
    assert [file.name for file in path.parent.iterdir()] == ["toy.json"]


def test_the_table_names_every_side():
    result = compare(toy(slow=lambda: work(8), gone=absent, wrong=lambda: lambda: 2.0), CEILINGS, budget=0.1)
    ours, slow, gone, wrong, limit = command.table(result)
    assert "measured" in ours and "x [" in slow and "absent: No module" in gone and "inexact" in wrong
    assert "of the machine's limit" in limit


def test_an_unknown_topic_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "alchemy"])
    with pytest.raises(SystemExit):
        command.main()
    assert "no such topic: alchemy; there are random_vector_angles" in capsys.readouterr().err

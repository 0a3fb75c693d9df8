"""Measure the shared code beside its peers: ``python -m benchmarks [TOPIC ...]``.

Results go to ``benchmarks/results/<machine>.json`` after each topic; the page Benchmarks of the book is made from them.
"""

import argparse
import importlib
import json
import sys
import warnings
from pathlib import Path

from benchmarks.harness import compare, grow, machine, measure_ceilings, moment
from derivable.book.execute import write_whole

TOPICS = ("random_vector_angles", "entropy_normalization", "rnn_gradients", "batch_norm_landscape",
          "gradient_penalty_inequality", "vae_density")
RESULTS = Path(__file__).parent / "results"


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def store(path: Path, section: str, content: dict) -> None:
    """Put one section of a machine's results into its file, which is replaced as a whole."""
    path.parent.mkdir(exist_ok=True)
    results = load(path) | {"machine": machine()}
    results[section] = results.get(section, {}) | content
    write_whole(path, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def measure(topic: str, seconds: float) -> dict:
    """Every comparison and every growth law of one topic."""
    module = importlib.import_module(f"benchmarks.{topic}")
    started, ceilings = moment(), measure_ceilings()
    comparisons, growths = [], []
    for comparison in module.comparisons():
        say(f"  {comparison.name}")
        comparisons.append(compare(comparison, ceilings, seconds))
        print("\n".join(table(comparisons[-1])))
    for growth in module.growths():
        say(f"  {growth.name} against {growth.variable}")
        growths.append(grow(growth, seconds))
        for kind in ("time", "memory"):
            if kind in growths[-1]:
                print(f"    {kind}: {exponent(growths[-1][kind])}")
    return {"title": module.TITLE, "started": started, "load_at_the_end": moment()["load"], "ceilings": ceilings,
            "comparisons": comparisons, "growths": growths}


def say(line: str) -> None:
    print(line, flush=True)


def exponent(fit: dict) -> str:
    low, high = fit["interval"]
    return f"exponent {fit['fitted']:.2f} [{low:.2f}, {high:.2f}], claimed {fit['claimed']:g}"


def table(comparison: dict) -> list[str]:
    """One line for each side: milliseconds, ratio to ours with its quartiles, error, memory."""
    lines = []
    for side in comparison["sides"]:
        if "seconds" not in side:
            lines.append(f"    {side['name']:<52} {side['status']}: {side['message']}")
            continue
        low, middle, high = side.get("ratio", [0, 0, 0])
        ratio = f"{middle:7.2f}x [{low:.2f}, {high:.2f}]" if middle else side["status"]
        memory = "" if side["memory"] is None else f"{side['memory'] / 2**20:8.1f} MiB"
        lines.append(f"    {side['name']:<52} {1e3 * side['seconds'][1]:9.2f} ms  {ratio:<24} "
                     f"error {side['error']:.1e} {memory}")
    return [*lines, f"    ours at {comparison['fraction_of_limit']:.0%} of the machine's limit"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the shared code beside its peers.")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"any of {', '.join(TOPICS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=20, help="for each comparison (default: %(default)g)")
    options = parser.parse_args()
    unknown = set(options.topics) - set(TOPICS)
    if unknown:
        parser.error(f"no such topic: {', '.join(sorted(unknown))}; there are {', '.join(TOPICS)}")
    warnings.simplefilter("ignore")  # the peers' deprecations
    topics = options.topics or TOPICS
    path = RESULTS / f"{machine()['name']}.json"
    for position, topic in enumerate(topics, 1):
        say(f"[{position}/{len(topics)}] {topic} on {machine()['name']}, {machine()['threads']} thread(s)")
        try:
            store(path, "topics", {topic: measure(topic, options.seconds)})
        except KeyboardInterrupt:
            sys.exit(f"\nInterrupted in {topic}; the topics before it are stored.")
    say(f"Stored in {path}")


if __name__ == "__main__":
    main()

"""What the whole suite has to say at its end."""


def pytest_terminal_summary(terminalreporter):
    planted = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if "test_planted.py::test_is_caught" in getattr(report, "nodeid", "") and getattr(report, "when", "") == "call"
    ]
    if planted:
        caught = sum(report.passed for report in planted)
        terminalreporter.write_line(f"planted failures: {caught} of {len(planted)} caught")

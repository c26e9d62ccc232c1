"""Runs the plan's scenarios one after the other and prints a line for each: see bench/loadtest."""
import collections
import contextlib
import csv
import os
import re
import signal
import subprocess
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
SCENARIOS = [("10 users", 10, 5), ("100 users", 100, 10), ("500 users", 500, 5), ("0 to 1000 to 0", None, 10)]
PEAK = 1000
BAR_MS, BAR_HITS = 10, 85
PROCESSES = 2  # a process of Locust is one core at most, and its users queue within it long before that


def scrape():
    """The proxy's metrics: {(name, labels): value}."""
    with urllib.request.urlopen(os.environ["MUSTER_ADMIN_URL"] + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = (re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line) for line in lines if not line.startswith("#"))
    return {(m[1], m[2] or ""): float(m[3]) for m in found if m}


def reads_p95(before, after):
    """The 95th percentile in ms of the cached routes' reads, interpolated within the histogram's bucket."""
    buckets = collections.Counter()
    for (name, labels), value in after.items():
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if name == "http_request_duration_seconds_bucket" and label["route"] in ("list_agents", "get_agent", "list_goals"):
            buckets[float(label["le"])] += value - before.get((name, labels), 0)
    total = buckets[float("inf")]
    last_bound = last_count = 0.0
    for bound, count in sorted(buckets.items()):
        if total and count >= 0.95 * total:
            if bound == float("inf"):
                return last_bound * 1000
            return (last_bound + (bound - last_bound) * (0.95 * total - last_count) / (count - last_count)) * 1000
        last_bound, last_count = bound, count
    return float("nan")


def l1_hits(before, after):
    """How many per cent of the cached routes' reads L1 answered."""
    grown = {k[1]: v - before.get(k, 0) for k, v in after.items() if k[0] == "cache_reads_total"}
    return 100 * grown['answered_by="l1"'] / max(1, sum(grown.values()))


def processor_seconds():
    """Spent so far by Locust's processes, this one's children, and by everything else on the machine."""
    tick = os.sysconf("SC_CLK_TCK")
    children = os.times()
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq = (int(field) / tick for field in stat.readline().split()[1:8])
    locust = children.children_user + children.children_system
    return locust, user + nice + system + irq + softirq - locust


def locust(place, name, users, seconds):
    """One scenario, its users shared out among the processes; their rows of statistics."""
    prefix = os.path.join(place, re.sub(r"\W+", "-", name))
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", MUSTER_SPIKE_SECONDS=str(seconds),
                       MUSTER_SPIKE_PEAK=str(PEAK // PROCESSES))
    running = []
    rows = []
    try:
        for number in range(PROCESSES):
            own = f"{prefix}.{number}"
            command = ["locust", "-f", os.path.join(HERE, "locustfile.py" if users else "spike.py"), "--headless",
                       "--host", os.environ["MUSTER_HTTP_URL"], "--csv", own, "--only-summary", "--stop-timeout", "10"]
            if users:
                command += ["-u", str(users // PROCESSES), "-r", str(max(5, users // 20)), "-t", f"{seconds:.0f}s"]
            with open(own + ".log", "w", encoding="utf-8") as log:
                running.append((own, subprocess.Popen(command, env=environment, stdout=log, stderr=log)))
        for own, process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds + 60)  # its status says whether requests failed, and so do the rows
            with contextlib.suppress(OSError), open(own + "_stats.csv", encoding="utf-8", newline="") as file:
                rows += [row for row in csv.DictReader(file) if int(row["Request Count"])]
            if not rows:
                with open(own + ".log", encoding="utf-8") as log:
                    sys.exit(f"Locust made no requests (status {process.returncode}):\n" + log.read()[-3000:])
    finally:
        for _, process in running:
            process.kill()
            process.wait()
    return rows


def main():
    scale, place = float(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends Locust too
    print(f"the plan's durations times {scale:g}; p95 in ms; reads of the cached routes; cores of {os.cpu_count()}\n")
    print("scenario          requests  failures   rate/s   p95 of reads: Locust  proxy   of writes: Locust"
          "   cores: Locust  all else   L1 hits", flush=True)
    missed = []
    first = scrape()
    for name, users, minutes in SCENARIOS:
        seconds = max(10, minutes * 60 * scale)
        before, spent = scrape(), processor_seconds()
        rows = locust(place, name, users, seconds)
        after = scrape()
        locust_cores, other_cores = ((b - a) / seconds for a, b in zip(spent, processor_seconds()))
        requests, failures, rate = (sum(float(row[column]) for row in rows if row["Name"] == "Aggregated")
                                    for column in ("Request Count", "Failure Count", "Requests/s"))
        # The worst of the routes and processes.
        reads, writes = (max(float(row["95%"]) for row in rows if row["Type"] == method) for method in ("GET", "POST"))
        here = reads_p95(before, after)
        print(f"{name:<16} {requests:>9.0f} {failures:>9.0f} {rate:>8.1f}"
              f" {reads:>22.0f} {here:>6.1f} {writes:>19.0f} {locust_cores:>15.2f} {other_cores:>9.2f}"
              f" {l1_hits(before, after):>8.1f}%", flush=True)
        if failures:
            missed.append(f"{name}: {failures:.0f} requests failed")
        if not reads < BAR_MS:
            missed.append(f"{name}: p95 of reads {reads:.0f} ms as Locust sees it, bar {BAR_MS}")
        if not here < BAR_MS:
            missed.append(f"{name}: p95 of reads {here:.1f} ms at the proxy, bar {BAR_MS}")
    hits = l1_hits(first, scrape())
    print(f"\nL1 answered {hits:.1f} % of the cached routes' reads")
    if not hits > BAR_HITS:
        missed.append(f"L1 hits {hits:.1f} %, bar {BAR_HITS}")
    for line in missed:
        print("MISSED", line)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()

"""The plan's last scenario: from no users to MUSTER_SPIKE_PEAK and back, evenly, within MUSTER_SPIKE_SECONDS."""
import os

from locust import LoadTestShape

from locustfile import AgentPlatformUser  # noqa: F401  Locust looks for it here


class Spike(LoadTestShape):
    peak = int(os.environ["MUSTER_SPIKE_PEAK"])
    seconds = float(os.environ["MUSTER_SPIKE_SECONDS"])

    def tick(self):
        part = self.get_run_time() / self.seconds
        if part >= 1:
            return None
        users = round(self.peak * (1 - abs(2 * part - 1)))
        return max(1, users), self.peak

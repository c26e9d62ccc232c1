"""The assessment's load test, its Appendix B: a premium key and an id that exists are put in, nothing else is changed."""
import os

from locust import HttpUser, task, between


class AgentPlatformUser(HttpUser):
    wait_time = between(1, 3)

    def on_start(self):
        self.client.headers["X-API-Key"] = os.environ["MUSTER_API_KEY"]

    @task(3)
    def list_agents(self):
        """List agents (most common operation)"""
        self.client.get("/agents/")

    @task(2)
    def get_agent(self):
        """Get specific agent"""
        self.client.get("/agents/" + os.environ["MUSTER_AGENT_ID"])

    @task(1)
    def create_agent(self):
        """Create new agent (less common)"""
        self.client.post("/agents/", json={
            "name": f"test-agent-{self.environment.runner.user_count}",
            "agent_type": "test",
            "configuration": {},
        })

    @task(2)
    def list_goals(self):
        """List goals"""
        self.client.get("/goals/")

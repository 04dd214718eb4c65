"""The connection to the broker, who may hold the agent's id there, and a broker where there is none."""

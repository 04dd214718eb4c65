"""Where the networks' files are, and how they come there.

No weights are in this repository but our own. `fetch` brings the others into the cache folder, each with
a receipt; `locate` gives a file that fits its receipt. A changed recipe or a damaged file is made again.
"""

from agent.inference.fetch import fetch
from agent.inference.store import Status, locate, statuses

__all__ = ["Status", "fetch", "locate", "statuses"]

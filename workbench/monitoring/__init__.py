"""What happens after a run: questions and feedback are logged, and compared with what was measured.

A server needs this much: `QueryLog(folder, mode=…).append(QueryRecord(…))`, `FeedbackLog(folder).append(…)`, both safe
from any thread, and `pack_embedding` for a question's vector; `folder` is `log_folder(config, run)` of watching.py.
"""

from workbench.monitoring.findings import MonitorReport
from workbench.monitoring.logs import FeedbackLog, QueryLog, read_feedback, read_queries
from workbench.monitoring.records import FeedbackRecord, QueryRecord, pack_embedding

__all__ = [
    "FeedbackLog",
    "FeedbackRecord",
    "MonitorReport",
    "QueryLog",
    "QueryRecord",
    "pack_embedding",
    "read_feedback",
    "read_queries",
]

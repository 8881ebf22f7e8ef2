"""Who may do what on a server, how often, and the record of it: keys, rates, the audit log, and where it may listen.

Knows neither HTTP nor collections: names come in, and a yes, a number of seconds, or a typed error goes out.
"""

from workbench.access.audit_log import AuditLog, Event
from workbench.access.binding import is_loopback, refuse_open_bind
from workbench.access.grants import OWNER, Grant, Role
from workbench.access.keys import KeyFacts, KeyStore, read_bearer
from workbench.access.log_check import LogReport, verify_log
from workbench.access.rates import RateLimit

__all__ = [
    "OWNER",
    "AuditLog",
    "Event",
    "Grant",
    "KeyFacts",
    "KeyStore",
    "LogReport",
    "RateLimit",
    "Role",
    "is_loopback",
    "read_bearer",
    "refuse_open_bind",
    "verify_log",
]

"""Every limit of the server, each with its reason. A limit that is passed gives LimitExceeded or ServerBusy.

Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

from unseen.wire import MAX_CHUNK_BYTES

KIB, MIB = 1 << 10, 1 << 20

# What one message may carry

MAX_MESSAGE_BYTES = MAX_CHUNK_BYTES + 64 * KIB
"""One chunk and its framing. gRPC itself refuses a larger message before it is read."""
MAX_METADATA_BYTES = 8 * KIB
"""Our calls need a few hundred bytes of metadata; a token of a later release fits."""
MAX_RECORD_BYTES = 64 * KIB
"""A sealed record with a thumbnail has 5 to 20 KiB. Every mirror holds it, so it must stay small."""
MAX_ROWS_PER_ENROLMENT = 1024
"""A stream is held in memory until it is whole: at most 1024 * (64 KiB + 8 KiB) = 72 MiB."""
MAX_ROWS_PER_ERASURE = 65536
"""What fits a message of 1 MiB."""

# What the server holds

MAX_COLLECTIONS = 1000
"""Of one tenant: all of them fit one message of a listing."""
MAX_TOKENS_PER_TENANT = 10_000
"""Tokens that were not revoked; each takes about a kilobyte of memory."""
MAX_SLOTS = 1 << 28
"""A slot is a uint32 on the wire; far above what the memory of one machine holds."""
MAX_COLLECTIONS_PER_TOKEN = 100
MAX_NAME_LENGTH = 64
MAX_CALLER_NAME_LENGTH = 128
MAX_MODEL_ID_LENGTH = 128

# What governance keeps of a collection

MAX_COMPARTMENTS = 256
"""Sets of purposes over all versions of a policy. Each takes at least 2,048 slots, so this many cost half a million."""
MAX_CONSENTS = 2_000_000
"""About 400 bytes of memory each."""
MAX_POLICY_VERSIONS = 1000
MAX_ACCEPTANCES = 1000
"""Of one version by one caller, whose devices ask one by one; without tokens everybody is one caller."""
MAX_HOLDS = 1000
MAX_EMERGENCIES = 1000
RETENTION_EVERY_S = 60.0
"""How often what has ended is erased. It is not found any more from the moment it ends."""
ENROLMENT_MARK_S = 3600
"""Rows enrolled within this time end together, at the end of the first: up to an hour before their full time."""

# What is under way at once

MAX_CALLS = 128
"""Calls under way; one more is told ServerBusy. Health checks do not count."""
MAX_HEALTH_CALLS = 64
"""Health checks and watchers under way; an orchestrator needs one."""
MAX_RPCS = 256
"""gRPC's own limit, above the other two together, so that a busy server still answers health checks."""
MAX_STREAMS_PER_CONNECTION = 64
RETRY_CALL_S = 0.5
"""Told to who is refused because too much is under way: about the length of a search of a million rows."""
RETRY_SCAN_S = 0.1
"""The least that is told to a search; it is more when searches take longer."""
RETRY_BACKUP_S = 30.0
"""Told to who wants a backup while another one is fetched."""
MAX_BUCKETS = 10_000
"""Callers whose use is counted; beyond it those who were quiet are forgotten, which changes nothing for them."""
MAX_BYTES_UNDER_WAY = 512 * MIB
"""Queries, enrolments and replies in memory, all calls together; one more is told ServerBusy."""
SCANS_AT_ONCE = 2
"""One scan keeps every thread busy but for its first and last milliseconds: the second fills those."""
MAX_SCANS_WAITING = 64
"""Those of a burst: a scan of a million rows takes half a second, so the last of them waits for a quarter minute."""
COMING_S = 1.0
"""A query of a megabyte at 8 Mbit/s; who needs longer holds no place meanwhile."""
STANDING_AFTER_S = 1.0
"""A queue that was not empty for this long is no burst."""
REFUSED_PART_AT_CAPACITY = 1 / 3
"""Of the searches that come when nobody may wait: with two scans that share the machine and a load r, a part
r^2 / (1 + r + r^2) finds both places taken, a third at r = 1. When fewer are refused, all can be answered."""
REFUSALS_LOOKED_AT = 32
"""A part is taken of about so many searches."""
QUIET_AGAIN_S = 5.0
"""Without a refusal for this long the flood is over, whatever the part was."""

# How long things may take

MAX_CALL_S = 300.0
"""Longest a call may last, whatever the client asked for: a first synchronisation of a large mirror."""
MAX_SEARCH_S = 60.0
"""Longest a search may last, upload and download included: 9 MB at 1.2 Mbit/s."""
MAX_BACKUP_S = 6 * 3600.0
"""Longest a backup may take to be fetched: fifty gigabytes at 20 Mbit/s."""
MAX_PAUSE_S = 20.0
"""Longest a client may let the server wait for the next message of a stream."""
MAX_CONNECTION_IDLE_S = 600.0
"""A silent connection costs a socket; clients reconnect by themselves."""
MAX_CONNECTION_AGE_S = 6 * 3600.0
MAX_HANDSHAKE_S = 10.0
"""Half-open TLS connections are closed after this."""
STOP_GRACE_S = 5.0
"""Calls under way may finish when the server is asked to stop."""

CLOCK_LEEWAY_S = 60.0
"""How far another machine's clock may be off."""
MAX_TOKEN_LIFE_S = 366 * 86400
"""A token that nobody renews for a year is one that nobody remembers."""
MAX_SIGNED_TOKEN_LIFE_S = 86400
"""A signed token cannot be revoked: this long what was stolen stays good."""

# What leaves the server in one piece

REPLY_CHUNK_BYTES = 256 * KIB
"""Blocks are sent on as soon as this many bytes are ready: the client decrypts while the scan goes on."""
CATALOGUE_PAGE_BYTES = 512 * KIB
"""Sealed records of one page of a synchronisation; with the largest record it stays below one message."""
SYNCHRONISATION_BYTES = 4 * CATALOGUE_PAGE_BYTES
"""What one synchronisation holds: a page that is being sent, the next one, and what is read for it."""
TOKENS_PER_MESSAGE = 200
"""With a scope of a hundred long names each, still below one message."""
CATALOGUE_ROWS_PER_CALL = 8192
"""A synchronisation ends about here, at an epoch, and the client asks for the rest: 80 MB of records of 10 KiB come
through in MAX_CALL_S at 2 Mbit/s, and a call that was cut costs no more than this."""
BACKUP_CHUNK_BYTES = 512 * KIB
"""Of a backup; one chunk is in memory at a time."""
BACKUP_SPARE_BYTES = 256 * MIB
"""Left free on the disk of the data directory while a backup is made: the store must be able to go on."""
EXPORT_PAGE_BYTES = 256 * KIB
"""Leaves of one message of an export of the audit log."""

MAX_MASK_BATCHES_READY = 256
"""Masks made ahead, 130 KiB each: 2048 blocks, a reply for a million rows and more."""

"""Sends records by fluent-logger: host, port, count. Prints how many it says were sent."""
import sys
from fluent import asyncsender, sender

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sent = 0
plain = sender.FluentSender("py", host=host, port=port, nanosecond_precision=True)
for n in range(count):
    record = {"message": f"python {n}", "level": "info", "n": n, "ratio": n / 4, "nested": {"ok": True}}
    sent += 1 if plain.emit("app", record) else 0
plain.close()
# Its own thread: several records go out together.
later = asyncsender.FluentSender("pyasync", host=host, port=port)
for n in range(count):
    sent += 1 if later.emit("app", {"message": f"async {n}", "text": 'a "b"\né'}) else 0
later.close()
print(sent)

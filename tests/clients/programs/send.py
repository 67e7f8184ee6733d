"""`python send.py MODULE every|bad|many|twice`: what send.mjs does, by Segment's client for Python or one that grew from it."""

import importlib
import json
import os
import sys
import time

Client = importlib.import_module(sys.argv[1] + ".client").Client

user_id = os.environ["USER_ID"]
failures = []
client = Client(
    os.environ["KEY"],
    host=os.environ["URL"],
    gzip=os.environ["GZIP"] == "true",
    upload_size=5,
    upload_interval=0.05,
    max_retries=10,
    on_error=lambda error, _: failures.append(str(error)),
)


def every():
    device = user_id + "'s device"
    client.track(anonymous_id=device, event="Product Viewed", properties={"sku": "A1"})
    client.identify(user_id, {"plan": "pro", "email": "jane@example.com"})
    client.track(user_id, "Order Completed", {"total": 9})
    client.page(user_id, name="Pricing", properties={"url": "https://shop.example.com/pricing"})
    client.screen(user_id, name="Settings")
    client.group(user_id, user_id + "'s group", {"name": "Acme"})
    client.alias(device, user_id)


def bad():
    for n in (1, 2, 3):
        too_many = {"p%d" % i: i for i in range(501)} if n == 2 else {}
        client.track(user_id, "Counted", {"n": n, **too_many})


def many():
    for n in range(1, int(os.environ["COUNT"]) + 1):
        client.track(user_id, "Counted", {"n": n})
        time.sleep(int(os.environ["PACE_MS"]) / 1000)


def twice():
    client.identify(user_id, {"plan": "old", "name": "Jane"})
    time.sleep(1.5)
    client.identify(user_id, {"plan": "new"})


{"every": every, "bad": bad, "many": many, "twice": twice}[sys.argv[2]]()
client.flush()
print(json.dumps({"failures": failures}))

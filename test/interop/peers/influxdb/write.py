"""Writes through InfluxDB's own client libraries; prints one line of JSON with what they say.

usage: write.py v1|v2|v3 host port token database
"""

import json
import sys

version, host, port, token, database = sys.argv[1:6]
url = f"http://{host}:{port}"
TIME = 1705314600123456789
seen = {}


def points(n):
    return [
        f'interop_{version},client=python,quote=a\\ b value={i}i,text="line {i}\n\\"x\\"",ok=true {TIME + i}'
        for i in range(n)
    ]


if version == "v1":
    from influxdb import InfluxDBClient

    client = InfluxDBClient(host, int(port), "user", token, database)
    seen["ping"] = client.ping()
    client.create_database(database)
    client.write_points(points(100), protocol="line")
    client.write_points(
        [
            {
                "measurement": "interop_v1",
                "tags": {"client": "python", "quote": "c,d=e"},
                "fields": {"value": 1, "ratio": 0.5, "text": "ж"},
                "time": 1705314600,
            }
        ],
        time_precision="s",
    )
    packed = InfluxDBClient(host, int(port), "user", token, database, gzip=True)
    packed.write_points(points(50), protocol="line")
    try:
        client.write_points(["interop_v1,client=python value=7i 1", "bad"], protocol="line")
    except Exception as error:
        seen["bad"] = [error.code, str(error)]
    try:
        InfluxDBClient(host, int(port), "user", "wrong", database).write_points(points(1), protocol="line")
    except Exception as error:
        seen["denied"] = error.code

if version == "v2":
    from influxdb_client import InfluxDBClient, Point, WritePrecision
    from influxdb_client.client.write_api import SYNCHRONOUS, WriteOptions

    with InfluxDBClient(url=url, token=token, org="luna", enable_gzip=True) as client:
        seen["health"] = client.health().status
        seen["ping"] = client.ping()
        seen["version"] = client.version()
        write = client.write_api(write_options=SYNCHRONOUS)
        write.write(bucket=database, record=points(100))
        write.write(
            bucket=database,
            record=Point("interop_v2")
            .tag("client", "python")
            .tag("quote", "c,d=e")
            .field("value", 1)
            .field("ratio", 0.5)
            .time(1705314600, WritePrecision.S),
            write_precision=WritePrecision.S,
        )
        with client.write_api(write_options=WriteOptions(batch_size=20, flush_interval=100)) as batching:
            for line in points(50):
                batching.write(bucket=database, record=line)
        try:
            write.write(bucket=database, record=["interop_v2 value=7i 1", "bad"])
        except Exception as error:
            seen["bad"] = [error.status, error.body if isinstance(error.body, str) else error.body.decode()]
    with InfluxDBClient(url=url, token="wrong", org="luna") as client:
        try:
            client.write_api(write_options=SYNCHRONOUS).write(bucket=database, record=points(1))
        except Exception as error:
            seen["denied"] = error.status

if version == "v3":
    from influxdb_client_3 import InfluxDBClient3, Point

    with InfluxDBClient3(host=url, token=token, database=database) as client:
        seen["version"] = client.get_server_version()
        client.write(points(150))
        client.write(Point("interop_v3").tag("client", "python").tag("quote", "c,d=e").field("value", 1).field("ratio", 0.5))
        try:
            client.write(["interop_v3 value=7i 1", "bad"])
        except Exception as error:
            seen["bad"] = [error.response.status, str(error)]
    with InfluxDBClient3(host=url, token="wrong", database=database) as client:
        try:
            client.write(points(1))
        except Exception as error:
            seen["denied"] = error.response.status

print(json.dumps(seen))

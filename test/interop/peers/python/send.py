"""One failed request, as the Python SDK tells it: a SERVER span with a logged error inside, a counter and a histogram.
Usage: send.py grpc|http <endpoint> <service>"""

import logging
import sys

from opentelemetry import metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

protocol, endpoint, service = sys.argv[1:4]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    def options(_signal):
        return {"endpoint": endpoint, "insecure": True}
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    def options(signal):
        return {"endpoint": f"{endpoint}/v1/{signal}"}


resource = Resource.create({"service.name": service})
traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**options("traces"))))
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**options("logs"))))
reader = PeriodicExportingMetricReader(OTLPMetricExporter(**options("metrics")), 60_000)
meters = MeterProvider(resource=resource, metric_readers=[reader])
logging.getLogger().addHandler(LoggingHandler(logger_provider=logs))

meter = meters.get_meter("shop")
meter.create_counter("interop.orders").add(3, {"shop": "east"})
meter.create_histogram("interop.delay", unit="s").record(0.25, {"shop": "east"})
attributes = {
    "http.request.method": "POST",
    "http.route": "/orders/{id}",
    "http.response.status_code": 400,
    "request_id": "r-bad",
}
tracer = traces.get_tracer("shop")
with tracer.start_as_current_span("POST /orders/{id}", kind=SpanKind.SERVER, attributes=attributes) as span:
    logging.error("an order without an item")
    span.record_exception(ValueError("no item"))
    span.set_status(Status(StatusCode.ERROR, "no item"))
    print(format(span.get_span_context().trace_id, "032x"))
for provider in (traces, logs, meters):
    provider.force_flush()
    provider.shutdown()

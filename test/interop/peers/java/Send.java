import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.exporter.otlp.http.logs.OtlpHttpLogRecordExporter;
import io.opentelemetry.exporter.otlp.http.metrics.OtlpHttpMetricExporter;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.exporter.otlp.logs.OtlpGrpcLogRecordExporter;
import io.opentelemetry.exporter.otlp.metrics.OtlpGrpcMetricExporter;
import io.opentelemetry.exporter.otlp.trace.OtlpGrpcSpanExporter;
import io.opentelemetry.sdk.logs.SdkLoggerProvider;
import io.opentelemetry.sdk.logs.export.BatchLogRecordProcessor;
import io.opentelemetry.sdk.metrics.SdkMeterProvider;
import io.opentelemetry.sdk.metrics.export.PeriodicMetricReader;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import java.util.concurrent.TimeUnit;

/** One failed request, as the Java SDK tells it. Usage: Send grpc|http endpoint service */
public class Send {
  public static void main(String[] args) {
    boolean grpc = args[0].equals("grpc");
    String to = args[1];
    var resource = Resource.getDefault().toBuilder().put("service.name", args[2]).build();
    var traces = SdkTracerProvider.builder().setResource(resource)
        .addSpanProcessor(BatchSpanProcessor.builder(grpc
            ? OtlpGrpcSpanExporter.builder().setEndpoint(to).build()
            : OtlpHttpSpanExporter.builder().setEndpoint(to + "/v1/traces").build()).build()).build();
    var logs = SdkLoggerProvider.builder().setResource(resource)
        .addLogRecordProcessor(BatchLogRecordProcessor.builder(grpc
            ? OtlpGrpcLogRecordExporter.builder().setEndpoint(to).setCompression("gzip").build()
            : OtlpHttpLogRecordExporter.builder().setEndpoint(to + "/v1/logs").setCompression("gzip").build()).build()).build();
    var meters = SdkMeterProvider.builder().setResource(resource)
        .registerMetricReader(PeriodicMetricReader.create(grpc
            ? OtlpGrpcMetricExporter.builder().setEndpoint(to).build()
            : OtlpHttpMetricExporter.builder().setEndpoint(to + "/v1/metrics").build())).build();

    var shop = Attributes.of(AttributeKey.stringKey("shop"), "east");
    var meter = meters.get("shop");
    meter.counterBuilder("interop.orders").build().add(3, shop);
    meter.histogramBuilder("interop.delay").setUnit("s").build().record(0.25, shop);
    var span = traces.get("shop").spanBuilder("POST /orders/{id}").setSpanKind(SpanKind.SERVER)
        .setAttribute("http.request.method", "POST")
        .setAttribute("http.route", "/orders/{id}")
        .setAttribute("http.response.status_code", 400L)
        .setAttribute("request_id", "r-bad")
        .startSpan();
    try (var scope = span.makeCurrent()) {
      logs.get("shop").logRecordBuilder().setSeverity(Severity.ERROR).setSeverityText("ERROR")
          .setBody("an order without an item").emit();
      span.recordException(new IllegalArgumentException("no item"));
      span.setStatus(StatusCode.ERROR, "no item");
    } finally {
      span.end();
    }
    System.out.println(span.getSpanContext().getTraceId());
    traces.shutdown().join(10, TimeUnit.SECONDS);
    logs.shutdown().join(10, TimeUnit.SECONDS);
    meters.shutdown().join(10, TimeUnit.SECONDS);
  }
}

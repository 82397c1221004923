// One failed request, as the Go SDK tells it. Usage: send grpc|http host:port service
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func exporters(ctx context.Context, protocol, to string) (sdktrace.SpanExporter, sdklog.Exporter, sdkmetric.Exporter) {
	if protocol == "grpc" {
		traces, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(to), otlptracegrpc.WithInsecure())
		must(err)
		logs, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(to), otlploggrpc.WithInsecure(), otlploggrpc.WithCompressor("gzip"))
		must(err)
		metrics, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(to), otlpmetricgrpc.WithInsecure())
		must(err)
		return traces, logs, metrics
	}
	traces, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(to), otlptracehttp.WithInsecure(), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	must(err)
	logs, err := otlploghttp.New(ctx, otlploghttp.WithEndpoint(to), otlploghttp.WithInsecure())
	must(err)
	metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(to), otlpmetrichttp.WithInsecure())
	must(err)
	return traces, logs, metrics
}

func main() {
	ctx := context.Background()
	toTraces, toLogs, toMetrics := exporters(ctx, os.Args[1], os.Args[2])
	res := resource.NewSchemaless(attribute.String("service.name", os.Args[3]))
	traces := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(toTraces))
	logs := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(toLogs)))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(toMetrics)))

	shop := metric.WithAttributes(attribute.String("shop", "east"))
	meter := meters.Meter("shop")
	orders, err := meter.Int64Counter("interop.orders")
	must(err)
	orders.Add(ctx, 3, shop)
	delay, err := meter.Float64Histogram("interop.delay")
	must(err)
	delay.Record(ctx, 0.25, shop)

	inside, span := traces.Tracer("shop").Start(ctx, "POST /orders/{id}", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", "POST"),
		attribute.String("http.route", "/orders/{id}"),
		attribute.Int("http.response.status_code", 400),
		attribute.String("request_id", "r-bad"),
	))
	var record log.Record
	record.SetTimestamp(time.Now())
	record.SetSeverity(log.SeverityError)
	record.SetSeverityText("ERROR")
	record.SetBody(attribute.StringValue("an order without an item"))
	logs.Logger("shop").Emit(inside, record)
	span.RecordError(errors.New("no item"))
	span.SetStatus(codes.Error, "no item")
	span.End()
	fmt.Println(span.SpanContext().TraceID())

	must(traces.Shutdown(ctx))
	must(logs.Shutdown(ctx))
	must(meters.Shutdown(ctx))
}

//! Traces by OTLP over HTTP, to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names; without it,
//! none. The other standard `OTEL_…` variables hold too.

use std::collections::HashMap;
use std::sync::OnceLock;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::registry::LookupSpan;

/// The variable without which nothing is sent.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What has spans to send.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Sends the spans from `info` upwards, in batches, by a thread of its own.
pub(super) fn layer<S>() -> Option<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    std::env::var_os(ENDPOINT)?;
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build().ok()?;
    let resource = Resource::builder().with_service_name("specline").build();
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = provider.tracer("specline");
    drop(PROVIDER.set(provider));
    Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(LevelFilter::INFO))
}

/// Makes `span` a part of the trace that `traceparent` names.
pub(super) fn adopt(span: &tracing::Span, traceparent: &str) {
    let header = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    drop(span.set_parent(TraceContextPropagator::new().extract(&header)));
}

/// Sends what waits.
pub(super) fn finish() {
    if let Some(provider) = PROVIDER.get() {
        drop(provider.shutdown());
    }
}

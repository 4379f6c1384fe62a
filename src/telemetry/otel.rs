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

/// Sends the spans from `info` upwards, in batches, by a thread of its own. None where nothing is
/// to be sent.
pub(super) fn layer<S>() -> Result<Option<impl Layer<S>>, String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if std::env::var_os(ENDPOINT).is_none_or(|endpoint| endpoint.is_empty()) {
        return Ok(None);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build();
    let exporter = exporter.map_err(|error| error.to_string())?;
    let resource = Resource::builder().with_service_name("specline").build();
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = provider.tracer("specline");
    drop(PROVIDER.set(provider));
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    Ok(Some(layer.with_filter(LevelFilter::INFO)))
}

/// Makes `span` a part of the trace that `traceparent` names.
pub(super) fn adopt(span: &tracing::Span, traceparent: &str) {
    let header = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    if let Err(error) = span.set_parent(TraceContextPropagator::new().extract(&header)) {
        tracing::debug!(cause = %error, "a request does not join its caller's trace");
    }
}

/// Sends what waits.
pub(super) fn finish() {
    if let Some(provider) = PROVIDER.get() {
        drop(provider.shutdown());
    }
}

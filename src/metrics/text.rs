//! Prometheus's text format, version 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Display;

use super::value::{Counter, Family, Histogram};

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text, as it is written. Every name is begun once.
#[derive(Debug, Default)]
pub struct Text(String);

/// Names and values of a series' labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Text {
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    fn begin(&mut self, kind: &str, name: &str, help: &str) {
        debug_assert!(kind != "counter" || name.ends_with("_total"), "{name} is a counter");
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            self.0.push(if n == 0 { '{' } else { ',' });
            self.0.push_str(&format!("{label}=\"{}\"", escaped(text)));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        self.0.push_str(&format!(" {value}\n"));
    }

    /// What may rise and fall.
    pub fn gauge<'a, V: Display>(
        &mut self,
        (name, help): (&str, &str),
        values: impl IntoIterator<Item = (Labels<'a>, V)>,
    ) {
        self.begin("gauge", name, help);
        for (labels, value) in values {
            self.sample(name, labels, value);
        }
    }

    pub fn counter(&mut self, (name, help): (&str, &str), counter: &Counter) {
        self.begin("counter", name, help);
        self.sample(name, &[], counter.value());
    }

    pub fn counters<const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        labels: [&str; N],
        family: &Family<Counter, N>,
    ) {
        self.begin("counter", name, help);
        for (values, counter) in family.all() {
            self.sample(name, &zip(labels, &values), counter.value());
        }
    }

    /// Counters of millionths of what the name says.
    pub fn counters_of_millionths<const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        labels: [&str; N],
        family: &Family<Counter, N>,
    ) {
        self.begin("counter", name, help);
        for (values, counter) in family.all() {
            let millionths = counter.value();
            let value = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
            self.sample(name, &zip(labels, &values), value);
        }
    }

    pub fn histogram(&mut self, (name, help): (&str, &str), histogram: &Histogram) {
        self.begin("histogram", name, help);
        self.buckets(name, &[], histogram);
    }

    pub fn histograms<const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        labels: [&str; N],
        family: &Family<Histogram, N>,
    ) {
        self.begin("histogram", name, help);
        for (values, histogram) in family.all() {
            self.buckets(name, &zip(labels, &values), &histogram);
        }
    }

    fn buckets(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        let read = histogram.read();
        let bounds = read.bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&read.counts) {
            let with_bound: Vec<_> = labels.iter().copied().chain([("le", &*bound)]).collect();
            self.sample(&format!("{name}_bucket"), &with_bound, count);
        }
        self.sample(&format!("{name}_sum"), labels, read.sum);
        let all = read.counts.last().copied().unwrap_or_default();
        self.sample(&format!("{name}_count"), labels, all);
    }
}

fn zip<'a, const N: usize>(
    names: [&'a str; N],
    values: &'a [String; N],
) -> Vec<(&'a str, &'a str)> {
    names.into_iter().zip(values.iter().map(String::as_str)).collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::{Counter, Family, Histogram, Text};

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        let family: Family<Counter, 1> = Family::new(Counter::default);
        family.of(["a \"b\"\\\n"]).add(2);
        let sizes = Histogram::of_sizes();
        sizes.observe(3);
        let mut text = Text::default();
        text.counters(("x_total", "How often."), ["why"], &family);
        text.histogram(("n", "How many."), &sizes);
        text.gauge(("up", "Whether."), [(&[("v", "1")][..], 1)]);
        let text = text.into_string();
        let begin = "# HELP x_total How often.\n# TYPE x_total counter\n\
                     x_total{why=\"a \\\"b\\\"\\\\\\n\"} 2\n\
                     # HELP n How many.\n# TYPE n histogram\n\
                     n_bucket{le=\"1\"} 0\nn_bucket{le=\"2\"} 0\nn_bucket{le=\"4\"} 1\n";
        assert!(text.starts_with(begin), "{text}");
        let end = "n_bucket{le=\"+Inf\"} 1\nn_sum 3\nn_count 1\n# HELP up Whether.\n\
                   # TYPE up gauge\nup{v=\"1\"} 1\n";
        assert!(text.ends_with(end), "{text}");
    }
}

//! One operation of the API, as its documentation needs it. Method, path and what a caller needs
//! stand in `needs`; here is what goes in and what comes out.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Puts a type's schema where it belongs, and answers with a reference to it.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What comes out.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub json: Option<SchemaOf>,
    /// Text of these kinds.
    pub text: &'static [&'static str],
    /// What a line of such text holds, where it holds JSON.
    pub line: Option<SchemaOf>,
    /// A status other than that of success which is no problem document.
    pub other: Option<(u16, SchemaOf)>,
}

/// A header that this operation reads, with what it means and the form that it has.
pub(super) type Header = (&'static str, &'static str, &'static str);

#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub query: Option<SchemaOf>,
    pub body: Option<SchemaOf>,
    pub status: u16,
    pub answer: Answer,
    /// Whether it takes `If-Match`.
    pub conditional: bool,
    pub header: Option<Header>,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn inline<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

impl Operation {
    const fn new(
        (method, path): (&'static str, &'static str),
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let answer = Answer { json: None, text: &[], line: None, other: None };
        let (query, body, header) = (None, None, None);
        let (status, conditional) = (200, false);
        Self { method, path, id, summary, query, body, status, answer, conditional, header }
    }

    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(inline::<T>);
        self
    }

    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(of::<T>);
        self
    }

    pub fn gives<T: JsonSchema>(mut self) -> Self {
        self.answer.json = Some(of::<T>);
        self
    }

    pub const fn gives_schema(mut self, schema: SchemaOf) -> Self {
        self.answer.json = Some(schema);
        self
    }

    pub const fn text(mut self, kinds: &'static [&'static str]) -> Self {
        self.answer.text = kinds;
        self
    }

    /// Each line of the text holds a `T`.
    pub fn lines<T: JsonSchema>(mut self, kinds: &'static [&'static str]) -> Self {
        self.answer.text = kinds;
        self.answer.line = Some(of::<T>);
        self
    }

    pub fn or<T: JsonSchema>(mut self, status: u16) -> Self {
        self.answer.other = Some((status, of::<T>));
        self
    }

    pub const fn reads(mut self, header: Header) -> Self {
        self.header = Some(header);
        self
    }

    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub const fn conditional(mut self) -> Self {
        self.conditional = true;
        self
    }
}

pub(super) const fn get(path: &'static str, id: &'static str, what: &'static str) -> Operation {
    Operation::new(("GET", path), id, what)
}

pub(super) const fn post(path: &'static str, id: &'static str, what: &'static str) -> Operation {
    Operation::new(("POST", path), id, what)
}

pub(super) const fn patch(path: &'static str, id: &'static str, what: &'static str) -> Operation {
    Operation::new(("PATCH", path), id, what)
}

//! One operation of the API, as its documentation needs it. Method, path and what a caller needs
//! stand in `needs`; here is what goes in and what comes out.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Puts a type's schema where it belongs, and answers with a reference to it.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What comes out.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Json(SchemaOf),
    /// Text of these kinds.
    Text(&'static [&'static str]),
}

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
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn inline<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object" })
}

impl Operation {
    const fn new(
        (method, path): (&'static str, &'static str),
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let answer = Answer::Json(anything);
        let (query, body) = (None, None);
        Self { method, path, id, summary, query, body, status: 200, answer, conditional: false }
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
        self.answer = Answer::Json(of::<T>);
        self
    }

    pub const fn text(mut self, kinds: &'static [&'static str]) -> Self {
        self.answer = Answer::Text(kinds);
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

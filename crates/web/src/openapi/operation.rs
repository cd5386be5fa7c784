//! What an operation of the API says of itself, beside its route: what it reads, what it answers, how it refuses.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{Refusal, refusal};

/// A struct as JSON Schema, asked of the generator of its direction.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// One method of one path.
pub(crate) struct Operation {
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) origin: Origin,
    pub(super) key: Key,
    pub(super) query: Option<Shape>,
    pub(super) headers: Vec<Header>,
    pub(super) body: Option<Shape>,
    pub(super) answers: Vec<Answer>,
    pub(super) refusals: Vec<Refusal>,
}

/// What the `Origin` header is to an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// It lets the pages of that origin read the answer, and nothing more.
    Names,
    /// If there is one, some tenant lists it.
    Listed,
    /// There is one, and some tenant lists it.
    Required,
}

/// What a call-back's key is to an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    None,
    /// It stands for the page's token.
    Instead,
    /// Or a bearer token of staff.
    Required,
    /// A bearer token of staff stands for the page's.
    StaffInstead,
    /// A bearer token of staff, and nothing else.
    Staff,
}

/// A header that is read.
pub(super) struct Header {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: serde_json::Value,
}

/// An answer that is no refusal.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) content: Content,
}

/// The body of an answer.
pub(super) enum Content {
    None,
    Json(Shape),
    /// This text, by its media type.
    Text(&'static str),
    /// Server-sent events of this name; the data of each is JSON.
    Events(&'static str, Shape),
    /// This document itself.
    OpenApi,
}

impl Operation {
    pub(crate) fn new(id: &'static str, summary: &'static str, description: &'static str) -> Self {
        Self {
            id,
            summary,
            description,
            origin: Origin::Names,
            key: Key::None,
            query: None,
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: refusal::ANYWHERE.to_vec(),
        }
    }

    /// Only pages of a listed origin may ask.
    pub(crate) fn of_a_page(mut self) -> Self {
        self.origin = Origin::Required;
        self.refuses(refusal::PAGE)
    }

    /// Pages of a listed origin, our own pages, and what is no browser.
    pub(crate) fn of_a_reader(mut self) -> Self {
        self.origin = Origin::Listed;
        self.refuses(refusal::READER)
    }

    /// Whoever has the call-back's key.
    pub(crate) fn of_the_key(mut self) -> Self {
        self.key = Key::Required;
        self.refuses(refusal::KEY)
    }

    /// A page with a token, or an agent or administrator with a bearer token.
    pub(crate) fn of_a_page_or_staff(mut self) -> Self {
        self.key = Key::StaffInstead;
        self.refuses(refusal::PAGE).refuses(refusal::STAFF)
    }

    /// An agent or administrator with a bearer token.
    pub(crate) fn of_staff(mut self) -> Self {
        self.key = Key::Staff;
        self.refuses(refusal::STAFF)
    }

    /// A page with a token, or whoever has a call-back's key.
    pub(crate) fn of_a_page_or_the_key(mut self) -> Self {
        self.key = Key::Instead;
        self.refuses(refusal::PAGE).refuses(refusal::KEY)
    }

    pub(crate) fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(T::json_schema);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, description: &'static str, schema: serde_json::Value) -> Self {
        self.headers.push(Header { name, description, schema });
        self
    }

    pub(crate) fn reads<T: JsonSchema>(mut self) -> Self {
        self.body = Some(SchemaGenerator::subschema_for::<T>);
        self.refuses(refusal::BODY)
    }

    /// One body of a visitor, another of staff.
    pub(crate) fn reads_either<A: JsonSchema, B: JsonSchema>(mut self) -> Self {
        self.body = Some(either::<A, B>);
        self.refuses(refusal::BODY)
    }

    /// One answer for a visitor, another for staff.
    pub(crate) fn writes_either<A: JsonSchema, B: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.answers(status, description, Content::Json(either::<A, B>))
    }

    pub(crate) fn writes<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.answers(status, description, Content::Json(SchemaGenerator::subschema_for::<T>))
    }

    pub(crate) fn writes_text(self, media_type: &'static str, description: &'static str) -> Self {
        self.answers(200, description, Content::Text(media_type))
    }

    pub(crate) fn writes_events<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.answers(200, description, Content::Events(name, SchemaGenerator::subschema_for::<T>))
    }

    pub(crate) fn writes_openapi(self, description: &'static str) -> Self {
        self.answers(200, description, Content::OpenApi)
    }

    pub(crate) fn writes_nothing(self, status: u16, description: &'static str) -> Self {
        self.answers(status, description, Content::None)
    }

    fn answers(mut self, status: u16, description: &'static str, content: Content) -> Self {
        self.answers.push(Answer { status, description, headers: Vec::new(), content });
        self
    }

    /// A header that comes with every answer so far.
    pub(crate) fn with_header(mut self, name: &'static str, description: &'static str) -> Self {
        for answer in &mut self.answers {
            answer.headers.push((name, description));
        }
        self
    }

    pub(crate) fn refuses(mut self, refusals: &[Refusal]) -> Self {
        for refusal in refusals {
            if !self.refusals.contains(refusal) {
                self.refusals.push(*refusal);
            }
        }
        self
    }
}

fn either<A: JsonSchema, B: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"anyOf": [generator.subschema_for::<A>(), generator.subschema_for::<B>()]})
}

//! Those who work with call-backs, agents and administrators: what they ask of the book, and what they see of it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::callback::AttemptView;
use crate::sentence::callback_states;

pub(crate) mod api;
pub(crate) mod bearers;
pub(crate) mod queues;
pub(crate) mod reload;

/// Who works with the book. His bearer is good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Staff {
    /// Whoever has the administrator's token: every tenant, every queue.
    Admin,
    /// An agent by his extension: the tenants he serves.
    Agent(String),
}

impl Staff {
    /// As the notes name him.
    pub fn name(&self) -> &str {
        match self {
            Self::Admin => "admin",
            Self::Agent(extension) => extension,
        }
    }
}

/// Which call-backs somebody wants to see.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StaffQuery {
    /// Only of this tenant; empty for all that are his.
    pub tenant: String,
    /// Only of this queue; empty for all.
    pub queue: String,
    /// At most so many.
    pub limit: usize,
    /// Go on from here: `next` of the answer before; empty from the first.
    pub from: String,
}

/// A call-back made for a customer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StaffAsk {
    /// Whose.
    pub tenant: String,
    /// Which queue.
    pub queue: String,
    /// The number as typed.
    pub number: String,
    /// Which country a number without a plus is of.
    pub country: Option<String>,
    /// `asap`, or a date and time.
    pub when: String,
    /// The customer's time zone; empty for the site's.
    pub tz: String,
    /// The customer's language.
    pub lang: String,
    /// Where he is written to, as typed.
    pub email: Option<String>,
    /// Why he is called.
    pub purpose: String,
    /// When and how he agreed to be called.
    pub consent_note: String,
    /// What else is to be known.
    pub note: String,
    /// His rank.
    pub priority: u8,
    /// The agent who is to call, if he is free.
    pub agent: Option<String>,
    /// The `Idempotency-Key`.
    pub request_key: Option<String>,
}

/// What is done to a call-back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StaffAct {
    /// Another moment, queue, agent or rank; only what is said changes.
    Edit {
        /// `asap`, or a date and time.
        when: Option<String>,
        /// The zone of a moment without an offset.
        tz: String,
        /// Another queue of the same tenant.
        queue: Option<String>,
        /// The agent who is to call; empty for nobody in particular.
        agent: Option<String>,
        /// His rank.
        priority: Option<u8>,
    },
    /// Called off.
    Cancel,
    /// The agent who asks will call.
    Accept,
    /// He will not: it is nobody's again.
    Decline,
    /// So many minutes later.
    Snooze(u32),
    /// The customer was spoken to.
    Complete(String),
}

/// What is done to all the call-backs of a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueueAct {
    /// Nobody is called until it is resumed.
    Pause,
    /// It calls again.
    Resume,
    /// Every call-back that can be called off is.
    Cancel,
    /// Every call-back that waits is so many minutes later.
    Shift(u32),
}

/// What is done to a queue, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueueAsk {
    /// Whose; empty when only one tenant has such a queue.
    pub tenant: String,
    /// Which.
    pub queue: String,
    /// What.
    pub act: QueueAct,
    /// Why.
    pub note: String,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Go on from here: `next` of the answer before.
    pub from: Option<String>,
}

/// What was done to a queue.
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "QueueDone")]
pub struct QueueDone {
    /// Whose.
    pub tenant: String,
    /// Which.
    pub queue: String,
    /// Whether it is paused now.
    pub paused: bool,
    /// Call-backs that were changed; of a dry run, that would be.
    pub touched: u64,
    /// Open ones that were left as they are: they are being called, or somebody changed them first.
    pub left_alone: u64,
    /// There are more: ask again with this as `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What became of a reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// The gateway goes by the file as it is now.
    Applied,
    /// It was only asked what would change, and it could.
    DryRun,
    /// Nothing was changed; `why` says why.
    Refused,
}

/// What a reload changed, or would.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Reloaded")]
pub struct ReloadView {
    /// What became of it: the file is in force; it could be; or nothing was changed, and `why` says why.
    #[schemars(with = "String", extend("enum" = ["applied", "dry_run", "refused"]))]
    pub outcome: ReloadOutcome,
    /// The difference, a line for each table of the file: `+` new, `-` gone, `~` changed. No secret is in it.
    pub changes: Vec<String>,
    /// Of one that is refused: each mistake with line and column, or the keys that need a restart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// The open call-backs, in the order in which they are called.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "StaffList")]
pub struct StaffList {
    /// First those that are being called, then those whose turn comes, then those that wait for their time.
    pub callbacks: Vec<StaffView>,
    /// There are more than are shown.
    pub more: bool,
    /// Where they go on: to be said as `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The queues that call back.
    pub queues: Vec<QueueView>,
    /// The time here.
    #[schemars(extend("format" = "date-time"))]
    pub now: String,
}

/// A queue that calls back.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "StaffQueue")]
pub struct QueueView {
    /// Whose.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// Nobody is called until it is resumed.
    pub paused: bool,
    /// Why, and who said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_note: Option<String>,
    /// The agents who serve it: extension and name.
    pub agents: Vec<AgentName>,
    /// Open call-backs, as far as they were counted.
    pub open: u64,
}

/// An agent.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "StaffAgent")]
pub struct AgentName {
    /// His extension.
    pub extension: String,
    /// His name.
    pub name: String,
}

/// A call-back as those who work with it see it.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "StaffCallback")]
pub struct StaffView {
    /// Its id.
    pub id: String,
    /// Whose site.
    pub tenant: String,
    /// Which queue.
    pub queue: String,
    /// Where it stands.
    #[schemars(extend("enum" = callback_states()))]
    pub state: &'static str,
    /// By whom it was cancelled, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
    /// The number, in international form.
    #[schemars(example = "+33 6 12 34 56 78")]
    pub number: String,
    /// As soon as possible.
    pub asap: bool,
    /// When it was asked for.
    #[schemars(extend("format" = "date-time"))]
    pub asked_at: String,
    /// The promised moment.
    #[schemars(extend("format" = "date-time"))]
    pub promised_at: String,
    /// When the next try is made, while it waits for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub due_at: Option<String>,
    /// The zone of these times: the site's.
    #[schemars(example = "Europe/Paris")]
    pub zone: String,
    /// The customer's zone, if it is known.
    pub tz: String,
    /// The customer's language tag (RFC 5646).
    pub lang: String,
    /// His rank: 0 is everybody's.
    #[schemars(range(max = 9))]
    pub priority: u8,
    /// Who he is, as the shop's server signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// `requested` by himself, or a `follow-up` of the company.
    #[schemars(extend("enum" = ["requested", "follow-up"]))]
    pub purpose: &'static str,
    /// The agent who is to call, if he is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The agent who is asked, or talks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// How it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// Address of the page he asked from; untrusted.
    pub page_url: String,
    /// Title of that page; untrusted.
    pub page_title: String,
    /// What was tried.
    pub attempts: Vec<AttemptView>,
    /// Who did what, oldest first.
    pub notes: Vec<NoteView>,
    /// It may be called off.
    pub can_cancel: bool,
    /// It may be moved, handed on and ranked.
    pub can_change: bool,
    /// It may be closed.
    pub can_complete: bool,
    /// Grows with each change.
    pub sequence: u64,
}

/// What somebody did to a call-back.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "StaffNote")]
pub struct NoteView {
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Who: `admin`, or an agent's extension.
    pub by: String,
    /// What was done.
    #[schemars(extend("enum" = Self::DEEDS))]
    pub deed: &'static str,
    /// What he wrote.
    pub text: String,
}

impl NoteView {
    /// Every `deed` there is.
    pub const DEEDS: &'static [&'static str] =
        &["created", "moved", "cancelled", "handed", "assigned", "ranked", "completed", "noted"];
}

//! Stored rows: versioned JSON, converted by hand from and to the records of `call`.
//!
//! A reader takes rows of its own and of older versions; unknown fields are let be, so that an older
//! program can read what a newer one of the same version added.

use call::{
    CallId, CallRecord, CallTags, HangupCause, LegId, LegKind, LegQuality, LegRecord, Party, QueueId, TagsDraft,
    Talked, TenantId, TrunkId,
};
use serde::{Deserialize, Serialize};

use crate::OpenCall;

/// The version written now.
pub(crate) const VERSION: u32 = 1;

/// Why a stored row cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unreadable(pub(crate) String);

#[derive(Deserialize, Serialize)]
struct OpenRow {
    id: String,
    tags: TagsRow,
    started_unix_ms: u64,
    first: LegKindRow,
}

#[derive(Deserialize, Serialize)]
struct RecordRow {
    id: String,
    tenant: String,
    queue: String,
    tags: TagsRow,
    started_unix_ms: u64,
    ringing_unix_ms: Option<u64>,
    answered_unix_ms: Option<u64>,
    ended_unix_ms: u64,
    wait_ms: u64,
    talk_ms: u64,
    hung_up_by: String,
    cause: String,
    legs: Vec<LegRow>,
    interrupted: bool,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct TagsRow {
    tag: String,
    tenant: String,
    queue: String,
    session: String,
    page_url: String,
    page_title: String,
    referrer: Option<String>,
    language: String,
    made_at_unix_ms: u64,
}

#[derive(Deserialize, Serialize)]
struct LegRow {
    leg: u8,
    kind: LegKindRow,
    codec: Option<String>,
    cause: Option<String>,
    loss_in: Option<f32>,
    loss_out: Option<f32>,
    jitter_in_ms: Option<f32>,
    jitter_out_ms: Option<f32>,
    rtt_ms: Option<f32>,
    mos: Option<f32>,
    packets_in: u64,
    packets_out: u64,
    /// Since when and until when it talked, Unix milliseconds; rows of older programs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    talked: Option<(u64, u64)>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum LegKindRow {
    Browser,
    Agent { extension: String },
    Trunk { trunk: String, uri: String },
}

/// The row of a call that has started.
pub(crate) fn encode_open(call: &OpenCall) -> Result<String, Unreadable> {
    let row = OpenRow {
        id: call.id.to_string(),
        tags: TagsRow::of(&call.tags),
        started_unix_ms: call.started_unix_ms,
        first: LegKindRow::of(&call.first),
    };
    serde_json::to_string(&row).map_err(|error| Unreadable(error.to_string()))
}

/// The row of a call that has ended.
pub(crate) fn encode_record(record: &CallRecord) -> Result<String, Unreadable> {
    let row = RecordRow {
        id: record.id.to_string(),
        tenant: record.tenant.0.clone(),
        queue: record.queue.0.clone(),
        tags: TagsRow::of(&record.tags),
        started_unix_ms: record.started_unix_ms,
        ringing_unix_ms: record.ringing_unix_ms,
        answered_unix_ms: record.answered_unix_ms,
        ended_unix_ms: record.ended_unix_ms,
        wait_ms: record.wait_ms,
        talk_ms: record.talk_ms,
        hung_up_by: record.hung_up_by.code().to_owned(),
        cause: record.cause.code().to_owned(),
        legs: record.legs.iter().map(LegRow::of).collect(),
        interrupted: record.interrupted,
    };
    serde_json::to_string(&row).map_err(|error| Unreadable(error.to_string()))
}

/// Reads the row of a call that has started.
pub(crate) fn decode_open(version: u32, row: &str) -> Result<OpenCall, Unreadable> {
    let row: OpenRow = parse(version, row)?;
    Ok(OpenCall {
        id: parse_id(&row.id)?,
        tags: row.tags.tags()?,
        started_unix_ms: row.started_unix_ms,
        first: row.first.kind(),
    })
}

/// Reads the row of a call that has ended.
pub(crate) fn decode_record(version: u32, row: &str) -> Result<CallRecord, Unreadable> {
    let row: RecordRow = parse(version, row)?;
    Ok(CallRecord {
        id: parse_id(&row.id)?,
        tenant: TenantId(row.tenant),
        queue: QueueId(row.queue),
        tags: row.tags.tags()?,
        started_unix_ms: row.started_unix_ms,
        ringing_unix_ms: row.ringing_unix_ms,
        answered_unix_ms: row.answered_unix_ms,
        ended_unix_ms: row.ended_unix_ms,
        wait_ms: row.wait_ms,
        talk_ms: row.talk_ms,
        hung_up_by: Party::from_code(&row.hung_up_by).ok_or_else(|| unknown("party", &row.hung_up_by))?,
        cause: parse_cause(&row.cause)?,
        legs: row.legs.into_iter().map(LegRow::record).collect::<Result<_, _>>()?,
        interrupted: row.interrupted,
    })
}

fn parse<'a, Row: Deserialize<'a>>(version: u32, row: &'a str) -> Result<Row, Unreadable> {
    if version != VERSION {
        return Err(Unreadable(format!("row version {version}, known is {VERSION}")));
    }
    serde_json::from_str(row).map_err(|error| Unreadable(error.to_string()))
}

fn parse_id(text: &str) -> Result<CallId, Unreadable> {
    text.parse().map_err(|_| unknown("call id", text))
}

fn parse_cause(code: &str) -> Result<HangupCause, Unreadable> {
    HangupCause::from_code(code).ok_or_else(|| unknown("cause", code))
}

pub(crate) fn unknown(what: &str, text: &str) -> Unreadable {
    Unreadable(format!("no {what} is written \"{text}\""))
}

impl TagsRow {
    pub(crate) fn of(tags: &CallTags) -> Self {
        Self {
            tag: tags.tag_hex(),
            tenant: tags.tenant.0.clone(),
            queue: tags.queue.0.clone(),
            session: tags.session.clone(),
            page_url: tags.page_url.clone(),
            page_title: tags.page_title.clone(),
            referrer: tags.referrer.clone(),
            language: tags.language.clone(),
            made_at_unix_ms: tags.made_at_unix_ms,
        }
    }

    pub(crate) fn tags(self) -> Result<CallTags, Unreadable> {
        let tag: CallId = self.tag.parse().map_err(|_| unknown("tag", &self.tag))?;
        Ok(CallTags::new(TagsDraft {
            tag: tag.bits().to_be_bytes(),
            tenant: TenantId(self.tenant),
            queue: QueueId(self.queue),
            session: self.session,
            page_url: self.page_url,
            page_title: self.page_title,
            referrer: self.referrer,
            language: self.language,
            made_at_unix_ms: self.made_at_unix_ms,
        }))
    }
}

impl LegRow {
    fn of(leg: &LegRecord) -> Self {
        let quality = leg.quality;
        Self {
            leg: leg.id.0,
            kind: LegKindRow::of(&leg.kind),
            codec: leg.codec.clone(),
            cause: leg.cause.map(|cause| cause.code().to_owned()),
            loss_in: quality.loss_in,
            loss_out: quality.loss_out,
            jitter_in_ms: quality.jitter_in_ms,
            jitter_out_ms: quality.jitter_out_ms,
            rtt_ms: quality.rtt_ms,
            mos: quality.mos,
            packets_in: quality.packets_in,
            packets_out: quality.packets_out,
            talked: leg.talked.map(|talked| (talked.from_unix_ms, talked.until_unix_ms)),
        }
    }

    fn record(self) -> Result<LegRecord, Unreadable> {
        Ok(LegRecord {
            id: LegId(self.leg),
            kind: self.kind.kind(),
            codec: self.codec,
            quality: LegQuality {
                loss_in: self.loss_in,
                loss_out: self.loss_out,
                jitter_in_ms: self.jitter_in_ms,
                jitter_out_ms: self.jitter_out_ms,
                rtt_ms: self.rtt_ms,
                mos: self.mos,
                packets_in: self.packets_in,
                packets_out: self.packets_out,
            },
            cause: self.cause.as_deref().map(parse_cause).transpose()?,
            talked: self.talked.map(|(from_unix_ms, until_unix_ms)| Talked { from_unix_ms, until_unix_ms }),
        })
    }
}

impl LegKindRow {
    fn of(kind: &LegKind) -> Self {
        match kind {
            LegKind::Browser => Self::Browser,
            LegKind::Agent { extension } => Self::Agent { extension: extension.clone() },
            LegKind::Trunk { trunk, uri } => Self::Trunk { trunk: trunk.0.clone(), uri: uri.clone() },
        }
    }

    fn kind(self) -> LegKind {
        match self {
            Self::Browser => LegKind::Browser,
            Self::Agent { extension } => LegKind::Agent { extension },
            Self::Trunk { trunk, uri } => LegKind::Trunk { trunk: TrunkId(trunk), uri },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{open_call, record};

    #[test]
    fn rows_read_back_as_written() {
        let ended = record(7, 1_000);
        assert_eq!(decode_record(VERSION, &encode_record(&ended).unwrap()), Ok(ended));
        let open = open_call(7, 1_000);
        assert_eq!(decode_open(VERSION, &encode_open(&open).unwrap()), Ok(open));
    }

    /// A row as the first release wrote it: whoever changes the rows must still read it, or raise
    /// `VERSION` and keep a reader for 1.
    #[test]
    fn a_row_of_version_1_is_read() {
        let row = include_str!("../tests/data/record_v1.json");
        let read = decode_record(1, row).unwrap();
        assert_eq!(read, record(7, 1_000));
        let written: serde_json::Value = serde_json::from_str(&encode_record(&read).unwrap()).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(row).unwrap());
    }

    #[test]
    fn who_talked_when_reads_back() {
        let mut ended = record(7, 1_000);
        ended.legs[2].talked = Some(Talked { from_unix_ms: 6_000, until_unix_ms: 67_000 });
        assert_eq!(decode_record(VERSION, &encode_record(&ended).unwrap()), Ok(ended));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let row = encode_record(&record(7, 1_000)).unwrap();
        let why = |version, row: &str| decode_record(version, row).unwrap_err().0;
        assert_eq!(why(99, &row), "row version 99, known is 1");
        assert_eq!(why(1, &row.replace("\"busy\"", "\"bored\"")), "no cause is written \"bored\"");
        assert!(why(1, "{").starts_with("EOF"));
    }
}

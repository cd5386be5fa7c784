//! JSON in fewer bytes: MessagePack, of which a row needs numbers, texts, lists and maps; 32 hexadecimal digits are the 16
//! bytes they stand for. Any MessagePack reader shows a row.

use serde_json::{Map, Value};

/// Deeper than any row: what is deeper was not written here.
const DEPTH_MAX: usize = 16;
/// Bytes that 32 digits stand for.
const ID_BYTES: usize = 16;

// The first byte of each kind, by the MessagePack specification.
const NIL: u8 = 0xc0;
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;
const BIN_8: u8 = 0xc4;
const FLOAT_64: u8 = 0xcb;
const UINT_64: u8 = 0xcf;
const INT_64: u8 = 0xd3;
const STR_8: u8 = 0xd9;
const STR_32: u8 = 0xdb;
const ARRAY_32: u8 = 0xdd;
const MAP_32: u8 = 0xdf;

/// Writes a value at the end of `out`.
pub(super) fn pack(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NIL),
        Value::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Value::Number(number) => pack_number(number, out),
        Value::String(text) => pack_text(text, out),
        Value::Array(all) => {
            pack_length(all.len(), (0x90, 15), ARRAY_32, out);
            all.iter().for_each(|one| pack(one, out));
        }
        Value::Object(fields) => {
            pack_length(fields.len(), (0x80, 15), MAP_32, out);
            for (name, value) in fields {
                pack_text(name, out);
                pack(value, out);
            }
        }
    }
}

fn pack_number(number: &serde_json::Number, out: &mut Vec<u8>) {
    match (number.as_u64(), number.as_i64()) {
        (Some(few @ 0..=0x7f), _) => out.extend(few.to_be_bytes().last()),
        (Some(many), _) => tagged(UINT_64, &many.to_be_bytes(), out),
        (None, Some(below)) => tagged(INT_64, &below.to_be_bytes(), out),
        (None, None) => tagged(FLOAT_64, &number.as_f64().unwrap_or_default().to_be_bytes(), out),
    }
}

fn pack_text(text: &str, out: &mut Vec<u8>) {
    if let Some(id) = digits(text) {
        out.extend([BIN_8, ID_BYTES as u8]);
        out.extend(id);
        return;
    }
    match u8::try_from(text.len()) {
        Ok(length @ 32..) => out.extend([STR_8, length]),
        Ok(_) | Err(_) => pack_length(text.len(), (0xa0, 31), STR_32, out),
    }
    out.extend(text.as_bytes());
}

/// In the first byte where it fits, else in four more.
fn pack_length(length: usize, (short, most): (u8, u8), long: u8, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(length) if length <= most => out.push(short | length),
        Ok(_) | Err(_) => tagged(long, &u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes(), out),
    }
}

fn tagged(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend(bytes);
}

/// What 32 digits stand for, if they are written as a program writes them.
fn digits(text: &str) -> Option<[u8; ID_BYTES]> {
    let is_digit = |octet: u8| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet);
    let is_id = text.len() == 2 * ID_BYTES && text.bytes().all(is_digit);
    is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

/// Reads what was written; nothing when it was not.
pub(super) fn unpack(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let value = value(&mut rest, 0)?;
    rest.is_empty().then_some(value)
}

fn value(rest: &mut &[u8], depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let kind = taken::<1>(rest)?[0];
    Some(match kind {
        0x00..=0x7f => Value::from(kind),
        0x80..=0x8f => map(usize::from(kind & 0x0f), rest, depth)?,
        MAP_32 => map(length(rest)?, rest, depth)?,
        0x90..=0x9f => list(usize::from(kind & 0x0f), rest, depth)?,
        ARRAY_32 => list(length(rest)?, rest, depth)?,
        0xa0..=0xbf => Value::from(text(usize::from(kind & 0x1f), rest)?),
        STR_8 => {
            let length = taken::<1>(rest)?[0];
            Value::from(text(usize::from(length), rest)?)
        }
        STR_32 => Value::from(text(length(rest)?, rest)?),
        BIN_8 if usize::from(taken::<1>(rest)?[0]) == ID_BYTES => {
            Value::from(format!("{:032x}", u128::from_be_bytes(taken(rest)?)))
        }
        NIL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        UINT_64 => Value::from(u64::from_be_bytes(taken(rest)?)),
        INT_64 => Value::from(i64::from_be_bytes(taken(rest)?)),
        FLOAT_64 => Value::from(f64::from_be_bytes(taken(rest)?)),
        _ => return None,
    })
}

fn map(length: usize, rest: &mut &[u8], depth: usize) -> Option<Value> {
    let mut fields = Map::new();
    for _ in 0..length {
        let Value::String(name) = value(rest, depth + 1)? else { return None };
        fields.insert(name, value(rest, depth + 1)?);
    }
    Some(Value::Object(fields))
}

fn list(length: usize, rest: &mut &[u8], depth: usize) -> Option<Value> {
    (0..length).map(|_| value(rest, depth + 1)).collect::<Option<Vec<_>>>().map(Value::Array)
}

fn text(length: usize, rest: &mut &[u8]) -> Option<String> {
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(taken(rest)?)).ok()
}

fn taken<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn packed(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        pack(value, &mut out);
        out
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let id = "00112233445566778899aabbccddeeff";
        let many: Vec<_> = (0..40).collect();
        let row = json!({
            "none": null, "yes": true, "no": false, "few": 127, "more": 128, "most": u64::MAX, "below": -1,
            "half": 0.5, "id": id, "capitals": id.to_uppercase(), "31": "x".repeat(31), "32": "é".repeat(16),
            "255": "x".repeat(255), "256": "x".repeat(256), "empty": ["", [], {}], "many": many, "key": {id: id},
        });
        let bytes = packed(&row);
        assert_eq!(unpack(&bytes), Some(row));
        for end in 0..bytes.len() {
            assert_eq!(unpack(&bytes[..end]), None, "torn at {end}");
        }
        assert_eq!(unpack(&[bytes.as_slice(), &[NIL]].concat()), None, "something follows");
        // A length that nothing follows, a name that is a number, a text that is none, bytes that are no id.
        for wrong in [&[ARRAY_32, 0xff, 0xff, 0xff, 0xff][..], &[0x81, 1, 1], &[0xa1, 0xff], &[BIN_8, 1, 0], &[0xc1]] {
            assert_eq!(unpack(wrong), None, "{wrong:x?}");
        }
        assert_eq!(unpack(&[0x91; 64]), None, "too deep");
    }

    #[test]
    fn the_bytes_are_message_pack() {
        // The example of msgpack.org.
        assert_eq!(packed(&json!({"compact": true, "schema": 0})), b"\x82\xa7compact\xc3\xa6schema\x00");
        assert_eq!(packed(&json!("0".repeat(32))), [&[BIN_8, 16][..], &[0; 16]].concat());
    }
}

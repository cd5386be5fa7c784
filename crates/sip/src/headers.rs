//! Tags on the wire: User-to-User (RFC 7433), display names, and cleaning of text that comes from a page.

/// The value of a User-to-User header: id and MAC in hex, `;encoding=hex`.
pub fn user_to_user(id: &[u8; 16], key: &[u8]) -> String {
    todo!("{id:?} {key:?}")
}

/// The id of a User-to-User value, where its MAC is right.
pub fn open_user_to_user(value: &str, key: &[u8]) -> Option<[u8; 16]> {
    todo!("{value:?} {key:?}")
}

/// Text that may stand in a header: controls out, cut on a character boundary.
pub fn clean(text: &str, max_bytes: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > max_bytes {
            break;
        }
        out.push(c);
    }
    out
}

/// Text as a quoted string for a display name.
pub fn display_name(text: &str) -> String {
    crate::values::quote(&clean(text, 256))
}

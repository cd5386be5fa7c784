//! Bounds on a JSON text before it is parsed: depth and members, counted in one pass without memory.

use super::Fault;

/// Our deepest message has three levels.
const MAX_DEPTH: usize = 16;
/// Our widest message has fewer than twenty members.
const MAX_MEMBERS: usize = 256;

/// Refuses a text that is nested too deep or has too many members. Says nothing about whether it is JSON.
pub(super) fn check(text: &str) -> Result<(), Fault> {
    let (mut depth, mut members) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => members += 1,
            _ => {}
        }
        if depth > MAX_DEPTH || members > MAX_MEMBERS {
            return Err(Fault::Shape);
        }
    }
    Ok(())
}

//! The value of a call-back: what the scripts must know stands before the row, at places of its own (`lua/kept.lua`).
//!
//! ```text
//! │ 0 │ change, 8 │                          nobody holds it   │ manage, 16 │ request, 12 │ length, 2 │ queue │ row … │
//! │ 1 │ change, 8 │ until, 8 │ node, 16 │    somebody does                                       numbers: big-endian
//! ```
//! `request` is what the index of requests says of it (keys.rs), zeros when there is none.

use desk::CallbackId;

use super::keys::Spot;
use super::row;
use crate::record::Unreadable;
use crate::{KeptCallback, Lease, NodeId};

/// What stands in a value, but for the parts that lead to others.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    pub(super) change: u64,
    pub(super) lease: Option<Lease>,
    pub(super) manage: u128,
    pub(super) request: Option<Spot>,
    row: &'a [u8],
}

impl<'a> Kept<'a> {
    /// Nothing when it is torn.
    pub(super) fn read(mut value: &'a [u8]) -> Option<Self> {
        let rest = &mut value;
        let held = taken::<1>(rest)?;
        let change = u64::from_be_bytes(taken(rest)?);
        let lease = match held {
            [0] => None,
            [1] => {
                let until_unix_ms = u64::from_be_bytes(taken(rest)?);
                Some(Lease { node: NodeId(u128::from_be_bytes(taken(rest)?)), until_unix_ms })
            }
            _ => return None,
        };
        let (manage, request) = (u128::from_be_bytes(taken(rest)?), taken(rest)?);
        let queue = u16::from_be_bytes(taken(rest)?);
        let (_, row) = rest.split_at_checked(usize::from(queue))?;
        Some(Self { change, lease, manage, request: Spot::read(request), row })
    }

    /// The call-back itself.
    pub(super) fn callback(&self, id: CallbackId) -> Result<desk::Callback, Unreadable> {
        row::decode(id, self.row)
    }
}

/// What a value says of the call-back of this id.
pub(super) fn read(id: CallbackId, value: &[u8]) -> Result<KeptCallback, Unreadable> {
    let kept = Kept::read(value).ok_or_else(|| Unreadable("a value that is torn".to_owned()))?;
    let Kept { change, lease, manage, .. } = kept;
    Ok(KeptCallback { callback: kept.callback(id)?, manage, version: change, lease })
}

/// A value.
pub(super) fn write(
    kept: &KeptCallback,
    request: Option<Spot>,
    queue: &str,
    row: &[u8],
) -> Result<Vec<u8>, Unreadable> {
    let length = u16::try_from(queue.len()).map_err(|_| Unreadable("a queue with too long a name".to_owned()))?;
    let mut value = vec![u8::from(kept.lease.is_some())];
    value.extend(kept.version.to_be_bytes());
    if let Some(lease) = &kept.lease {
        value.extend(lease.until_unix_ms.to_be_bytes());
        value.extend(lease.node.0.to_be_bytes());
    }
    value.extend(kept.manage.to_be_bytes());
    value.extend(Spot::written(request));
    value.extend(length.to_be_bytes());
    value.extend(queue.as_bytes());
    value.extend(row);
    Ok(value)
}

fn taken<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::callbacks::callback;

    #[test]
    fn a_value_is_read_as_it_was_written_and_not_when_it_is_torn() {
        let callback = callback(7, 5_000);
        let row = row::encode(&callback).ok().unwrap();
        for lease in [None, Some(Lease { node: NodeId(u128::MAX - 1), until_unix_ms: 9_000 })] {
            let kept = KeptCallback { callback: callback.clone(), manage: 1 << 100, version: 258, lease };
            let spot = Some(Spot::of(&["shop", "k1"]));
            let value = write(&kept, spot, "support", &row).ok().unwrap();
            assert_eq!(Kept::read(&value).unwrap().request, spot);
            assert_eq!(read(callback.id(), &value).ok(), Some(kept.clone()));
            assert!((0..value.len()).all(|end| read(callback.id(), &value[..end]).is_err()));
            let without = write(&kept, None, "support", &row).ok().unwrap();
            assert_eq!(Kept::read(&without).unwrap().request, None);
        }
    }
}

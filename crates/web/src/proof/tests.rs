//! A riddle is solved by computing, is good once and for a while, and cannot be made to live longer.

use super::*;

const NOW: u64 = 1_795_000_000_000;
const LIFE_MS: u64 = 300_000;

/// Solves a riddle as a page does, and writes the answer as ALTCHA does.
pub(crate) fn solve(challenge: &serde_json::Value) -> String {
    let salt = challenge["salt"].as_str().unwrap();
    let max = u32::try_from(challenge["maxnumber"].as_u64().unwrap()).unwrap();
    let wanted = challenge["challenge"].as_str().unwrap();
    let number = (0..=max).find(|number| hex(&digest(salt, *number)) == wanted).unwrap();
    payload(challenge, |solved| solved["number"] = number.into())
}

fn payload(challenge: &serde_json::Value, edit: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut solved = challenge.clone();
    edit(&mut solved);
    to_base64(solved.to_string().as_bytes())
}

fn to_base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

fn proofs() -> Proofs {
    Proofs::new(LIFE_MS, 100, 500)
}

fn riddle(proofs: &Proofs) -> serde_json::Value {
    serde_json::to_value(proofs.challenge(NOW).unwrap()).unwrap()
}

#[test]
fn a_solved_riddle_is_good_once() {
    let mut proofs = proofs();
    let answer = solve(&riddle(&proofs));
    assert_eq!(proofs.take(&answer, NOW + LIFE_MS - 1_000), Ok(()));
    assert_eq!(proofs.take(&answer, NOW + LIFE_MS - 1_000), Err(BadProof::Used));
    assert_eq!(proofs.take(answer.trim_end_matches('='), NOW), Err(BadProof::Used), "padding makes no other proof");
    assert_eq!(proofs.take(&solve(&riddle(&proofs)), NOW), Ok(()));
}

#[test]
fn an_old_one_a_foreign_one_and_a_wrong_answer_are_refused() {
    let mut proofs = proofs();
    let asked = riddle(&proofs);
    let answer = solve(&asked);
    assert_eq!(proofs.take(&answer, NOW + LIFE_MS), Err(BadProof::Expired));
    let foreign = solve(&riddle(&Proofs::new(LIFE_MS, 100, 500)));
    assert_eq!(proofs.take(&foreign, NOW), Err(BadProof::Wrong));
    let beyond = payload(&asked, |solved| solved["number"] = 501.into());
    assert_eq!(proofs.take(&beyond, NOW), Err(BadProof::Wrong));
    let other = payload(&asked, |solved| solved["algorithm"] = "SHA-1".into());
    assert_eq!(proofs.take(&other, NOW), Err(BadProof::Form));
    assert_eq!(proofs.take(&answer, NOW), Ok(()), "what was refused is not used up");
}

#[test]
fn rubbish_has_no_form() {
    let mut proofs = proofs();
    let long = "A".repeat(PROOF_BYTES + 3);
    for text in ["", "A", "AAAA", "{}", "\u{e9}", "e30=", long.as_str(), &to_base64(b"{\"salt\":1}")] {
        assert_eq!(proofs.take(text, NOW), Err(BadProof::Form), "{text}");
    }
}

#[test]
fn digits_cannot_be_moved_from_the_number_into_the_time() {
    let mut proofs = proofs();
    let mut tried = 0;
    while tried < 20 {
        let asked = riddle(&proofs);
        let number: u32 = {
            let salt = asked["salt"].as_str().unwrap();
            (0..=500).find(|n| hex(&digest(salt, *n)) == asked["challenge"].as_str().unwrap()).unwrap()
        };
        let digits = number.to_string();
        if digits.len() < 2 {
            continue;
        }
        tried += 1;
        let (first, rest) = digits.split_at(1);
        let spliced = payload(&asked, |solved| {
            // The same octets are hashed; the time would have one digit more.
            solved["salt"] = format!("{}{first}", asked["salt"].as_str().unwrap()).into();
            solved["number"] = rest.parse::<u32>().unwrap().into();
        });
        assert_eq!(proofs.take(&spliced, NOW + 2 * LIFE_MS), Err(BadProof::Form));
    }
}

#[test]
fn the_memory_of_used_ones_is_bounded_and_empties_itself() {
    let mut proofs = Proofs::new(LIFE_MS, 3, 50);
    for _ in 0..3 {
        assert_eq!(proofs.take(&solve(&riddle(&proofs)), NOW), Ok(()));
    }
    let fourth = solve(&riddle(&proofs));
    assert_eq!(proofs.take(&fourth, NOW), Err(BadProof::Full));
    let later = serde_json::to_value(proofs.challenge(NOW + LIFE_MS).unwrap()).unwrap();
    assert_eq!(proofs.take(&solve(&later), NOW + LIFE_MS), Ok(()));
    assert_eq!((proofs.used.len(), proofs.order.len()), (1, 1));
}

//! "Did you mean …?": the known word closest to a mistyped one.

/// The closest of `known`, when close enough that a slip of the fingers explains the difference.
pub(super) fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|word| (distance(&typed, &word.to_lowercase()), word))
        // A third of the longer word may differ, at least one letter: `lissten`, `orgin`, `tenants`.
        .filter(|&(steps, word)| steps <= (typed.chars().count().max(word.chars().count()) / 3).max(1))
        .min_by_key(|&(steps, _)| steps)
        .map(|(_, word)| word)
}

/// "did you mean `x`?", or the known words, or what to do when there are none.
pub(super) fn mend<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>, none: &str) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match closest(typed, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None if known.is_empty() => none.to_owned(),
        None => format!("one of {}", list(&known)),
    }
}

/// `a`, `b`, `c`; at most twelve.
pub(super) fn list(words: &[&str]) -> String {
    let shown: Vec<String> = words.iter().take(12).map(|word| format!("`{word}`")).collect();
    let rest = words.len().saturating_sub(shown.len());
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours cost one each.
fn distance(a: &str, b: &str) -> usize {
    // Names here are short; a long one is not a slip of the fingers, and the table stays small.
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut cost = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(rows[i - 2][j - 2] + 1);
            }
            row.push(cost);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{closest, mend};

    #[test]
    fn a_slip_of_the_fingers_is_recognised_and_another_word_is_not() {
        let known = ["listen", "public_url", "origins"];
        for (typed, expected) in [
            ("lissten", Some("listen")),
            ("litsen", Some("listen")),
            ("Listen", Some("listen")),
            ("public-url", Some("public_url")),
            ("orgin", Some("origins")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(closest(typed, known), expected, "{typed}");
        }
    }

    #[test]
    fn without_a_close_word_the_known_ones_are_listed() {
        assert_eq!(mend("zzz", ["a1", "b2"], "none"), "one of `a1`, `b2`");
        assert_eq!(mend("zzz", [], "define one"), "define one");
    }
}

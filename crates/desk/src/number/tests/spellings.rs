//! The spellings people and attackers use: a number gives exactly its digits, or nothing.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::table::{Example, everywhere, examples};
use super::*;

#[test]
fn spellings_of_people_give_the_number() {
    let spellings = [
        "0612345678",
        " 06 12 34 56 78 ",
        "06.12.34.56.78",
        "06-12-34-56-78",
        "06/12/34/56/78",
        "+33612345678",
        "+33 6 12 34 56 78",
        "+33 (0)6 12 34 56 78",
        "(+33) 6 12 34 56 78",
        "+33.(0).6.12.34.56.78",
        "+330612345678",
        "0033 6 12 34 56 78",
        "00 33 (0) 6 12 34 56 78",
        "33612345678",
        "06\u{a0}12\u{a0}34\u{a0}56\u{a0}78",
        "06\u{202f}12\u{202f}34\u{202f}56\u{202f}78",
        "06\u{2011}12\u{2013}34\u{2212}56\u{2014}78",
        "\u{202a}+33 6 12 34 56 78\u{202c}",
        "\u{202d}+33612345678\u{202c}",
        "\u{feff}06 12 34 56 78\r\n",
        "٠٦١٢٣٤٥٦٧٨",
        "+٣٣٦١٢٣٤٥٦٧٨",
        "۰۶۱۲۳۴۵۶۷۸",
        "０６１２３４５６７８",
        "＋３３６１２３４５６７８",
        "०६१२३४५६७८",
        "tel:+33612345678",
        "\u{202a}tel:+33612345678\r\n\u{202c}",
        "TEL:06-12-34-56-78",
        "tel:+33-6-12-34-56-78",
    ];
    for typed in spellings {
        check(&at_home("FR"), typed, "+33612345678");
    }
}

#[test]
fn a_zero_in_brackets_is_left_out_where_it_is_not_dialled() {
    let policy = serving("FR", &["FR", "IT", "ES", "DE", "GB", "AT"]);
    check(&policy, "+49 (0)30 123456", "+4930123456");
    check(&policy, "+44 (0) 20 7031 3000", "+442070313000");
    check(&policy, "+44［0］2070313000", "number_invalid");
    check(&policy, "+44（0）2070313000", "+442070313000");
    check(&policy, "+43 [0]1 5880421", "+4315880421");
    check(&policy, "(0)6 12 34 56 78", "+33612345678");
    check(&policy, "+34 (0)912 34 56 78", "+34912345678");
    check(&policy, "+39 (0)2 1234 5678", "+390212345678");
    check(&policy, "+39 (0)312 345 6789", "number_invalid");
    check(&policy, "+39 312 345 6789", "+393123456789");
    check(&policy, "+39 0312 345 678", "+390312345678");
    check(&policy, "+33 )0(612345678", "+33612345678");
}

#[test]
fn what_is_more_than_a_number_is_refused() {
    let spellings = [
        ("", "number_required"),
        (" \u{a0}\t", "number_required"),
        ("+", "number_required"),
        ("()", "number_required"),
        ("tel:", "number_required"),
        ("0612345678;ext=5", "number_not_dialable"),
        ("tel:+33612345678;ext=5", "number_not_dialable"),
        ("tel:+33612345678;phone-context=+33", "number_not_dialable"),
        ("tel:0612345678;phone-context=example.com", "number_not_dialable"),
        ("+33612345678;isub=1", "number_not_dialable"),
        ("0612345678,,9", "number_not_dialable"),
        ("0612345678，9", "number_not_dialable"),
        ("0612345678#", "number_not_dialable"),
        ("#31#0612345678", "number_not_dialable"),
        ("*720612345678", "number_not_dialable"),
        ("*72 0612345678", "number_not_dialable"),
        ("＊720612345678", "number_not_dialable"),
        ("**21*0612345678#", "number_not_dialable"),
        ("0612345678x5", "number_invalid"),
        ("0612345678 ext. 5", "number_invalid"),
        ("0612345678 poste 5", "number_invalid"),
        ("0612345678p9", "number_invalid"),
        ("0612345678@pbx.example", "number_invalid"),
        ("sip:+33612345678@pbx.example", "number_invalid"),
        ("+33612345678@", "number_invalid"),
        ("tel:tel:0612345678", "number_invalid"),
        ("+33612345678+33612345679", "number_invalid"),
        ("++33612345678", "number_invalid"),
        ("06+12345678", "number_invalid"),
        ("33+612345678", "number_invalid"),
        ("0612345678 0612345679", "number_invalid"),
        ("06123456789", "number_invalid"),
        ("061234567", "number_invalid"),
        ("06 12 ab 56 78", "number_invalid"),
        ("ＡＢ０６１２３４５６", "number_invalid"),
        ("0612345678\r\nTo: 899123456", "number_invalid"),
        ("0612\n345678", "number_invalid"),
        ("0612345678\0", "number_invalid"),
        ("06123\0", "number_invalid"),
        ("\u{202e}8765432160\u{202c}", "number_invalid"),
        ("061234567²", "number_invalid"),
        ("Ⅵ 12345678", "number_invalid"),
        ("0612345678?x", "number_invalid"),
        ("0612345678%2C9", "number_invalid"),
        ("0612345678&9", "number_invalid"),
        ("0612345678'--", "number_invalid"),
        ("${exten}", "number_invalid"),
        ("+999 123 456", "number_invalid"),
        ("+0033612345678", "number_invalid"),
        ("000033612345678", "number_invalid"),
    ];
    for (typed, code) in spellings {
        check(&at_home("FR"), typed, code);
    }
    check(&at_home("US"), "1-800-FLOWERS", "number_invalid");
    check(&at_home("US"), "(201) 555-O123", "number_invalid");
}

#[test]
fn where_numbers_have_many_lengths_nothing_lengthens_them() {
    let policy = at_home("DE");
    check(&policy, "030 123456", "+4930123456");
    check(&policy, "030 1234569", "+49301234569");
    check(&policy, "+4930111111111", "+4930111111111");
    // 17 digits: an extension inside Germany, in the plan but beyond E.164
    check(&policy, "+49301111111111111", "number_invalid");
    let more = [
        ",9",
        ";9",
        "#9",
        "*9",
        "x9",
        "X9",
        "p9",
        "w9",
        "@9",
        "+9",
        "\n9",
        "\09",
        "\u{202e}9",
        "~9",
        ":9",
        "=9",
        "_9",
        "9²",
        "%39",
    ];
    for more in more {
        let typed = format!("030 123456{more}");
        assert!(policy.judge(&typed, None).is_err(), "{typed:?}");
    }
}

#[test]
fn the_length_has_a_bound() {
    let spelled = |spaces: usize| format!("0612345678{}", " ".repeat(spaces));
    check(&at_home("FR"), &spelled(54), "+33612345678");
    check(&at_home("FR"), &spelled(55), "number_invalid");
    // characters, not bytes
    check(&at_home("FR"), &format!("٠٦١٢٣٤٥٦٧٨{}", "\u{a0}".repeat(54)), "+33612345678");
}

/// How one of the thousand is dressed, and whether anything in it is more than a number.
fn spell(rng: &mut StdRng, row: &Example) -> (String, bool) {
    let code = row.international.split(' ').next().unwrap_or_default();
    let rest = row.international.strip_prefix(code).unwrap_or_default();
    let mut typed = match rng.random_range(0..6) {
        0 => row.e164.to_owned(),
        1 => row.international.to_owned(),
        2 => format!("00{}", row.international.trim_start_matches('+')),
        3 => format!("{code} (0){}", rest.trim_start()),
        _ => row.national.to_owned(),
    };
    for _ in 0..rng.random_range(0..3) {
        typed = dress(rng, &typed);
    }
    let is_more = rng.random_ratio(1, 3);
    (if is_more { poison(rng, &typed) } else { typed }, is_more)
}

fn dress(rng: &mut StdRng, typed: &str) -> String {
    const ZEROES: [char; 5] = ['٠', '۰', '०', '๐', '０'];
    const SEPARATORS: [&str; 10] = ["", " ", "\u{a0}", "\u{202f}", ".", "-", "\u{2011}", "/", ") (", "\u{200e}"];
    match rng.random_range(0..5) {
        0 => {
            let separator = SEPARATORS.choose(rng).unwrap();
            typed.replace([' ', '-'], separator)
        }
        1 => {
            let zero = u32::from(*ZEROES.choose(rng).unwrap());
            let in_script = |c: char| c.to_digit(10).and_then(|value| char::from_u32(zero + value)).unwrap_or(c);
            typed.chars().map(in_script).collect()
        }
        2 => format!("\u{202a}{typed}\u{202c}"),
        3 if !typed.to_lowercase().starts_with("tel:") => format!("tel:{typed}"),
        _ => format!("  {typed}\t"),
    }
}

fn poison(rng: &mut StdRng, typed: &str) -> String {
    const AFTER: [&str; 14] = [
        ";ext=5",
        ",,9",
        "#",
        "*",
        "@pbx.example",
        "x12",
        " poste 5",
        ";phone-context=+1",
        ";user=phone",
        "p1",
        "w1",
        "\r\nX: 1",
        "+33899123456",
        "~",
    ];
    const BEFORE: [&str; 6] = ["*72", "#31#", "sip:", "A", "9,", "%"];
    match rng.random_range(0..3) {
        0 => format!("{}{typed}", BEFORE.choose(rng).unwrap()),
        1 => {
            let after = AFTER.choose(rng).unwrap();
            format!("{typed}{after}")
        }
        _ => {
            let at = rng.random_range(1..typed.chars().count());
            let sign = ['*', '#', ',', ';', '@', 'O', 'l', 'é', '\n', '\0', '\u{202e}', '='].choose(rng).unwrap();
            typed.chars().enumerate().flat_map(|(i, c)| (i == at).then_some(*sign).into_iter().chain([c])).collect()
        }
    }
}

#[test]
fn a_thousand_spellings_give_exactly_the_digits_or_a_refusal() {
    const SPELLINGS: u64 = 1_000;
    let everywhere = everywhere();
    let rows: Vec<Example> = examples().filter(|row| row.is_line() && row.region != "001").collect();
    let (mut harmless, mut read) = (0, 0);
    for seed in 0..SPELLINGS {
        let mut rng = StdRng::seed_from_u64(seed);
        let row = rows.choose(&mut rng).unwrap();
        let (typed, is_more) = spell(&mut rng, row);
        let verdict = everywhere.judge(&typed, Some(row.region));
        harmless += u32::from(!is_more);
        let Ok(number) = verdict else { continue };
        assert!(!is_more, "seed {seed}: {typed:?} was called as {number:?}");
        assert!(number.digits().bytes().all(|byte| byte.is_ascii_digit()), "seed {seed}: {typed:?}");
        assert_eq!(Some(number.digits()), row.e164.strip_prefix('+'), "seed {seed}: {typed:?} in {}", row.region);
        assert_eq!(everywhere.judge_again(number.e164()), Ok(number), "seed {seed}");
        read += 1;
    }
    assert!(harmless > 600 && read * 100 > harmless * 98, "{read} of {harmless} harmless spellings were understood");
}

//! Queues as they are written: hours, skills, how a call-back is taken, whose turn it is.

use super::super::checked::QueueTarget;
use super::{SMALL, check_one, examine};

#[test]
fn opening_hours_are_checked() {
    let hours = |line: &str| format!("[[hours]]\nid = \"shop\"\n{line}");
    let zone = "zone = \"Europe/Paris\"";
    for (lines, expected) in [
        (
            "zone = \"Europe/Pari\"\nweek = { mon = [] }".to_owned(),
            "3:8 there is no time zone `Europe/Pari` → did you mean `Europe/Paris`?",
        ),
        (zone.to_owned(), "1:1 `week` is missing"),
        (format!("{zone}\nweek = {{}}"), "a week without a day is never open"),
        (format!("{zone}\nweek = {{ monday = [\"08:00-09:00\"] }}"), "4:10 `monday` is not a day"),
        (format!("{zone}\nweek = {{ mon-fri = [\"8-18\"] }}"), "4:21 `8-18` is not a span of the day"),
        (format!("{zone}\nweek = {{ mon = [\"08:00-25:00\"] }}"), "is not a span of the day"),
        (format!("{zone}\nweek = {{ mon = [\"08:00-08:00\"] }}"), "is no time at all"),
        (format!("{zone}\nweek = {{ mon-fri = [], fri = [] }}"), "`fri` is named twice"),
        (
            format!("{zone}\nweek = {{ mon = [] }}\nholidays = \"fra\""),
            "5:12 no public holidays are called `fra` → did you mean `fr`?",
        ),
        (
            format!("{zone}\nweek = {{ mon = [] }}\nexceptions = {{ 2026-02-30 = [] }}"),
            "5:16 `2026-02-30` is not a date → write exceptions = { 2026-12-24",
        ),
        (
            format!("{zone}\nweek = {{ mon = [] }}\nexceptions = {{ 2026-12-24 = [\"9-12\"] }}"),
            "5:30 `9-12` is not a span of the day",
        ),
        (
            format!(
                "{zone}\nweek = {{ mon = [] }}\nexceptions = {{ 2026-12-24 = [\"09:00-12:00\", \"09:00-12:00\"] }}"
            ),
            "`09:00-12:00` stands here twice",
        ),
        (format!("{zone}\nweek = {{ mon = [] }}\nexceptions = [\"2026-12-24\"]"), "wrong type"),
    ] {
        check_one(&hours(&lines), expected);
    }
    check_one(
        "[[queue]]\nid = \"q\"\ntenant = \"shop\"\ndial = \"echo\"\nhours = \"shop\"",
        "there is no hours `shop` → define it: [[hours]]",
    );
    let text = format!(
        "{}\n[[queue]]\nid = \"q\"\ntenant = \"shop\"\ndial = \"echo\"\nhours = \"shop\"\n{SMALL}",
        hours(&format!("{zone}\nweek = {{ mon-fri = [\"08:00-18:00\"], sat = [\"22:00-02:00\"] }}"))
    );
    let config = examine(&text).config.unwrap();
    let open = |time: &str| {
        let at: jiff::Timestamp = time.parse().unwrap();
        config.queues[0].hours.as_ref().unwrap().is_open(u64::try_from(at.as_millisecond()).unwrap())
    };
    // Friday 17:30 and 18:30, Saturday 23:00, Sunday 01:00 and 03:00, all Paris time in winter.
    let asked = [
        "2026-01-09T16:30:00Z",
        "2026-01-09T17:30:00Z",
        "2026-01-10T22:00:00Z",
        "2026-01-11T00:00:00Z",
        "2026-01-11T02:00:00Z",
    ];
    assert_eq!(asked.map(open), [true, false, true, true, false]);
    assert!(config.queues[1].hours.is_none());
}

#[test]
fn holidays_and_exceptions_close_and_open_the_queue() {
    let text = format!(
        "[[hours]]\nid = \"shop\"\nzone = \"Europe/Paris\"\nweek = {{ mon-fri = [\"09:00-12:00\", \"14:00-18:00\"] }}\n\
         holidays = \"fr\"\nexceptions = {{ 2026-07-14 = [\"10:00-11:00\"], 2026-07-15 = [] }}\n\
         [[queue]]\nid = \"q\"\ntenant = \"shop\"\ndial = \"echo\"\nhours = \"shop\"\n{SMALL}"
    );
    let config = examine(&text).config.unwrap();
    let open = |time: &str| {
        let at: jiff::Timestamp = time.parse().unwrap();
        config.queues[0].hours.as_ref().unwrap().is_open(u64::try_from(at.as_millisecond()).unwrap())
    };
    // An ordinary Monday with its lunch; a holiday with hours of its own; a closed day; Whit Monday.
    let asked = ["2026-07-13T11:59+02:00", "2026-07-13T13:00+02:00", "2026-07-13T17:00+02:00"];
    assert_eq!(asked.map(open), [true, false, true]);
    let asked =
        ["2026-07-14T10:30+02:00", "2026-07-14T15:00+02:00", "2026-07-15T10:00+02:00", "2026-05-25T10:00+02:00"];
    assert_eq!(asked.map(open), [true, false, false, false]);
}

#[test]
fn a_queue_rings_those_of_its_agents_who_have_its_skills() {
    let people = |skills: &str| {
        let agent = |extension: &str, skills: &str| {
            format!("[[agent]]\nextension = \"{extension}\"\npassword_file = \"agent-1001\"\nskills = {skills}\n")
        };
        let agents = [agent("2001", "[\"fr\"]"), agent("2002", "[\"fr\", \"returns\"]")].concat();
        format!(
            "{agents}[[queue]]\nid = \"back\"\ntenant = \"shop\"\nagents = [\"1001\", \"2001\", \"2002\"]\nskills = {skills}\n"
        )
    };
    let rung = |skills: &str| {
        let config = examine(&format!("{}{SMALL}", people(skills))).config.unwrap();
        let QueueTarget::Agents { extensions, .. } = config.queues[0].target.clone() else { panic!() };
        extensions
    };
    assert_eq!(rung("[\"fr\"]"), ["2001", "2002"]);
    assert_eq!(rung("[\"returns\", \"fr\"]"), ["2002"]);
    assert_eq!(rung("[]"), ["1001", "2001", "2002"]);
    check_one(&people("[\"return\"]"), "no agent of this queue has the skill `return`");
    let alone = "[[queue]]\nid = \"a\"\ntenant = \"shop\"\ndial = \"echo\"\nskills = [\"fr\"]";
    check_one(alone, "this one lists none");
    let apart = people("[\"fr\", \"returns\"]").replace("[\"fr\", \"returns\"]\n[[queue]]", "[\"returns\"]\n[[queue]]");
    check_one(&apart, "no agent of this queue has all of these skills");
    check_one(
        "[[agent]]\nextension = \"2001\"\npassword_file = \"agent-1001\"\nskills = [\"a b\"]",
        "cannot be a skill",
    );
}

#[test]
fn a_pbx_and_a_customer_take_a_call_back_by_a_key_and_an_agent_by_answering_unless_it_is_said_otherwise() {
    let callback = |target: &str, lines: &str| {
        examine(&format!(
            "[[trunk]]\nname = \"pbx\"\nuri = \"sip:192.0.2.5\"\n{SMALL}\n\
             [[queue]]\nid = \"back\"\ntenant = \"shop\"\n{target}\n[queue.callback]\ntrunk = \"pbx\"\n{lines}"
        ))
    };
    let limit_s = |target: &str, lines: &str| {
        let config = callback(target, lines).config.unwrap();
        config.queues.last().unwrap().callback.as_ref().unwrap().key_limit.map(|limit| limit.as_secs())
    };
    let (own, pbx) = ("agents = [\"1001\"]", "dial = \"sip:600@pbx\"");
    assert_eq!((limit_s(own, ""), limit_s(pbx, "")), (None, Some(120)));
    assert_eq!((limit_s(own, "accept = \"key\""), limit_s(pbx, "accept = \"answer\"")), (Some(120), None));
    assert_eq!(limit_s(pbx, "accept_limit_s = 30"), Some(30));
    let customer = "rings_first = \"customer\"\n";
    assert_eq!((limit_s(pbx, customer), limit_s(own, customer)), (Some(45), Some(45)), "a voicemail answers too");
    assert_eq!(limit_s(own, &format!("{customer}accept = \"answer\"")), None);
    let said = |lines: &str| callback(pbx, lines).problems[0].message.clone();
    assert_eq!(said("accept = \"yes\""), "nobody can accept by `yes`");
}

#[test]
fn whose_turn_it_is_can_be_chosen() {
    let callback = |lines: &str| {
        examine(&format!(
            "[[trunk]]\nname = \"pbx\"\nuri = \"sip:192.0.2.5\"\n{SMALL}\n[queue.callback]\ntrunk = \"pbx\"\n{lines}"
        ))
    };
    let order = |lines: &str| callback(lines).config.unwrap().queues[0].callback.as_ref().unwrap().order;
    let curve = desk::Satisfaction::default();
    assert_eq!(order(""), desk::Order::Fifo);
    assert_eq!(order("order = \"satisfaction\""), desk::Order::Satisfaction(curve));
    let minutes = |minutes: u64| std::time::Duration::from_secs(minutes * 60);
    let other = desk::Satisfaction { soon: minutes(2), late: minutes(20), ceiling: minutes(45), ..curve };
    let lines = "order = \"satisfaction\"\nsoon_minutes = 2\nlate_minutes = 20\nceiling_minutes = 45";
    assert_eq!(order(lines), desk::Order::Satisfaction(other));
    let lines = "order = \"priority\"\nhead_start_minutes = 30";
    assert_eq!(order(lines), desk::Order::Priority { head_start: minutes(30) });
    let said =
        |lines: &str| callback(lines).problems.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("; ");
    for (lines, expected) in [
        (lines, "no call-back has a priority in this version"),
        ("order = \"fiffo\"", "no order is called `fiffo`"),
        ("soon_minutes = 20", "`late_minutes` is less than `soon_minutes`"),
        ("ceiling_minutes = 0", "`ceiling_minutes` is 0, which is out of range"),
        ("wait_max_minutes = 0", "`wait_max_minutes` is 0, which is out of range"),
        ("asap_before_close_minutes = 241", "`asap_before_close_minutes` is 241, which is out of range"),
    ] {
        assert!(said(lines).contains(expected), "{lines}: {}", said(lines));
    }
}

//! The comparison as it is printed; what is not there is said.

use super::*;

fn ask(from: From) -> Ask {
    Ask {
        from,
        agents: None,
        only: None,
        head_start: Order::HEAD_START,
        curve: Satisfaction::default(),
        seed: 1,
        plot: None,
        json: false,
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn three_orders_stand_side_by_side_with_what_they_rest_on() {
    let text = simulated(&ask(From::MadeUp)).unwrap();
    assert_eq!(text, simulated(&ask(From::MadeUp)).unwrap(), "a seed is a result");
    assert!(
        text.lines().next().is_some_and(|line| line.contains("of a made-up day") && line.contains("3 agents")),
        "{text}"
    );
    for order in ["fifo", "priority", "satisfaction"] {
        assert!(text.lines().any(|line| line.starts_with(order) && line.contains(" all ")), "{order} in {text}");
    }
    for part in ["TAKEN WITHIN", "is an assumption", "Nothing here is real"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let only = simulated(&Ask { only: Some(OrderName::Priority), ..ask(From::MadeUp) }).unwrap();
    assert!(!only.contains("fifo") && only.contains("priority 1"), "{only}");
}

#[test]
fn a_file_of_four_is_played_as_by_hand() {
    let path = std::env::temp_dir().join(format!("passerelle-arrivals-{}.csv", std::process::id()));
    let csv = "asked,priority,handling_s\n2026-11-02T08:00:00Z,0,600\n2026-11-02T08:01:00Z,0,600\n\
               2026-11-02T08:02:00Z,0,600\n2026-11-02T08:03:00Z,1,600\n";
    std::fs::write(&path, csv).unwrap();
    let picture = path.with_extension("svg");
    let ask = Ask { agents: Some(1), plot: Some(picture.clone()), ..ask(From::File(path.clone())) };
    let text = simulated(&ask).unwrap();
    let json: Value = serde_json::from_str(&simulated(&Ask { json: true, ..ask }).unwrap()).unwrap();
    let drawn = std::fs::read_to_string(&picture).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&picture).unwrap();
    assert!(text.contains("1 agent, busy 100 %") && !text.contains("Agents: nothing says"), "{text}");
    let line =
        |from: &str| text.lines().skip_while(|line| !line.starts_with(from)).nth(2).map(cells).unwrap_or_default();
    // In the order of asking he of 08:03 waits 27 minutes; with ten minutes' head start 7.
    assert_eq!(line("fifo"), ["priority 1", "1", "27:00", "27:00", "27:00", "27:00", "40.0 %"]);
    assert_eq!(line("priority")[..3], ["priority 1", "1", "7:00"]);
    assert_eq!(json["orders"][0]["all"]["max_ms"], 27 * 60_000);
    assert_eq!(json["orders"][1]["by_priority"][1]["figures"]["p50_ms"], 7 * 60_000);
    assert!(
        drawn.starts_with("<svg")
            && drawn.contains("Everybody: 4 call-backs")
            && drawn.contains("Priority 1: 1 call-back"),
        "{drawn}"
    );
}

#[test]
fn what_is_not_there_is_said() {
    let nowhere = Source::Store("sqlite:/nowhere/at/all.db".to_owned());
    let book = From::Book { source: nowhere, tenant: None, queue: None, since: Moment::At(0) };
    let error = simulated(&ask(book)).unwrap_err();
    assert!(error.contains("there is no store at sqlite:/nowhere/at/all.db yet"), "{error}");
    let curve = Satisfaction { late: Duration::from_secs(60), ..Satisfaction::default() };
    let error = simulated(&Ask { curve, ..ask(From::MadeUp) }).unwrap_err();
    assert!(error.contains("--late-minutes is less than --soon-minutes"), "{error}");
    let error = simulated(&ask(From::File("/nowhere/at/all.csv".into()))).unwrap_err();
    assert!(error.contains("/nowhere/at/all.csv cannot be read"), "{error}");
}

//! Where a trunk may have calls transferred, as it is written.

use super::super::checked::TransferRule;
use super::{SMALL, check_one, examine};

fn trunk(lines: &str) -> String {
    format!("[[trunk]]\nname = \"pbx\"\nuri = \"sip:10.0.0.5\"\n{lines}")
}

#[test]
fn a_transfer_leads_to_extensions_and_never_outside() {
    for (lines, expected) in [
        ("transfer = \"agent\"", "did you mean `agents`?"),
        ("transfer_to = [\"+33899123456\"]", "is no user of a PBX"),
        ("transfer_to = [\"0899123456\"]", "may be an outside number"),
        ("transfer_to = [\"???\"]", "may be an outside number"),
    ] {
        check_one(&trunk(lines), expected);
    }
    let transfer = |lines: &str| {
        let text = format!("{}\n{SMALL}", trunk(lines));
        examine(&text).config.unwrap().trunks[0].transfer.clone()
    };
    let usual = transfer("");
    assert_eq!((usual.rule, usual.names("600")), (TransferRule::Trunk, false));
    let written = transfer("transfer = \"off\"\ntransfer_to = [\"6??\", \"sales\"]");
    assert_eq!(written.rule, TransferRule::Off);
    let users = ["601", "699", "sales", "600", "60", "6011", "6a1", "700", "Sales", ""];
    let named = users.map(|user| written.names(user));
    assert_eq!(named, [true, true, true, true, false, false, false, false, false, false]);
}

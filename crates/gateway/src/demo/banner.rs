//! What to open and what to dial, printed when the demo is ready.

use std::io::Write;

use crate::config::Config;

/// A dozen lines for a newcomer.
pub(crate) fn print(config: &Config) {
    let page = format!("http://{}", config.http.listen);
    let sip = config.sip.listen.first().map_or_else(String::new, |(_, address)| address.to_string());
    let text = format!(
        "\n  Passerelle demo is ready.\n\n\
         \x20 Open   {page}/          the shop; click Talk, allow the microphone, choose Echo: you hear yourself\n\
         \x20 Open   {page}/agent/    the agent's live page; log in as 1001, password demo-1001\n\n\
         \x20 To answer on a softphone, register it to  {sip}  (UDP or TCP) as\n\
         \x20        1001  password demo-1001     or     1002  password demo-1002\n\
         \x20 then choose \"Ring my softphone\" in the shop. From the softphone you can dial\n\
         \x20        sip:echo@{sip}   or   sip:1002@{sip}\n\n\
         \x20 To be called back, choose who answers, press Talk, Be called back, leave any French number: the agent's phone\n\
         \x20 rings, then a telephone inside the program, which echoes him.   passerelle callback list --demo\n\n\
         \x20 passerelle calls --demo lists the calls made.   Ctrl-C ends the demo.\n\n"
    );
    let mut out = std::io::stdout().lock();
    // A closed terminal is no reason to end.
    let _printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

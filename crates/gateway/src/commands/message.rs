//! `passerelle message test`: one message by the configured way, now; else what went wrong and the mend.

use std::path::Path;
use std::process::ExitCode;

use desk::Email;

use super::{complain, print};
use crate::config;
use crate::drive::messages::{try_mail, try_webhooks};

/// Which way is tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// A mail to this address.
    Mail(String),
    /// The webhook of this tenant, or of each.
    Webhook(Option<String>),
}

/// Tries it.
pub(crate) fn test(path: &Path, way: &Way) -> ExitCode {
    let mut good = true;
    for said in tried(path, way) {
        match said {
            Ok(sentence) => print(&format!("{sentence}.\n")),
            Err(sentence) => {
                good = false;
                let end = if sentence.ends_with(['.', '?']) { "" } else { "." };
                complain(&format!("passerelle: {sentence}{end}\n"));
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tried(path: &Path, way: &Way) -> Vec<Result<String, String>> {
    let config = match config::load(path) {
        Ok(config) => config,
        Err(errors) => {
            return vec![Err(format!("the configuration has mistakes, `passerelle check` shows them: {errors}"))];
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![Err(format!("the system gives no threads: {error}"))],
    };
    match way {
        Way::Mail(address) => match address.parse::<Email>() {
            Ok(email) => vec![runtime.block_on(try_mail(&config, &email))],
            Err(error) => vec![Err(format!("\"{address}\": {error}; write one as claire@mail.example"))],
        },
        Way::Webhook(tenant) => runtime.block_on(try_webhooks(&config, tenant.as_deref())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::PathBuf;

    use super::*;

    /// A configuration in a folder of its own, with the secrets it names.
    fn configured(name: &str, more: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("passerelle-message-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let key = folder.join("key");
        std::fs::write(&key, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let text = format!(
            "[[tenant]]\nid = \"shop\"\norigins = [\"https://shop.example\"]\n{}\n[[queue]]\nid = \"echo\"\n\
             tenant = \"shop\"\ndial = \"echo\"\n",
            more.replace("KEY", &key.display().to_string())
        );
        let path = folder.join("passerelle.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn what_is_missing_is_said_with_its_mend() {
        let path = configured("none", "");
        let said = |way: Way| tried(&path, &way).remove(0).unwrap_err();
        assert!(said(Way::Mail("a@b.fr".to_owned())).contains("write host and from in [mail]"));
        assert!(said(Way::Mail("a@b".to_owned())).contains("is no e-mail address; write one as"));
        assert!(said(Way::Webhook(None)).contains("write url and secret_file in [tenant.webhook]"));
        let nowhere = tried(Path::new("/nonexistent"), &Way::Webhook(None)).remove(0).unwrap_err();
        assert!(nowhere.contains("passerelle check"), "{nowhere}");
    }

    #[test]
    fn a_webhook_is_tried_and_its_answer_explained() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            for answer in ["204 No Content", "401 Unauthorized", "302 Found\r\nLocation: /elsewhere"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4_096];
                let length = stream.read(&mut request).unwrap();
                assert!(String::from_utf8_lossy(&request[..length]).contains("webhook-signature: v1,"));
                stream.write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").as_bytes()).unwrap();
            }
        });
        let hook = format!("[tenant.webhook]\nurl = \"http://127.0.0.1:{port}/hook\"\nsecret_file = \"KEY\"");
        let path = configured("hook", &hook);
        let said = || tried(&path, &Way::Webhook(Some("shop".to_owned()))).remove(0);
        assert_eq!(
            said(),
            Ok(format!("the webhook of tenant shop, 127.0.0.1:{port} took a message of type message.test"))
        );
        assert!(said().unwrap_err().contains("compare the key on both sides"));
        assert!(said().unwrap_err().contains("Redirects are not followed"));
        server.join().unwrap();
        assert!(said().unwrap_err().contains("Does the firewall let this machine reach it?"));
        assert!(tried(&path, &Way::Webhook(Some("other".to_owned()))).remove(0).is_err());
    }
}

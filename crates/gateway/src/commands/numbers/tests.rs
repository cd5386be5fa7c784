//! The commands on a store of their own, opened as a gateway has it.

use std::path::PathBuf;

use super::*;

struct Site {
    folder: PathBuf,
    config: Config,
}

impl Site {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("passerelle-numbers-{:x}", rand::random::<u64>()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = toml::Value::String(format!("sqlite:{}", folder.join("shop.db").display()));
        let text = format!(
            "[store]\nurl = {store}\n[[tenant]]\nid = \"shop\"\norigins = [\"https://shop.example\"]\n[[trunk]]\n\
             name = \"pbx\"\nuri = \"sip:192.0.2.1\"\n[[queue]]\nid = \"support\"\ntenant = \"shop\"\ndial = \"sip:6@pbx\"\n\
             [queue.callback]\ntrunk = \"pbx\"\nblocked_prefixes = [\"33699\"]\n"
        );
        let path = folder.join("passerelle.toml");
        std::fs::write(&path, text).unwrap();
        let config = config::examine(&path).into_config().unwrap();
        Self { folder, config }
    }

    fn ask(&self, ask: NumberAsk) -> Result<String, String> {
        answered(&self.config, &ask)
    }

    fn explain(&self, number: &str) -> String {
        self.ask(NumberAsk::Explain(number.to_owned(), None)).unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn typed(number: &str) -> (String, Option<String>) {
    (number.to_owned(), None)
}

fn block(number: &str) -> NumberAsk {
    let (number, country) = typed(number);
    NumberAsk::Block(number, country)
}

fn unblock(number: &str) -> NumberAsk {
    let (number, country) = typed(number);
    NumberAsk::Unblock(number, country)
}

const ALL: NumberAsk = NumberAsk::Blocked { limit: 20, json: false };

#[test]
fn a_number_is_tried_against_the_rules_before_there_is_a_store() {
    let site = Site::new();
    let told = site.explain("06 12 34 56 78");
    assert!(told.starts_with("queue shop/support\n  read as a number of FR\n"), "{told}");
    assert!(told.ends_with("  is called: +33 6 12 34 56 78 (mobile)\n"), "{told}");
    let told = site.explain("+33 6 99 12 34 56");
    assert!(told.contains("begins with the blocked prefix 33699\n  is NOT called: number_blocked\n"), "{told}");
    assert!(site.explain("+44 20 7946 0958").contains("is NOT called: country_not_served"));
    assert!(site.ask(ALL).unwrap_err().contains("there is no store"), "looking makes no store");
    assert!(!site.folder.join("shop.db.number-key").exists(), "and no key");
}

#[test]
fn a_number_is_blocked_beside_the_gateway_and_unblocked_again() {
    let site = Site::new();
    let _gateway = store::open(&site.config.store.url).unwrap();
    assert_eq!(site.ask(ALL).unwrap(), "Not to be called: 0.\n");
    assert_eq!(site.ask(block("06 12 34 56 78")).unwrap(), "+33612345678 is not called any more, by any tenant.\n");
    let told = site.explain("+33612345678");
    assert!(told.contains("on the list: NOT called by any tenant, said by an administrator on "), "{told}");
    let list = site.ask(ALL).unwrap();
    assert!(list.starts_with("Not to be called: 1.\nSAID") && list.contains("an administrator"), "{list}");
    let json = site.ask(NumberAsk::Blocked { limit: 20, json: true }).unwrap();
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((object["hash"].as_str().unwrap().len(), object["by"].as_str()), (64, Some("admin")));
    for text in [&list, &json] {
        assert!(!text.contains("612345678"), "a number is shown: {text}");
    }
    assert_eq!(site.ask(unblock("+33612345678")).unwrap(), "+33612345678 may be called again.\n");
    assert_eq!(site.ask(unblock("+33612345678")).unwrap(), "+33612345678 was not on the list.\n");
    assert!(site.ask(block("hello")).unwrap_err().contains("no telephone number"));
}

#[test]
fn what_a_page_s_link_said_is_taken_back_too() {
    let site = Site::new();
    let _gateway = store::open(&site.config.store.url).unwrap();
    let list = List::open(&site.config).unwrap();
    let suppression = Suppression {
        hash: list.key.number(Some("shop"), "+33612345678"),
        key_id: list.key.id(),
        at_unix_ms: 5,
        by: SuppressedBy::Link,
    };
    list.ask(list.home.suppress(suppression)).unwrap();
    assert!(site.explain("+33612345678").contains("NOT called by tenant shop, said by the link of its page"));
    assert_eq!(site.ask(unblock("0612345678")).unwrap(), "+33612345678 may be called again.\n");
}

#[test]
fn a_changed_key_is_not_passed_over() {
    let site = Site::new();
    let _gateway = store::open(&site.config.store.url).unwrap();
    site.ask(block("+33612345678")).unwrap();
    std::fs::write(site.folder.join("shop.db.number-key"), "another key, of a careless day\n").unwrap();
    let list = site.ask(ALL).unwrap();
    assert!(list.contains("1 of them are kept under another key and are NOT found"), "{list}");
    assert!(list.contains("another\n"), "{list}");
}

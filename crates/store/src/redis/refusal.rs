//! What a Redis says when it does not do what it was asked, in words for the operator.

use redis::{ErrorKind, RedisError};

use super::address::Address;
use crate::StoreError;

/// What this answer means for who asked.
pub(super) fn meaning(error: &RedisError, address: &Address) -> StoreError {
    // Of several commands, the first that failed.
    let several = error.clone().into_server_errors();
    let first = several.as_ref().and_then(|errors| errors.first()).map(|(_, first)| first);
    let code = first.map(redis::ServerError::code).or_else(|| error.code()).unwrap_or_default();
    let detail = first.and_then(redis::ServerError::details).or_else(|| error.detail()).unwrap_or_default();
    // Redis 6 wraps what a command in a script answered into an `ERR` of its own.
    let said = |wanted: &str| code == wanted || detail.contains(&format!("-{wanted} "));
    let refused = |why: &str| StoreError::Refused(format!("{address} {why}"));
    if error.is_io_error() || error.kind() == ErrorKind::Client {
        // The connection broke while the command was under way: it may have been done.
        StoreError::Slow
    } else if said("OOM") {
        StoreError::Full(format!("{address} has reached its maxmemory: give it more, or free some"))
    } else if said("READONLY") {
        refused("is a read-only replica: let [store] url point at the primary, or promote this one (REPLICAOF NO ONE)")
    } else if said("NOREPLICAS") {
        refused("has fewer replicas than its min-replicas-to-write asks for: start them, or lower it")
    } else if said("MISCONF") {
        refused("cannot write to its disk and takes no writes: see its log")
    } else if said("LOADING") {
        StoreError::Unreachable(format!("{address} has just started and still reads its file"))
    } else if said("MASTERDOWN") {
        refused("is a replica that has lost its primary: let [store] url point at the primary")
    } else if error.kind() == ErrorKind::AuthenticationFailed || ["NOAUTH", "WRONGPASS"].iter().any(|code| said(code)) {
        refused("does not take the user and password of [store] url")
    } else if said("NOPERM") {
        refused("does not allow this user what is needed: keys passerelle:*, commands @all -@admin -@dangerous")
    } else if said("BUSY") {
        StoreError::Unreachable(format!("{address} is held up by a script that does not end"))
    } else if said("MOVED") || said("CROSSSLOT") || said("CLUSTERDOWN") {
        refused("is a Redis Cluster: this store needs a single server, with or without replicas")
    } else if said("WRONGTYPE") || matches!(error.kind(), ErrorKind::Parse | ErrorKind::UnexpectedReturnType) {
        StoreError::Damaged(format!("{address} holds something else under the keys passerelle:* ({error})"))
    } else {
        StoreError::Refused(format!("{address} says: {error}"))
    }
}

/// What its settings may cost, each with its mend; nothing when every answer is on the disk before it is given.
pub(super) fn risks(setting: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut risks = Vec::new();
    match (setting("appendonly").as_deref(), setting("appendfsync").as_deref()) {
        (Some("no"), _) => risks.push(
            "Redis keeps no append-only file: what was answered is lost when it dies. Mend: `appendonly yes` and \
             `appendfsync always` in redis.conf"
                .to_owned(),
        ),
        (Some(_), Some(sync)) if sync != "always" => risks.push(format!(
            "Redis has `appendfsync {sync}`: about a second of answers can be lost when its machine dies. Mend: \
             `appendfsync always` in redis.conf"
        )),
        (Some(_) | None, _) => {}
    }
    if let Some(policy) = setting("maxmemory-policy").filter(|policy| policy != "noeviction") {
        risks.push(format!(
            "Redis has `maxmemory-policy {policy}`: it may throw call-backs away when its memory is full. Mend: \
             `maxmemory-policy noeviction` in redis.conf"
        ));
    }
    risks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risky(settings: &[(&str, &str)]) -> Vec<String> {
        risks(|name| settings.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn what_settings_cost_is_said_with_its_mend() {
        let good = [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")];
        assert_eq!(risky(&good), Vec::<String>::new());
        assert_eq!(risky(&[]), Vec::<String>::new(), "it may not be asked");
        assert!(risky(&[("appendonly", "no"), ("appendfsync", "everysec")])[0].contains("`appendonly yes`"));
        assert!(risky(&[("appendonly", "yes"), ("appendfsync", "everysec")])[0].contains("a second of answers"));
        assert!(risky(&[("maxmemory-policy", "allkeys-lru")])[0].contains("noeviction"));
    }

    #[test]
    fn answers_are_understood_also_through_a_script_of_redis_6() {
        let address = Address::parse("redis://u:secret@h").unwrap();
        let said = |code: &str, text: &str| {
            meaning(&redis::make_extension_error(code.to_owned(), Some(text.to_owned())), &address).to_string()
        };
        assert!(said("OOM", "command not allowed").starts_with("no room left for the store: redis://h:6379/0 has"));
        let wrapped = "Error running script (call to f_1): @user_script:1: -READONLY You can't write";
        assert!(said("ERR", wrapped).contains("read-only replica"));
        assert!(said("NOREPLICAS", "Not enough good replicas to write.").contains("min-replicas-to-write"));
        assert!(said("WRONGPASS", "invalid").contains("user and password"));
        assert!(said("LOADING", "Redis is loading the dataset in memory").contains("cannot be reached"));
        assert!(said("ERR", "max number of clients reached").contains("max number of clients"));
    }
}

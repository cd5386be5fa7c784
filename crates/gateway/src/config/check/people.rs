//! Tenants with their origins, queues with their targets, agents: names, doubles, references.

use std::ops::Range;

use toml::Spanned;

use super::{Checker, SecretKeys};
use crate::config::checked::{Agent, Queue, QueueTarget, Seat, Secret, Tenant};
use crate::config::file::{self, File};
use crate::config::problem::Problem;
use crate::config::suggest;

/// A MAC key shorter than this can be searched for.
const TAG_KEY_BYTES_MIN: usize = 16;
/// A shorter key than the hash is guessed before it (RFC 7518 §3.2).
const CUSTOMER_KEY_BYTES_MIN: usize = 32;
/// A password shorter than this is found by the scanners that try every SIP port.
const PASSWORD_CHARS_MIN: usize = 10;

impl Checker<'_> {
    pub(super) fn tenants(&mut self, tenants: &[Spanned<file::Tenant>]) -> Vec<Tenant> {
        let mut checked: Vec<Tenant> = Vec::new();
        for table in tenants {
            let (place, tenant) = (table.span(), table.get_ref());
            let id = self.required(&tenant.id, &place, "id", "name it as the widget's data-tenant does: id = \"shop\"");
            if let Some(id) = id {
                self.name(id, "a tenant's id");
                self.double(id, "tenant", checked.iter().any(|other| other.id == *id.get_ref()));
            }
            let origins = self.origins(tenant, &place);
            let tag_key = self.secret(&SecretKeys {
                name: "tag_key",
                literal: &tenant.tag_key,
                file: &tenant.tag_key_file,
                env: &tenant.tag_key_env,
            });
            if let (Some(secret), Some(key)) = (&tag_key, tenant.tag_key_file.as_ref().or(tenant.tag_key_env.as_ref()))
                && secret.expose().len() < TAG_KEY_BYTES_MIN
            {
                let message = format!("the tag key has fewer than {TAG_KEY_BYTES_MIN} bytes");
                self.error(key, &message, "make one with: openssl rand -hex 32");
            }
            let customer_keys = self.customer_keys(tenant);
            let webhook = tenant.webhook.as_ref().and_then(|table| self.webhook(table));
            let id = id.map_or_else(String::new, |id| id.get_ref().clone());
            checked.push(Tenant { id, origins, tag_key, customer_keys, webhook });
        }
        checked
    }

    /// The key of customers' tokens, and the one before it while pages signed with it are still about.
    fn customer_keys(&mut self, tenant: &file::Tenant) -> Vec<Secret> {
        let new = SecretKeys {
            name: "customer_key",
            literal: &tenant.customer_key,
            file: &tenant.customer_key_file,
            env: &tenant.customer_key_env,
        };
        let old = SecretKeys {
            name: "customer_key_old",
            literal: &tenant.customer_key_old,
            file: &tenant.customer_key_old_file,
            env: &tenant.customer_key_old_env,
        };
        let mut keys = Vec::new();
        for of in [new, old] {
            let (Some(secret), Some(key)) = (self.secret(&of), of.file.as_ref().or(of.env.as_ref())) else { continue };
            if secret.expose().len() < CUSTOMER_KEY_BYTES_MIN {
                let message = format!("the customer key has fewer than {CUSTOMER_KEY_BYTES_MIN} bytes");
                self.error(key, &message, "make one with: openssl rand -hex 32");
            }
            keys.push(secret);
        }
        keys
    }

    fn origins(&mut self, tenant: &file::Tenant, place: &Range<usize>) -> Vec<String> {
        let help = "list the web sites that carry the button: origins = [\"https://www.shop.example\"]";
        let Some(key) = self.required(&tenant.origins, place, "origins", help) else { return Vec::new() };
        if key.get_ref().is_empty() {
            self.error(key, "no origin: no page may use this tenant", help);
        }
        let mut origins = Vec::new();
        for item in key.get_ref() {
            match origin(item.get_ref()) {
                Ok(origin) => {
                    self.secure(item, &origin, "this site");
                    if origins.contains(&origin) {
                        self.error(item, &format!("`{origin}` stands here twice"), "leave one of them out");
                    }
                    origins.push(origin);
                }
                Err((message, help)) => self.error(item, &format!("not an origin: {message}"), &help),
            }
        }
        origins
    }

    /// A microphone is given to secure pages only (W3C Media Capture and Streams §10).
    pub(super) fn secure(&mut self, key: &Spanned<String>, origin: &str, what: &str) {
        let Some(rest) = origin.strip_prefix("http://") else { return };
        let host = if rest.starts_with('[') { rest.split(']').next() } else { rest.split(':').next() };
        let local = matches!(host, Some("localhost" | "[::1"))
            || host.is_some_and(|host| host.starts_with("127.") || host.ends_with(".localhost"));
        if !local {
            let message = format!("{what} is not on https: browsers give it no microphone");
            self.problems.push(
                Problem::warning(key.span(), message).help("write https://…; plain http works on localhost only"),
            );
        }
    }

    pub(super) fn agents(&mut self, agents: &[Spanned<file::Agent>]) -> Vec<Agent> {
        let mut checked: Vec<Agent> = Vec::new();
        for table in agents {
            let (place, agent) = (table.span(), table.get_ref());
            let extension =
                self.required(&agent.extension, &place, "extension", "the softphone's user name: extension = \"1001\"");
            if let Some(extension) = extension {
                self.name(extension, "an extension");
                if extension.get_ref() == "echo" {
                    self.error(
                        extension,
                        "`echo` is the agent inside the program",
                        "give this agent another extension",
                    );
                }
                self.double(extension, "agent", checked.iter().any(|other| other.extension == *extension.get_ref()));
            }
            let extension = extension.map_or_else(String::new, |key| key.get_ref().clone());
            let name = match &agent.name {
                Some(key) => {
                    let name = key.get_ref().trim();
                    if name.is_empty() || name.chars().count() > 64 || name.contains(char::is_control) {
                        self.error(
                            key,
                            "not a name",
                            "1 to 64 characters, as visitors shall see it; without the key it is the extension",
                        );
                    }
                    name.to_owned()
                }
                None => extension.clone(),
            };
            let password = self.password(agent, &place, &extension);
            let skills = self.skills(agent);
            checked.push(Agent { extension, name, skills, password });
        }
        checked
    }

    fn skills(&mut self, agent: &file::Agent) -> Vec<String> {
        let mut skills: Vec<String> = Vec::new();
        for item in agent.skills.as_ref().map(|key| key.get_ref().as_slice()).unwrap_or_default() {
            self.name(item, "a skill");
            self.double(item, "skill of this agent", skills.contains(item.get_ref()));
            skills.push(item.get_ref().clone());
        }
        skills
    }

    /// Those of these agents who have every skill the queue wants.
    fn skilled(&mut self, file: &File, queue: &file::Queue, extensions: Vec<String>) -> Vec<String> {
        let Some(wanted) = &queue.skills else { return extensions };
        let skills_of = |extension: &str| -> Vec<&str> {
            let is_he = |agent: &&file::Agent| agent.extension.as_ref().is_some_and(|key| key.get_ref() == extension);
            let his = file.agent.iter().map(Spanned::get_ref).find(is_he).and_then(|agent| agent.skills.as_ref());
            his.map(|key| key.get_ref().iter().map(|item| item.get_ref().as_str()).collect()).unwrap_or_default()
        };
        let all: Vec<&str> = extensions.iter().flat_map(|extension| skills_of(extension)).collect();
        for item in wanted.get_ref() {
            if !all.contains(&item.get_ref().as_str()) {
                let help = suggest::mend(item.get_ref(), all.clone(), "write it among the `skills` of an [[agent]]");
                self.error(item, &format!("no agent of this queue has the skill `{}`", item.get_ref()), &help);
            }
        }
        let has_all = |extension: &String| {
            let his = skills_of(extension);
            wanted.get_ref().iter().all(|item| his.contains(&item.get_ref().as_str()))
        };
        let skilled: Vec<String> = extensions.iter().filter(|extension| has_all(extension)).cloned().collect();
        let each_is_had = wanted.get_ref().iter().all(|item| all.contains(&item.get_ref().as_str()));
        if skilled.is_empty() && each_is_had && !extensions.is_empty() {
            let help = "take a skill from the list, or give all of them to one agent";
            self.error(wanted, "no agent of this queue has all of these skills: it would ring nobody", help);
        }
        skilled
    }

    fn password(&mut self, agent: &file::Agent, place: &Range<usize>, extension: &str) -> Secret {
        let keys = SecretKeys {
            name: "password",
            literal: &agent.password,
            file: &agent.password_file,
            env: &agent.password_env,
        };
        let secret = self.secret(&keys);
        let given = agent.password_file.as_ref().or(agent.password_env.as_ref());
        let wrong = ["password", "password_file", "password_env"].iter().any(|key| self.removed.contains(place, key));
        match (&secret, given) {
            (Some(secret), Some(key)) if secret.expose() == extension => {
                self.error(
                    key,
                    "the password is the extension",
                    "scanners try that first; make one with: openssl rand -base64 15",
                );
            }
            (Some(secret), Some(key)) if secret.expose().chars().count() < PASSWORD_CHARS_MIN => {
                let problem = Problem::warning(
                    key.span(),
                    format!("the password has fewer than {PASSWORD_CHARS_MIN} characters"),
                );
                self.problems.push(problem.help("scanners find it; make one with: openssl rand -base64 15"));
            }
            (None, None) if agent.password.is_none() && !wrong => {
                let problem = Problem::error(place.clone(), "the agent has no password");
                self.problems.push(problem.help(
                    "write password_file = \"/etc/passerelle/agent-1001.password\", or password_env = \"VARIABLE\"",
                ));
            }
            (Some(_) | None, Some(_) | None) => {}
        }
        secret.unwrap_or_else(|| Secret::new(""))
    }

    pub(in crate::config) fn queues(&mut self, file: &File) -> Vec<Queue> {
        let hours = self.hours(&file.hours);
        let mut checked: Vec<Queue> = Vec::new();
        for table in &file.queue {
            let (place, queue) = (table.span(), table.get_ref());
            let id =
                self.required(&queue.id, &place, "id", "name it as the widget's data-queue does: id = \"support\"");
            let tenant = self.required(&queue.tenant, &place, "tenant", "say whose it is: tenant = \"shop\"");
            if let Some(tenant) = tenant {
                self.known(tenant, "tenant", tenant.get_ref(), names(&file.tenant, |tenant| &tenant.id));
            }
            let tenant = tenant.map_or_else(String::new, |key| key.get_ref().clone());
            if let Some(id) = id {
                self.name(id, "a queue's id");
                let twice = checked.iter().any(|other| other.id == *id.get_ref() && other.tenant == tenant);
                self.double(id, "queue of this tenant", twice);
            }
            let hours = queue.hours.as_ref().and_then(|key| {
                self.known(key, "hours", key.get_ref(), names(&file.hours, |hours| &hours.id));
                hours.iter().find(|(id, _)| id == key.get_ref()).map(|(_, hours)| hours.clone())
            });
            let target = self.target(file, queue, &place);
            let callback =
                queue.callback.as_ref().and_then(|table| self.callback(file, table, &target, hours.as_ref()));
            checked.push(Queue {
                id: id.map_or_else(String::new, |id| id.get_ref().clone()),
                tenant,
                target,
                ring_limit: self.seconds(&queue.ring_limit_s, "ring_limit_s", 25, 5..=300),
                waiting_max: self.count(&queue.waiting_max, "waiting_max", 10, 1..=1_000),
                callback,
                hours,
            });
        }
        checked
    }

    fn target(&mut self, file: &File, queue: &file::Queue, place: &Range<usize>) -> QueueTarget {
        if let (Some(seat), None) = (&queue.seat, &queue.agents) {
            self.error(seat, "`seat` says where agents answer, and this queue lists none", "leave it out");
        }
        if let (Some(skills), None) = (&queue.skills, &queue.agents) {
            self.error(
                skills,
                "`skills` says which of its agents a queue rings, and this one lists none",
                "leave it out",
            );
        }
        match (&queue.dial, &queue.agents) {
            (Some(dial), Some(_)) => {
                self.error(
                    dial,
                    "`dial` and `agents` are both given",
                    "a queue rings either a number behind a trunk, or agents: leave one out",
                );
            }
            (Some(dial), None) => return self.dial(file, dial),
            (None, Some(agents)) => return self.queue_agents(file, queue, agents),
            (None, None) => {
                if !self.removed.contains(place, "dial") && !self.removed.contains(place, "agents") {
                    let problem = Problem::error(place.clone(), "the queue rings nobody");
                    self.problems.push(
                        problem.help("write agents = [\"1001\"], or dial = \"sip:600@TRUNK\", or dial = \"echo\""),
                    );
                }
            }
        }
        QueueTarget::Echo
    }

    fn queue_agents(
        &mut self,
        file: &File,
        queue: &file::Queue,
        agents: &Spanned<Vec<Spanned<String>>>,
    ) -> QueueTarget {
        if agents.get_ref().is_empty() {
            self.error(agents, "the queue has no agent", "write agents = [\"1001\"]");
        }
        let mut extensions: Vec<String> = Vec::new();
        for item in agents.get_ref() {
            self.known(item, "agent", item.get_ref(), names(&file.agent, |agent| &agent.extension));
            self.double(item, "agent of this queue", extensions.contains(item.get_ref()));
            extensions.push(item.get_ref().clone());
        }
        let seat = match queue.seat.as_ref().map(|key| (key, key.get_ref().as_str())) {
            None | Some((_, "any")) => Seat::Any,
            Some((_, "phone")) => Seat::Phone,
            Some((_, "browser")) => Seat::Browser,
            Some((key, other)) => {
                self.error(
                    key,
                    &format!("no such seat: `{other}`"),
                    &suggest::mend(other, ["any", "phone", "browser"], ""),
                );
                Seat::Any
            }
        };
        QueueTarget::Agents { extensions: self.skilled(file, queue, extensions), seat }
    }

    /// `echo` or `sip:USER@TRUNK`
    fn dial(&mut self, file: &File, dial: &Spanned<String>) -> QueueTarget {
        let typed = dial.get_ref();
        if typed == "echo" {
            return QueueTarget::Echo;
        }
        let parts = typed.strip_prefix("sip:").and_then(|rest| rest.split_once('@'));
        let Some((user, trunk)) = parts else {
            let help = match typed.strip_prefix("tel:").unwrap_or(typed) {
                number if !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit() || octet == b'+') => {
                    format!("say behind which trunk: dial = \"sip:{number}@TRUNK\"")
                }
                _ => "write dial = \"sip:600@TRUNK\" with the name of a [[trunk]], or dial = \"echo\"".to_owned(),
            };
            self.error(dial, &format!("`{typed}` cannot be dialled"), &help);
            return QueueTarget::Echo;
        };
        let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,?/%#".contains(&octet);
        if user.is_empty() || user.len() > 128 || !user.bytes().all(allowed) {
            self.error(dial, &format!("`{user}` cannot be dialled"), "letters, digits and -_.+*# before the @");
        }
        let known = names(&file.trunk, |trunk| &trunk.name);
        if !known.contains(&trunk)
            && suggest::closest(trunk, known.iter().copied()).is_none()
            && trunk.contains(['.', ':', '['])
        {
            let message = format!("`{trunk}` is an address, and `dial` wants the name of a trunk");
            self.error(dial, &message, "define [[trunk]] with that address in `uri`, and write its name after the @");
        } else {
            self.known(dial, "trunk", trunk, known);
        }
        QueueTarget::Trunk { trunk: trunk.to_owned(), user: user.to_owned() }
    }

    /// Things that are allowed and do nothing.
    pub(super) fn unused(&mut self, file: &File) {
        for table in &file.tenant {
            let Some(id) = &table.get_ref().id else { continue };
            let used = file
                .queue
                .iter()
                .any(|queue| queue.get_ref().tenant.as_ref().is_some_and(|key| key.get_ref() == id.get_ref()));
            if !used {
                let problem = Problem::warning(
                    id.span(),
                    format!("tenant `{}` has no queue: its button rings nobody", id.get_ref()),
                );
                self.problems.push(problem.help(format!("add [[queue]] with tenant = \"{}\"", id.get_ref())));
            }
        }
    }

    /// A name that stands twice.
    pub(super) fn double(&mut self, key: &Spanned<String>, what: &str, twice: bool) {
        if twice {
            self.error(
                key,
                &format!("this is the second {what} `{}`", key.get_ref()),
                "give it another name, or leave one of them out",
            );
        }
    }

    /// A reference that must lead somewhere.
    pub(super) fn known(&mut self, key: &Spanned<String>, what: &str, name: &str, known: Vec<&str>) {
        if !known.contains(&name) {
            let help = suggest::mend(name, known, &format!("define it: [[{what}]]"));
            self.error(key, &format!("there is no {what} `{name}`"), &help);
        }
    }
}

/// The names given to a kind of table.
pub(super) fn names<T>(tables: &[Spanned<T>], name: impl Fn(&T) -> &Option<Spanned<String>>) -> Vec<&str> {
    tables.iter().filter_map(|table| name(table.get_ref()).as_ref()).map(|key| key.get_ref().as_str()).collect()
}

/// A web origin in the form browsers send it (RFC 6454 §6.1), or what is wrong and the mend.
pub(super) fn origin(typed: &str) -> Result<String, (String, String)> {
    let wrong = |message: &str, help: &str| Err((message.to_owned(), help.to_owned()));
    if typed == "*" || typed.contains('*') {
        return wrong(
            "`*` would let any site use the phones",
            "list each site: \"https://www.shop.example\", \"https://shop.example\"",
        );
    }
    if typed == "null" {
        return wrong(
            "`null` is what any local file or sandboxed frame sends",
            "list the site's address: \"https://www.shop.example\"",
        );
    }
    let lower = typed.to_lowercase();
    let (scheme, rest) = match lower.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme.to_owned(), rest.to_owned()),
        Some((scheme, _)) => {
            return Err((format!("`{scheme}` is not http or https"), "write \"https://www.shop.example\"".to_owned()));
        }
        None => return Err((format!("`{typed}` has no https://"), format!("write \"https://{typed}\""))),
    };
    let bare = rest.trim_end_matches('/');
    if bare.contains(['/', '?', '#']) {
        let host = bare.split(['/', '?', '#']).next().unwrap_or_default();
        return Err((format!("`{typed}` has a path"), format!("without the path: \"{scheme}://{host}\"")));
    }
    if bare.contains('@') {
        return wrong("a user name does not belong here", "write scheme and host only: \"https://www.shop.example\"");
    }
    let (host, port) = match bare.rsplit_once(':') {
        Some((host, port)) if !bare.ends_with(']') => (host, Some(port)),
        Some(_) | None => (bare, None),
    };
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port != 0 => Some(port),
        Some(_) => {
            return wrong(
                "the port is not a number from 1 to 65535",
                "write \"https://www.shop.example:8443\", or leave the port out",
            );
        }
    };
    if !host.is_ascii() {
        return wrong("browsers send such names in their ASCII form", "write the xn--… form of the name");
    }
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    let sound = match v6 {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.len() <= 253 && host.split('.').all(named),
    };
    if !sound {
        return Err((format!("`{host}` is not a host name"), "write \"https://www.shop.example\"".to_owned()));
    }
    let default = if scheme == "https" { 443 } else { 80 };
    Ok(match port {
        Some(port) if port != default => format!("{scheme}://{host}:{port}"),
        Some(_) | None => format!("{scheme}://{host}"),
    })
}

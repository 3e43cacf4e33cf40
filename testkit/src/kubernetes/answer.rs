//! What a request is answered with.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::history::{History, Object, kind};
use super::selector::Selector;
use super::{Asked, Fault, State, discovery};

/// An answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// With this status, and perhaps the seconds after which to come back.
    Whole { status: u16, body: Bytes, wait: Option<u64>, fault: Option<Fault> },
    /// A list: what stands before its objects, and these.
    List { head: String, objects: Vec<Arc<Object>>, fault: Option<Fault> },
    /// The events of a watch.
    Watch { watch: Watch, fault: Option<Fault> },
}

/// A watch that begins.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) meant: Selector,
    /// The objects that it begins with.
    pub(super) first: Vec<Arc<Object>>,
    /// The version that these are of, if it has to be told.
    pub(super) first_version: Option<u64>,
    /// How much has happened before it.
    pub(super) position: usize,
    pub(super) bookmarks: bool,
    pub(super) seconds: Option<u64>,
    pub(super) cuts: u64,
}

/// Answers a request; `token` is the one it came with.
pub(super) fn answer(state: &mut State, path: &str, query: &str, token: Option<&str>) -> Answer {
    if let Some(found) = discovery::answer(path) {
        return whole(200, &found);
    }
    let parameters: BTreeMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect();
    let parameter = |name: &str| parameters.get(name).map_or("", String::as_str);
    let Some((resource, namespace, name)) = place(path) else {
        return refusal(404, "NotFound", "the server could not find the requested resource");
    };
    let watches = matches!(parameter("watch"), "1" | "true");
    let verb = match &name {
        Some(_) => "get",
        None if watches => "watch",
        None => "list",
    };
    let asked = Asked { verb, resource, namespace, query: query.to_owned() };
    state.asked.push(asked.clone());
    if state.settings.token.as_deref().is_some_and(|wanted| token != Some(wanted)) {
        return refusal(401, "Unauthorized", "Unauthorized");
    }
    let fault = state.faults.iter().find(|(on, _)| on.is(&asked)).map(|(_, fault)| fault.clone());
    let (resource, namespace) = (asked.resource.as_str(), asked.namespace.as_str());
    match fault {
        Some(Fault::Status(status)) => return refused(status, &asked),
        Some(Fault::RetryAfter(status, seconds)) => {
            let Answer::Whole { status, body, fault, .. } = refused(status, &asked) else { unreachable!() };
            return Answer::Whole { status, body, wait: Some(seconds), fault };
        }
        _ => {}
    }
    if kind(resource).is_none() || state.settings.missing.contains(resource) {
        return refusal(404, "NotFound", "the server could not find the requested resource");
    }
    if let Some(name) = name {
        return match state.history.get(resource, namespace, &name) {
            Some(object) => Answer::Whole { status: 200, body: object.json.clone(), wait: None, fault },
            None => refusal(404, "NotFound", &format!("{resource} \"{name}\" not found")),
        };
    }
    let meant = match Selector::read(resource, namespace, parameter("labelSelector"), parameter("fieldSelector")) {
        Ok(meant) => meant,
        Err(why) => return refusal(400, "BadRequest", &why),
    };
    if !watches {
        let limit = parameter("limit").parse().unwrap_or(0);
        return list(&mut state.history, &meant, limit, parameter("continue"), fault);
    }
    let seconds = parameter("timeoutSeconds").parse().ok();
    let begins = Begins { streamed: parameter("sendInitialEvents") == "true", version: parameter("resourceVersion") };
    match first(state, &meant, &begins) {
        Ok((first, first_version)) => {
            let bookmarks = parameter("allowWatchBookmarks") == "true";
            let position = state.history.position(begins.after(&state.history));
            let watch = Watch { meant, first, first_version, position, bookmarks, seconds, cuts: state.cuts };
            Answer::Watch { watch, fault }
        }
        Err(refusal) => *refusal,
    }
}

/// What a watch begins with.
struct Begins<'a> {
    streamed: bool,
    version: &'a str,
}

impl Begins<'_> {
    /// The version after which events follow.
    fn after(&self, history: &History) -> u64 {
        self.version.parse().ok().filter(|version| *version > 0 && !self.streamed).unwrap_or(history.version)
    }
}

/// The objects that a watch begins with, and their version if that has to be told.
type First = (Vec<Arc<Object>>, Option<u64>);

fn first(state: &State, meant: &Selector, begins: &Begins<'_>) -> Result<First, Box<Answer>> {
    let history = &state.history;
    if begins.streamed {
        if !state.settings.streams_lists {
            let why = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            return Err(Box::new(refusal(422, "Invalid", why)));
        }
        return Ok((history.list(meant), Some(history.version)));
    }
    if matches!(begins.version, "" | "0") {
        return Ok((history.list(meant), None));
    }
    let Ok(version) = begins.version.parse() else {
        return Err(Box::new(refusal(400, "BadRequest", "resourceVersion is not a number")));
    };
    if !history.remembers(version) {
        return Err(Box::new(refusal(
            410,
            "Expired",
            &format!("too old resource version: {version} ({})", history.version),
        )));
    }
    Ok((Vec::new(), None))
}

fn list(history: &mut History, meant: &Selector, limit: usize, rest: &str, fault: Option<Fault>) -> Answer {
    let (version, mut objects) = match rest {
        "" => (history.version, history.list(meant)),
        token => match history.rest(token) {
            Some(rest) => rest,
            None => return refusal(410, "Expired", "The provided continue parameter is too old"),
        },
    };
    let mut meta = json!({"resourceVersion": version.to_string()});
    if limit > 0 && objects.len() > limit {
        let rest = objects.split_off(limit);
        meta["remainingItemCount"] = json!(rest.len());
        meta["continue"] = json!(history.keep(version, rest));
    }
    let (kind, _, group, _) = kind(&meant.resource).expect("the resource was looked at before");
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    let head = format!(r#"{{"kind":"{kind}List","apiVersion":"{version}","metadata":{meta},"items":["#);
    Answer::List { head, objects, fault }
}

/// Resource, namespace and name that a path stands for.
fn place(path: &str) -> Option<(String, String, Option<String>)> {
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let parts = match parts.as_slice() {
        ["api", "v1", rest @ ..] | ["apis", _, "v1", rest @ ..] => rest,
        _ => return None,
    };
    let owned = |name: &str| name.to_owned();
    match parts {
        ["namespaces", namespace, resource, rest @ ..] if rest.len() < 2 => {
            Some((owned(resource), owned(namespace), rest.first().map(|name| owned(name))))
        }
        [resource, rest @ ..] if rest.len() < 2 => {
            Some((owned(resource), String::new(), rest.first().map(|name| owned(name))))
        }
        _ => None,
    }
}

/// A line of a watch.
pub(super) fn event(what: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 40);
    put_event(&mut line, what, object);
    line.into()
}

/// Appends a line of a watch.
pub(super) fn put_event(lines: &mut Vec<u8>, what: &str, object: &[u8]) {
    lines.extend_from_slice(format!(r#"{{"type":"{what}","object":"#).as_bytes());
    lines.extend_from_slice(object);
    lines.extend_from_slice(b"}\n");
}

/// A bookmark; `ends` if all that there was at the beginning has come.
pub(super) fn bookmark(resource: &str, version: u64, ends: bool) -> Bytes {
    let name = kind(resource).map_or("", |(kind, ..)| kind);
    let mut object =
        json!({"kind": name, "metadata": {"resourceVersion": version.to_string(), "creationTimestamp": null}});
    if ends {
        object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    event("BOOKMARK", object.to_string().as_bytes())
}

/// What a refusal says.
pub(super) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

fn refused(code: u16, asked: &Asked) -> Answer {
    let Asked { verb, resource, namespace, .. } = asked;
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{namespace}\"")
    };
    let forbidden = format!("{resource} is forbidden: User \"tester\" cannot {verb} resource \"{resource}\" {scope}");
    match code {
        401 => refusal(code, "Unauthorized", "Unauthorized"),
        403 => refusal(code, "Forbidden", &forbidden),
        404 => refusal(code, "NotFound", "the server could not find the requested resource"),
        410 => refusal(code, "Expired", "too old resource version"),
        429 => refusal(code, "TooManyRequests", "too many requests, please try again later"),
        _ => refusal(code, "InternalError", "the fake API server was told to fail"),
    }
}

fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    whole(code, &status(code, reason, message))
}

fn whole(status: u16, body: &Value) -> Answer {
    Answer::Whole { status, body: body.to_string().into(), wait: None, fault: None }
}

/// The events that something that happened is to a watch.
pub(super) fn events(meant: &Selector, happened: &super::history::Happened, bookmarks: bool) -> Option<Bytes> {
    use super::history::What;
    let means = |object: &Object| meant.means(object);
    match &happened.what {
        What::Bookmark => bookmarks.then(|| bookmark(&meant.resource, happened.version, false)),
        What::Deleted(object) => means(object).then(|| event("DELETED", &object.json)),
        What::Put { before, now } => {
            let meant_before = before.as_ref().is_some_and(|before| means(before));
            match (meant_before, means(now)) {
                (false, false) => None,
                (false, true) => Some(event("ADDED", &now.json)),
                (true, true) => Some(event("MODIFIED", &now.json)),
                // The object that left is told as it was, at the version at which it left.
                (true, false) => Some(event("DELETED", &now.json)),
            }
        }
    }
}

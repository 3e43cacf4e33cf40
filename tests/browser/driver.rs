//! Debian's Chromium, driven by its own driver over the protocol that browsers have for that (WebDriver).

use std::process::Command;

use rosterd_testkit::{Folder, Process, free_address, need, patience, post};
use serde_json::{Value, json};

/// How the viewer looks at a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    Desk,
    Phone,
}

/// A running browser with one window.
pub(crate) struct Browser {
    /// Killed with all that it has started when this is dropped.
    _driver: Process,
    session: String,
    _profile: Folder,
}

impl Browser {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let (driver, chromium) = (need("chromedriver", "chromium-driver"), need("chromium", "chromium"));
        let (port, profile) = (free_address().port(), Folder::new());
        let mut driver = Process::start("chromedriver", Command::new(driver).arg(format!("--port={port}")));
        let base = format!("http://127.0.0.1:{port}");
        driver.wait_http(&format!("{base}/status")).await;
        let arguments = [
            // Tests run as root in containers.
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--window-size=1366,900".to_owned(),
            format!("--user-data-dir={}", profile.path("profile").display()),
        ];
        let options = json!({ "binary": chromium, "args": arguments });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let made = ask(&format!("{base}/session"), json!({ "capabilities": { "alwaysMatch": wanted } })).await;
        let number = made["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {made}"));
        Self { _driver: driver, session: format!("{base}/session/{number}"), _profile: profile }
    }

    async fn ask(&self, path: &str, body: Value) -> Value {
        ask(&format!("{}/{path}", self.session), body).await
    }

    /// Goes to a page and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.ask("url", json!({ "url": url })).await;
    }

    /// The value of a script, which ends with `return`.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// The value that a script gives to the function that is its last argument.
    pub(crate) async fn run_async(&self, script: &str) -> Value {
        self.ask("execute/async", json!({ "script": script, "args": [] })).await
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        let end = tokio::time::Instant::now() + patience();
        while self.run(script).await != json!(true) {
            let shown = || async { self.run("return document.body.innerText").await };
            if tokio::time::Instant::now() > end {
                panic!("{what} does not come true: {}", shown().await);
            }
        }
    }

    /// The text of what a selector finds first.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText", json!(selector));
        self.run(&script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Types keys into what has the focus.
    pub(crate) async fn type_keys(&self, keys: &str) {
        let actions =
            keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })));
        let actions: Vec<_> = actions.collect();
        self.ask("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] })).await;
    }

    /// Clicks on what a selector finds first, where a person would.
    pub(crate) async fn click(&self, selector: &str) {
        let found = self.ask("element", json!({ "using": "css selector", "value": selector })).await;
        let element = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        let element = element.unwrap_or_else(|| panic!("there is no {selector}: {found}"));
        self.ask(&format!("element/{element}/click"), json!({})).await;
    }

    /// Looks with other eyes from now on.
    pub(crate) async fn look(&self, screen: Screen, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        let (width, height, mobile) = match screen {
            Screen::Desk => (1366, 900, false),
            Screen::Phone => (390, 844, true),
        };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.command("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Sees pages as they are printed from now on.
    pub(crate) async fn print(&self) {
        self.command("Emulation.setEmulatedMedia", json!({ "media": "print" })).await;
    }

    async fn command(&self, name: &str, parameters: Value) {
        self.ask("goog/cdp/execute", json!({ "cmd": name, "params": parameters })).await;
    }

    /// What the browser has complained of since it was asked last.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.ask("se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }
}

async fn ask(url: &str, body: Value) -> Value {
    let answer = tokio::time::timeout(3 * patience(), post(url, body.to_string())).await;
    let (status, body) = answer.unwrap_or_else(|_| panic!("{url} does not answer")).expect("the driver runs");
    let mut answer: Value = serde_json::from_str(&body).expect("the driver answers in JSON");
    assert_eq!(status, 200, "{url}: {body}");
    answer["value"].take()
}
